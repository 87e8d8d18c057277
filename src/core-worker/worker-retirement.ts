import type { Clock } from "../base/mod.ts";
import type { IncomingFunction } from "./incoming-callable.ts";

/** How often a worker that is to end looks whether anything still needs it. */
const LOOK_EVERY_MS = 20;

export interface WorkerRetirementEnvironment {
  readonly clock: Clock;
  /** Nothing starts here from now on. */
  stopTakingTasks(): void;
  /** Whether a task has not ended, something is awaited, or others hold what this worker owns. */
  isNeeded(): boolean;
  exit(reason: string): void;
}

/** Ends this worker when a function has been called here as often as it may be (`maxCalls`), so that what it has left in memory goes. */
export class WorkerRetirement {
  readonly #env: WorkerRetirementEnvironment;
  /** By code unit. */
  readonly #calls = new Map<string, number>();
  #isLeaving = false;

  constructor(environment: WorkerRetirementEnvironment) {
    this.#env = environment;
  }

  /** A call of a function with such a limit starts. */
  called({ unitId, name, maxCalls }: IncomingFunction): void {
    const calls = (this.#calls.get(unitId) ?? 0) + 1;
    this.#calls.set(unitId, calls);
    if (calls < maxCalls || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#env.stopTakingTasks();
    this.#look(`had run ${name}() ${calls} times, as often as its maxCalls allows`, 0);
  }

  #look(reason: string, delayMs: number): void {
    this.#env.clock.after(delayMs, () => {
      if (this.#env.isNeeded()) this.#look(reason, LOOK_EVERY_MS);
      else this.#env.exit(reason);
    });
  }
}
