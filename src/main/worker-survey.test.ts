import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { WorkerObjectsReport } from "../protocol/mod.ts";
import { WorkerSurvey } from "./worker-survey.ts";

interface Outcome {
  readonly answered: readonly string[];
  readonly unanswered: readonly string[];
}

function setUp(): { surveys: WorkerSurvey<number, WorkerObjectsReport>; asked: [string, number, number][]; timers: Map<number, () => void>; outcomes: Outcome[]; start: (workerIds: string[]) => void } {
  const asked: [string, number, number][] = [];
  const timers = new Map<number, () => void>();
  let nextTimer = 1;
  const clock = { nowMs: () => 0, after: (_delayMs: number, then: () => void) => { const id = nextTimer++; timers.set(id, then); return { cancel: () => void timers.delete(id) }; } };
  const surveys = new WorkerSurvey<number, WorkerObjectsReport>(clock, (workerId, surveyId, limit) => asked.push([workerId, surveyId, limit]));
  const outcomes: Outcome[] = [];
  const start = (workerIds: string[]): void => surveys.start(workerIds, 7, 100, (reports, unanswered) => outcomes.push({ answered: reports.map(({ workerId }) => workerId), unanswered }));
  return { surveys, asked, timers, outcomes, start };
}

function report(workerId: string): WorkerObjectsReport {
  return { workerId, pid: 1, isDriver: false, actorClassName: null, owned: [], borrowed: [] };
}

describe("a survey of objects", () => {
  test("ends when every worker has answered, each counting once", () => {
    const { surveys, asked, timers, outcomes, start } = setUp();
    start(["a", "b"]);
    assert.deepEqual(asked, [["a", 1, 7], ["b", 1, 7]]);
    surveys.answered("a", 1, report("a"));
    surveys.answered("a", 1, report("a"));
    assert.deepEqual(outcomes, []);
    surveys.answered("b", 1, report("b"));
    assert.deepEqual(outcomes, [{ answered: ["a", "b"], unanswered: [] }]);
    assert.equal(timers.size, 0);
  });

  test("ends without the workers that are busy for too long, and names them; late answers are ignored", () => {
    const { surveys, timers, outcomes, start } = setUp();
    start(["busy", "idle"]);
    surveys.answered("idle", 1, report("idle"));
    for (const fire of timers.values()) fire();
    surveys.answered("busy", 1, report("busy"));
    assert.deepEqual(outcomes, [{ answered: ["idle"], unanswered: ["busy"] }]);
  });

  test("a worker that ends is neither waited for nor named", () => {
    const { surveys, outcomes, start } = setUp();
    start(["a", "b"]);
    surveys.workerLost("b");
    assert.deepEqual(outcomes, []);
    surveys.answered("a", 1, report("a"));
    assert.deepEqual(outcomes, [{ answered: ["a"], unanswered: [] }]);
    start(["c"]);
    surveys.workerLost("c");
    assert.deepEqual(outcomes.at(-1), { answered: [], unanswered: [] });
  });

  test("two at once do not mix", () => {
    const { surveys, outcomes, start } = setUp();
    start(["a"]);
    start(["a"]);
    surveys.answered("a", 2, report("a"));
    assert.equal(outcomes.length, 1);
    surveys.answered("a", 1, null);
    assert.deepEqual(outcomes, [{ answered: ["a"], unanswered: [] }, { answered: [], unanswered: [] }]);
  });

  test("is over at once without workers", () => {
    const { outcomes, timers, start } = setUp();
    start([]);
    assert.deepEqual(outcomes, [{ answered: [], unanswered: [] }]);
    assert.equal(timers.size, 0);
  });
});
