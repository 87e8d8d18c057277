import { SerializationError } from "../base/mod.ts";

export function isThenable<T>(value: unknown): value is PromiseLike<T> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
export function isIterable(value: unknown): value is Iterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.iterator in value;
}
export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

/** What a call returned that was to return so many values; `name` is its own. */
export function valuesOf(returned: unknown, count: number, name: string): unknown[] | SerializationError {
  const values = isIterable(returned) ? [...returned] : null;
  if (values !== null && values.length === count) return values;
  const got = values === null ? `something that is not iterable (${typeof returned})` : `${values.length} values`;
  return new SerializationError(`${name}() was called with numReturns: ${count} but returned ${got}; return an array of exactly ${count}`);
}
