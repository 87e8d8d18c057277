import type { WorkerId } from "../base/mod.ts";
import { type Failure, systemFailure } from "./object-entry.ts";
import { type CallLimits, clientOf, type PendingTask } from "./task.ts";

/** Null for calls without any, so that nothing is looked at for them. */
export function limitsOf({ signal, timeoutMs }: { readonly signal?: AbortSignal; readonly timeoutMs?: number }): CallLimits | null {
  const limitMs = timeoutMs === undefined || timeoutMs === Number.POSITIVE_INFINITY ? null : timeoutMs;
  return signal === undefined && limitMs === null ? null : { signal: signal ?? null, timeoutMs: limitMs };
}

export interface LimitedTasksEnvironment {
  cancel(task: PendingTask, why: string): void;
  /** Makes this the outcome of a task that goes on at its worker, which knows. */
  settle(task: PendingTask, failure: Failure): void;
}

/** One listener serves all tasks of a signal: a hundred thousand listeners would be slow, and warned of. */
interface SignalTasks {
  readonly tasks: Set<PendingTask>;
  readonly onAbort: () => void;
}

const ABORTED = "was cancelled: its signal was aborted";

/** The tasks and calls of this worker that have limits, until they have ended. */
export class LimitedTasks {
  readonly #env: LimitedTasksEnvironment;
  readonly #bySignal = new Map<AbortSignal, SignalTasks>();
  readonly #timed = new Map<number, PendingTask>();

  constructor(environment: LimitedTasksEnvironment) {
    this.#env = environment;
  }

  /** The failure of a task that is not to run at all. */
  submitted(task: PendingTask, { signal, timeoutMs }: CallLimits): Failure | null {
    if (timeoutMs !== null) this.#timed.set(task.sequence, task);
    if (signal === null) return null;
    if (signal.aborted) return systemFailure({ kind: "TaskCancelledError", message: `${task.name}() ${ABORTED} before`, subjectId: null });
    let ofSignal = this.#bySignal.get(signal);
    if (ofSignal === undefined) {
      const tasks = new Set<PendingTask>();
      ofSignal = { tasks, onAbort: () => { for (const each of [...tasks]) this.#env.cancel(each, ABORTED); } };
      this.#bySignal.set(signal, ofSignal);
      signal.addEventListener("abort", ofSignal.onAbort);
    }
    ofSignal.tasks.add(task);
    return null;
  }

  ended(task: PendingTask, { signal, timeoutMs }: CallLimits): void {
    if (timeoutMs !== null) this.#timed.delete(task.sequence);
    const ofSignal = signal === null ? undefined : this.#bySignal.get(signal);
    if (ofSignal?.tasks.delete(task) === true && ofSignal.tasks.size === 0) this.#forget(signal as AbortSignal, ofSignal);
  }

  /** The node's word: it has run at this worker for too long. It may have ended meanwhile, or be elsewhere. */
  timedOut(workerId: WorkerId, taskSequence: number): void {
    const task = this.#timed.get(taskSequence);
    if (task === undefined || task.isDone || task.slot < 0 || (task.lease?.workerId ?? clientOf(task).workerId) !== workerId) return;
    this.#env.settle(task, systemFailure({ kind: "TaskTimeoutError", message: `${task.name}() ran for longer than its timeoutMs of ${task.template.limits?.timeoutMs} ms (worker ${workerId})`, subjectId: null }));
  }

  /** Nothing of the runtime stays at the program's signals. */
  close(): void {
    for (const [signal, ofSignal] of this.#bySignal) this.#forget(signal, ofSignal);
    this.#timed.clear();
  }

  #forget(signal: AbortSignal, { onAbort }: SignalTasks): void {
    this.#bySignal.delete(signal);
    signal.removeEventListener("abort", onAbort);
  }
}
