import type { WorkerDeath } from "../protocol/mod.ts";

/** A worker that cannot start is tried again so often in a row. */
const START_FAILURES_MAX = 3;
/** The same where it was killed: that says little about the next one, unless it happens again and again. */
const KILLED_STARTS_MAX = 20;

/** Workers that have ended before they were up, since the last one that came up. */
export class StartFailures {
  #failures = 0;
  #kills = 0;
  #lastKilledPid = 0;

  /** One has come up. */
  reset(): void {
    this.#failures = 0;
    this.#kills = 0;
  }

  /** True if no other is to be tried. Threads that were lost with one process count as one. */
  add({ wasKilled, pid }: WorkerDeath): boolean {
    if (wasKilled !== true) return ++this.#failures >= START_FAILURES_MAX;
    if (pid !== this.#lastKilledPid) this.#kills++;
    this.#lastKilledPid = pid;
    return this.#kills >= KILLED_STARTS_MAX;
  }
}
