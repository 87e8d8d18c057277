import { InvalidArgumentError, ObjectFreedError } from "../base/mod.ts";
import { describe, ObjectRef, RefGenerator } from "../core-worker/mod.ts";
import { aBoolean, checkOptions } from "./option-checks.ts";
import type { ObjectRef as PublicRef } from "./object-ref.ts";
import { currentRuntime } from "./runtime.ts";
import type { ObjectRefGenerator } from "./types.ts";

const CANCEL = { force: aBoolean, recursive: aBoolean };

/**
 * Cancels the task or call that makes this object, or these values: its refs fail with TaskCancelledError at once, and so does what
 * depends on them. It works wherever the ref has come to. What is not running yet never will. Running code is told by
 * `getRuntimeContext().signal`, and what it awaits with `get`, `wait` or a stream's `next()` rejects with TaskCancelledError, once;
 * what it returns is dropped. It keeps its processor until it has really ended: synchronous code cannot be interrupted.
 *
 * `force` ends the worker at once, also out of an endless loop, and also when the task was asked before. Other tasks that waited in that worker start again elsewhere, which
 * costs them no retry. A task that runs in the very worker that cancels it is only told to stop.
 *
 * `recursive` (default true) also cancels the tasks and calls that it has submitted, and theirs.
 *
 * A cancelled task is not retried. What has its outcome already, and what was `put`, is left alone; an actor's `ready()` ref fails,
 * and the actor goes on. Resolves when the ref has failed; the code may go on for a while.
 *
 * @throws InvalidArgumentError for something else than a ref or a generator, and for a call of an actor with `force`: use `kill()`.
 */
export async function cancel(ref: PublicRef<any> | ObjectRefGenerator<any>, options: { force?: boolean; recursive?: boolean } = {}): Promise<void> {
  checkOptions(options, CANCEL, "cancel()");
  const ofRef = ObjectRef.entryOf(ref);
  if (ofRef !== undefined && ObjectRef.isReleased(ref as ObjectRef)) throw new ObjectFreedError(`${ofRef.id} was released with release() or at the end of a using block; cancel before that`, { objectId: ofRef.id });
  const entry = ofRef ?? RefGenerator.endOf(ref);
  if (entry === undefined) throw new InvalidArgumentError(`cancel() takes an ObjectRef or an ObjectRefGenerator, but got ${describe(ref)}; to end an actor, use kill(handle)`);
  await currentRuntime().core.cancel(entry, { isForced: options.force ?? false, isRecursive: options.recursive ?? true });
}
