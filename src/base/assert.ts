/** A defect of the runtime itself: an invariant did not hold. Says what was known. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(`${message} (this is a defect of mantaray, please report it)`);
    this.name = "InvariantError";
  }
}

/** Checks an invariant of the runtime. `detail` is only evaluated on failure. */
export function invariant(condition: unknown, detail: string | (() => string)): asserts condition {
  if (!condition) throw new InvariantError(typeof detail === "string" ? detail : detail());
}

/** For the default branch of a switch over a closed union. */
export function unreachable(value: never, what: string): never {
  throw new InvariantError(`unexpected ${what}: ${JSON.stringify(value)}`);
}
