import type { Clock, WorkerId } from "../base/mod.ts";

interface Survey<Answer> {
  readonly waitingFor: Set<WorkerId>;
  readonly answers: Answer[];
  finish(): void;
}

/** Asks workers something and waits until all have answered, but not for ever: some may be busy with one long computation. */
export class WorkerSurvey<Question, Answer> {
  readonly #clock: Clock;
  readonly #ask: (workerId: WorkerId, surveyId: number, question: Question) => void;
  readonly #surveys = new Map<number, Survey<Answer>>();
  #nextSurvey = 1;

  constructor(clock: Clock, ask: (workerId: WorkerId, surveyId: number, question: Question) => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  start(workerIds: Iterable<WorkerId>, question: Question, timeoutMs: number, then: (answers: readonly Answer[], unansweredWorkerIds: readonly WorkerId[]) => void): void {
    const surveyId = this.#nextSurvey++;
    const timer = this.#clock.after(timeoutMs, () => survey.finish());
    const survey: Survey<Answer> = {
      waitingFor: new Set(workerIds),
      answers: [],
      finish: () => {
        if (!this.#surveys.delete(surveyId)) return;
        timer.cancel();
        then(survey.answers, [...survey.waitingFor]);
      },
    };
    this.#surveys.set(surveyId, survey);
    for (const workerId of survey.waitingFor) this.#ask(workerId, surveyId, question);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  /** `answer` null: it has nothing to say. */
  answered(workerId: WorkerId, surveyId: number, answer: Answer | null): void {
    const survey = this.#surveys.get(surveyId);
    if (survey === undefined || !survey.waitingFor.delete(workerId)) return;
    if (answer !== null) survey.answers.push(answer);
    if (survey.waitingFor.size === 0) survey.finish();
  }

  /** What it would have said is gone with it. */
  workerLost(workerId: WorkerId): void {
    for (const surveyId of [...this.#surveys.keys()]) this.answered(workerId, surveyId, null);
  }
}
