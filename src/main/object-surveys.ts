import type { Clock, WorkerId } from "../base/mod.ts";
import type { WorkerObjectsReport } from "../protocol/mod.ts";

interface Survey {
  readonly waitingFor: Set<WorkerId>;
  readonly reports: WorkerObjectsReport[];
  finish(): void;
}

/** Asks workers what they know of large objects, and waits for their answers, but not for ever: some may be busy with one long computation. */
export class ObjectSurveys {
  readonly #clock: Clock;
  readonly #ask: (workerId: WorkerId, surveyId: number, limit: number) => void;
  readonly #surveys = new Map<number, Survey>();
  #nextSurvey = 1;

  constructor(clock: Clock, ask: (workerId: WorkerId, surveyId: number, limit: number) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  start(workerIds: Iterable<WorkerId>, limit: number, timeoutMs: number, then: (reports: readonly WorkerObjectsReport[], unansweredWorkerIds: readonly WorkerId[]) => void): void {
    const surveyId = this.#nextSurvey++;
    const timer = this.#clock.after(timeoutMs, () => survey.finish());
    const survey: Survey = {
      waitingFor: new Set(workerIds),
      reports: [],
      finish: () => {
        if (!this.#surveys.delete(surveyId)) return;
        timer.cancel();
        then(survey.reports, [...survey.waitingFor]);
      },
    };
    this.#surveys.set(surveyId, survey);
    for (const workerId of survey.waitingFor) this.#ask(workerId, surveyId, limit);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  reported(workerId: WorkerId, surveyId: number, report: WorkerObjectsReport | null): void {
    const survey = this.#surveys.get(surveyId);
    if (survey === undefined || !survey.waitingFor.delete(workerId)) return;
    if (report !== null) survey.reports.push(report);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  /** What it knew is gone with it. */
  workerLost(workerId: WorkerId): void {
    for (const survey of [...this.#surveys.values()]) if (survey.waitingFor.delete(workerId) && survey.waitingFor.size === 0) survey.finish();
  }
}
