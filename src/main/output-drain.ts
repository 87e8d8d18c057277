import type { Clock, WorkerId } from "../base/mod.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** A worker that is busy with one long computation says nothing: nobody waits longer for its output. */
const DRAIN_MS_MAX = 200;

/**
 * Results come to a driver straight from the worker, output by way of the node: so before a driver ends, each worker is
 * asked whether all of its output has left, and answers behind it.
 */
export class OutputDrain {
  readonly #drains: WorkerSurvey<null, never>;

  constructor(clock: Clock, ask: (workerId: WorkerId, drainId: number) => void) {
    this.#drains = new WorkerSurvey(clock, ask);
  }

  start(workerIds: Iterable<WorkerId>, then: () => void): void {
    this.#drains.start(workerIds, null, DRAIN_MS_MAX, then);
  }

  drained(workerId: WorkerId, drainId: number): void {
    this.#drains.answered(workerId, drainId, null);
  }

  workerLost(workerId: WorkerId): void {
    this.#drains.workerLost(workerId);
  }
}
