import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RUN_COLUMNS, RUN_ENDED, RUN_IS_TASK, RUN_NAME, RUN_OWNER, RUN_SEQUENCE, RUN_STARTED, type RunsReport } from "../protocol/mod.ts";
import { RunRecorder } from "./run-recorder.ts";

function recorder(): { runs: RunRecorder; timers: (() => void)[]; reports: RunsReport[] } {
  const timers: (() => void)[] = [];
  const reports: RunsReport[] = [];
  return { runs: new RunRecorder({ workerId: "w", pid: 7, timeOriginMs: 1_000, after: (_delayMs, callback) => timers.push(callback), report: (report) => reports.push(report) }), timers, reports };
}
const add = (runs: RunRecorder, sequence: number, name = "f"): void => runs.add(name, "owner", sequence, RUN_IS_TASK, sequence, sequence, sequence + 0.5, 0);
function sequencesIn({ rows }: RunsReport): number[] {
  return Array.from({ length: rows.length / RUN_COLUMNS }, (_, index) => rows[index * RUN_COLUMNS + RUN_SEQUENCE] as number);
}
const upTo = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe("the record of what has run in a worker", () => {
  test("has names, owners and times since 1970, and is told a while after the first run", () => {
    const { runs, timers, reports } = recorder();
    add(runs, 1);
    add(runs, 2, "g");
    add(runs, 3);
    assert.equal(timers.length, 1);
    timers.shift()?.();
    const [report] = reports as [RunsReport];
    assert.deepEqual([report.workerId, report.pid, report.dropped, report.texts], ["w", 7, 0, ["f", "owner", "g"]]);
    const columns = (row: number): (number | undefined)[] => [RUN_NAME, RUN_OWNER, RUN_STARTED, RUN_ENDED].map((column) => report.rows[row * RUN_COLUMNS + column]);
    assert.deepEqual([columns(0), columns(1), columns(2)], [[0, 1, 1_001, 1_001.5], [2, 1, 1_002, 1_002.5], [0, 1, 1_003, 1_003.5]]);
    add(runs, 4);
    assert.equal(timers.length, 1, "with the next run, the next report");
  });

  test("is told once, and nothing is told where nothing has run", () => {
    const { runs, timers, reports } = recorder();
    assert.equal(runs.take(), null);
    add(runs, 1);
    assert.deepEqual(sequencesIn(runs.take() as RunsReport), [1]);
    timers.shift()?.();
    assert.deepEqual([reports, runs.take()], [[], null]);
  });

  test("keeps the newest and counts the others", () => {
    const { runs } = recorder();
    for (let round = 0; round < 2; round++) {
      for (const sequence of upTo(0, 300)) add(runs, sequence);
      assert.deepEqual(sequencesIn(runs.take() as RunsReport), upTo(0, 300));
      for (const sequence of upTo(0, 40_000)) add(runs, sequence);
      const report = runs.take() as RunsReport;
      assert.equal(report.dropped, 40_000 - 16_384);
      assert.deepEqual(sequencesIn(report), upTo(40_000 - 16_384, 40_000));
    }
  });
});
