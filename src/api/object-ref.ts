import { ObjectRef as ObjectRefObject } from "../core-worker/mod.ts";

export interface GetOptions {
  /** Give up after so many milliseconds with a GetTimeoutError; 0: only what is there already. Default: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * A future: the address of one immutable object in the cluster. Not a thenable, so that an async function may return one
 * without unwrapping it. Pass it to tasks, store it in objects, compare it by `hex()`.
 */
export interface ObjectRef<T = unknown> {
  /** Carries the type; never set. */
  readonly __value?: T;
  /** Same as `ray.get(this, options)`. */
  get(options?: GetOptions): Promise<T>;
  /** 32 hexadecimal digits: the owner and a count. Equal for two refs of the same object. */
  hex(): string;
  /** The task that makes the object, or that put it; 32 hexadecimal digits. */
  taskId(): string;
  /** Drops this handle now instead of at garbage collection. Also runs at the end of a `using` block. Idempotent. */
  release(): void;
  [Symbol.dispose](): void;
}

/** For `value instanceof ObjectRef`; refs are made by `remote` and `put`. */
export const ObjectRef: { [Symbol.hasInstance](value: unknown): value is ObjectRef<any> } = {
  [Symbol.hasInstance]: (value): value is ObjectRef<any> => ObjectRefObject.entryOf(value) !== undefined,
};
