import { InvalidArgumentError } from "../base/mod.ts";
import type { ObjectRef as ObjectRefObject, RefGenerator } from "../core-worker/mod.ts";
import { aBoolean, aDurationMs, aSignal, anything, checkOptions } from "./option-checks.ts";
import { currentRuntime } from "./runtime.ts";
import { type GetOptions, ObjectRef } from "./object-ref.ts";
import type { ObjectRefGenerator, ValueOf } from "./types.ts";

/** How `get` may end early. */
const GET = { timeoutMs: aDurationMs, signal: aSignal };
const WAIT = { numReturns: anything, timeoutMs: aDurationMs, fetchLocal: aBoolean, signal: aSignal };

/**
 * The value of a ref, or of a list of refs in order. Inside a task, its processor is free for others meanwhile.
 *
 * @throws TaskError what the task threw, as `cause`; GetTimeoutError after `timeoutMs`; the signal's reason when aborted;
 * WorkerCrashedError, ActorDiedError, OwnerDiedError… when what makes the object is lost. A list rejects with its first
 * failure, without waiting for the rest.
 */
export function get<T>(ref: ObjectRef<T>, options?: GetOptions): Promise<T>;
export function get<const R extends readonly ObjectRef<any>[]>(refs: R, options?: GetOptions): Promise<{ -readonly [K in keyof R]: ValueOf<R[K]> }>;
export function get(refs: ObjectRef | readonly ObjectRef[], options?: GetOptions): Promise<unknown> {
  try {
    if (options !== undefined) checkOptions(options, GET, "get()");
  } catch (error) {
    return Promise.reject(error as Error);
  }
  return currentRuntime().core.get(refs as ObjectRefObject | readonly ObjectRefObject[], options);
}

/**
 * Stores a value and returns its ref at once. The value is captured as it is now.
 *
 * @throws InvalidArgumentError (a TypeError) for an ObjectRef; SerializationError for what cannot be stored.
 */
export function put<T>(value: T): ObjectRef<T> {
  return currentRuntime().core.put(value) as ObjectRef<T>;
}

export interface WaitOptions {
  /** How many must be ready. Default 1. */
  numReturns?: number;
  /** Return with what is ready after so many milliseconds. Default: wait. */
  timeoutMs?: number;
  /**
   * Bring here what is ready: large objects on other nodes start to come when nothing more urgent does, and a later `get()` finds them on
   * their way, or here. Nobody waits for that: a ref is ready when its object is there on any node. Default true.
   */
  fetchLocal?: boolean;
  signal?: AbortSignal;
}

/**
 * Waits until `numReturns` (default 1) refs are ready. At most that many are in `ready`; both lists keep the given order.
 * A ref whose task failed is ready.
 *
 * @throws InvalidArgumentError for something else than a list of different refs, or a number that they cannot reach.
 */
export async function wait<R extends ObjectRef<any> | ObjectRefGenerator<any>>(refs: readonly R[], options: WaitOptions = {}): Promise<[ready: R[], notReady: R[]]> {
  checkOptions(options, WAIT, "wait()");
  return currentRuntime().core.wait(refs as unknown as (ObjectRefObject | RefGenerator)[], options) as unknown as Promise<[R[], R[]]>;
}

/**
 * Yields refs as they finish, each once; a ref whose task failed has finished, too.
 *
 * @throws InvalidArgumentError for something else than different refs.
 */
export async function* asCompleted<T>(refs: Iterable<ObjectRef<T>>): AsyncIterableIterator<ObjectRef<T>> {
  let pending = [...refs];
  for (const ref of pending) if (!((ref as unknown) instanceof ObjectRef)) throw new InvalidArgumentError("asCompleted() takes ObjectRefs only");
  while (pending.length > 0) {
    await wait(pending);
    // All that are ready by now: not a wait for each.
    const [ready, notReady] = await wait(pending, { numReturns: pending.length, timeoutMs: 0 });
    pending = notReady;
    yield* ready;
  }
}
