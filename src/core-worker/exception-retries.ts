import type { Clock } from "../base/mod.ts";
import type { TaskErrorRecord } from "../protocol/mod.ts";
import { type FailureContext, rebuiltCause } from "./failure-errors.ts";
import type { Failure } from "./object-entry.ts";
import { type ErrorClass, isNamedAsOneOf, isOneOf, type RetriedErrors, retryDelayMs } from "./retried-errors.ts";
import type { PendingTask } from "./task.ts";
import type { TasksBetweenRuns } from "./tasks-between-runs.ts";

export interface ExceptionRetriesEnvironment extends FailureContext {
  readonly clock: Clock;
  readonly betweenRuns: TasksBetweenRuns;
}

/** Memory that is short now may be there later: from one run to the next so long, and then twice as long each time. As in Ray. */
const MEMORY_DELAY_MS_MIN = 1_000;
const MEMORY_DELAY_MS_MAX = 60_000;

/**
 * Tasks whose function threw and that may run again (`retryExceptions`), until it is known whether they do, and when; and those that
 * were ended for want of memory.
 */
export class ExceptionRetries {
  readonly #env: ExceptionRetriesEnvironment;
  /** Of the tasks that ran again, how often. */
  readonly #retries = new WeakMap<PendingTask, number>();
  /** Of those that were ended for want of memory, how often. */
  readonly #memoryEnds = new WeakMap<PendingTask, number>();

  constructor(environment: ExceptionRetriesEnvironment) {
    this.#env = environment;
  }

  /** True if it takes the task: it runs again, or gets the failure from here. */
  takes(task: PendingTask, failure: Failure): boolean {
    const { retryExceptions } = task.template;
    if (retryExceptions === null || failure.kind !== "taskError" || task.retriesLeft === 0) return false;
    if (!this.#env.betweenRuns.add(task, task.isDone || task.stream?.isClosed === true)) return false;
    if (retryExceptions === true) this.#retry(task);
    else void this.#decide(task, failure, retryExceptions);
    return true;
  }

  async #decide(task: PendingTask, failure: Failure & { kind: "taskError" }, retried: Exclude<RetriedErrors, true>): Promise<void> {
    let isRetried = false;
    try {
      isRetried = await this.#isRetried(failure.error, retried);
    } catch {
      // The classes cannot be loaded here: what cannot be compared is not retried.
    }
    if (!this.#env.betweenRuns.has(task)) return;
    if (isRetried) return this.#retry(task);
    this.#env.betweenRuns.fail(task, failure);
  }

  async #isRetried(error: TaskErrorRecord, retried: Exclude<RetriedErrors, true>): Promise<boolean> {
    const classes = "encoded" in retried ? await this.#load(retried.encoded) : retried;
    const rebuilt = await rebuiltCause(error, this.#env);
    return rebuilt === null ? isNamedAsOneOf(error.classNames, classes) : isOneOf(rebuilt.cause, classes);
  }

  async #load(encoded: Parameters<FailureContext["serializer"]["decode"]>[0]): Promise<readonly ErrorClass[]> {
    await this.#env.code.ensureLoaded(encoded.code);
    return this.#env.serializer.decode(encoded) as readonly ErrorClass[];
  }

  #retry(task: PendingTask): void {
    const retriesBefore = this.#retries.get(task) ?? 0;
    this.#retries.set(task, retriesBefore + 1);
    if (task.retriesLeft > 0) task.retriesLeft--;
    const delayMs = retryDelayMs(retriesBefore);
    if (delayMs === 0) this.#env.betweenRuns.runAgain(task);
    else this.#env.clock.after(delayMs, () => this.#env.betweenRuns.runAgain(task));
  }

  /** Its node was short of memory: that costs no retry. */
  runLater(task: PendingTask): void {
    const endsBefore = this.#memoryEnds.get(task) ?? 0;
    this.#memoryEnds.set(task, endsBefore + 1);
    this.#env.betweenRuns.add(task, false);
    this.#env.clock.after(Math.min(MEMORY_DELAY_MS_MIN * 2 ** endsBefore, MEMORY_DELAY_MS_MAX), () => this.#env.betweenRuns.runAgain(task));
  }
}
