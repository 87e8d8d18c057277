import type { Failure } from "./object-entry.ts";
import type { PendingTask } from "./task.ts";

export interface TasksBetweenRunsEnvironment {
  /** Lets it run again. */
  runAgain(task: PendingTask): void;
  /** It does not run again after all: nothing is to wait for it. */
  giveUp(task: PendingTask): void;
  /** Makes this its outcome. */
  fail(task: PendingTask, failure: Failure): void;
}

/** Tasks and calls that are between two runs, whatever they wait for. What lets one run may come when it is not to run any more. */
export class TasksBetweenRuns {
  readonly #env: TasksBetweenRunsEnvironment;
  readonly #waiting = new Set<PendingTask>();

  constructor(environment: TasksBetweenRunsEnvironment) {
    this.#env = environment;
  }

  [Symbol.iterator](): IterableIterator<PendingTask> {
    return this.#waiting.values();
  }

  /** True if it waits from now on. One that has its outcome is given up instead. */
  add(task: PendingTask, isOver: boolean): boolean {
    if (isOver) this.#env.giveUp(task);
    else this.#waiting.add(task);
    return !isOver;
  }

  has(task: PendingTask): boolean {
    return this.#waiting.has(task);
  }

  runAgain(task: PendingTask): void {
    if (this.#waiting.delete(task)) this.#env.runAgain(task);
  }

  fail(task: PendingTask, failure: Failure): void {
    if (this.giveUp(task)) this.#env.fail(task, failure);
  }

  /** It is not to run again. False if it is not between two runs. */
  giveUp(task: PendingTask): boolean {
    if (!this.#waiting.delete(task)) return false;
    this.#env.giveUp(task);
    return true;
  }

  /** Taken out; nothing runs here any more. */
  takeAll(): PendingTask[] {
    const tasks = [...this.#waiting];
    this.#waiting.clear();
    return tasks;
  }
}
