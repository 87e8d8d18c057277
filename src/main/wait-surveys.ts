import type { Clock, ObjectId, WorkerId } from "../base/mod.ts";
import type { WorkerWaits } from "../protocol/mod.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** Asks workers what they wait for. */
export class WaitSurveys {
  readonly #surveys: WorkerSurvey<WorkerWaits>;
  readonly #ask: (workerId: WorkerId, surveyId: number, objectId: ObjectId | null) => void;

  constructor(clock: Clock, ask: (workerId: WorkerId, surveyId: number, objectId: ObjectId | null) => void) {
    this.#surveys = new WorkerSurvey(clock);
    this.#ask = ask;
  }

  start(workerIds: Iterable<WorkerId>, objectId: ObjectId | null, timeoutMs: number, then: (workers: readonly WorkerWaits[], unansweredWorkerIds: readonly WorkerId[]) => void): void {
    this.#surveys.start(workerIds, timeoutMs, (workerId, surveyId) => this.#ask(workerId, surveyId, objectId), then);
  }

  reported(workerId: WorkerId, surveyId: number, waits: WorkerWaits): void {
    this.#surveys.answered(workerId, surveyId, waits);
  }

  workerLost(workerId: WorkerId): void {
    this.#surveys.workerLost(workerId);
  }
}
