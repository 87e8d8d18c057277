import type { Clock, WorkerId } from "../base/mod.ts";
import { RunLog } from "../observability/mod.ts";
import type { RunsReport, TimelineRecord } from "../protocol/mod.ts";
import { WorkerSurvey } from "./worker-survey.ts";

/** Keeps what workers say has run, and asks them for the rest when somebody wants to see it. */
export class TimelineSurveys {
  readonly #log = new RunLog();
  readonly #surveys: WorkerSurvey<null, never>;

  constructor(clock: Clock, ask: (workerId: WorkerId, surveyId: number) => void) {
    this.#surveys = new WorkerSurvey(clock, ask);
  }

  start(workerIds: Iterable<WorkerId>, timeoutMs: number, then: (record: TimelineRecord) => void): void {
    this.#surveys.start(workerIds, null, timeoutMs, (_answers, unansweredWorkerIds) => then({ reports: this.#log.reports, dropped: this.#log.dropped, unansweredWorkerIds }));
  }

  reported(workerId: WorkerId, surveyId: number | null, report: RunsReport | null): void {
    if (report !== null) this.#log.add(report);
    if (surveyId !== null) this.#surveys.answered(workerId, surveyId, null);
  }

  workerLost(workerId: WorkerId): void {
    this.#surveys.workerLost(workerId);
  }
}
