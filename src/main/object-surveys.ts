import type { Clock, WorkerId } from "../base/mod.ts";
import type { WorkerObjectsReport } from "../protocol/mod.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** Asks workers what they know of large objects. */
export class ObjectSurveys {
  readonly #surveys: WorkerSurvey<WorkerObjectsReport>;
  readonly #ask: (workerId: WorkerId, surveyId: number, limit: number) => void;

  constructor(clock: Clock, ask: (workerId: WorkerId, surveyId: number, limit: number) => void) {
    this.#surveys = new WorkerSurvey(clock);
    this.#ask = ask;
  }

  start(workerIds: Iterable<WorkerId>, limit: number, timeoutMs: number, then: (reports: readonly WorkerObjectsReport[], unansweredWorkerIds: readonly WorkerId[]) => void): void {
    this.#surveys.start(workerIds, timeoutMs, (workerId, surveyId) => this.#ask(workerId, surveyId, limit), then);
  }

  reported(workerId: WorkerId, surveyId: number, report: WorkerObjectsReport | null): void {
    this.#surveys.answered(workerId, surveyId, report);
  }

  workerLost(workerId: WorkerId): void {
    this.#surveys.workerLost(workerId);
  }
}
