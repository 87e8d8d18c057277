const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Whether frames carry it as it is. Objects, symbols and bigints beyond 64 bits are encoded like any other value. */
export function isPrimitive(value: unknown): boolean {
  switch (typeof value) {
    case "object":
      return value === null;
    case "bigint":
      return value >= INT64_MIN && value <= INT64_MAX;
    case "function":
    case "symbol":
      return false;
    default:
      return true;
  }
}
