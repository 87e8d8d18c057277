import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RUN_COLUMNS, RUN_NAME, RUN_SEQUENCE, type RunsReport } from "../protocol/mod.ts";
import { RunLog } from "./run-log.ts";

function reportOf(workerId: string, names: readonly string[], dropped = 0): RunsReport {
  const texts = [...new Set(names)];
  const rows = new Float64Array(names.length * RUN_COLUMNS);
  names.forEach((name, index) => {
    rows[index * RUN_COLUMNS + RUN_NAME] = texts.indexOf(name);
    rows[index * RUN_COLUMNS + RUN_SEQUENCE] = index;
  });
  return { workerId, pid: 1, texts, rows, dropped };
}
const namesIn = ({ rows, texts }: RunsReport): string[] => Array.from({ length: rows.length / RUN_COLUMNS }, (_, index) => texts[rows[index * RUN_COLUMNS + RUN_NAME] as number] as string);
const many = (count: number): string[] => new Array<string>(count).fill("f");

describe("the log of what has run", () => {
  test("joins the short reports of a worker, with their names", () => {
    const log = new RunLog();
    log.add(reportOf("a", ["f", "g"]));
    log.add(reportOf("b", ["h"]));
    log.add(reportOf("a", ["h", "g", "i"], 3));
    assert.deepEqual(log.reports.map((report) => [report.workerId, namesIn(report)]), [["b", ["h"]], ["a", ["f", "g", "h", "g", "i"]]]);
    assert.equal(log.dropped, 3);
  });

  test("keeps 100,000 runs, drops the oldest, and counts them", () => {
    const log = new RunLog();
    for (let index = 0; index < 12; index++) log.add(reportOf(`w${index}`, many(10_000)));
    assert.deepEqual(log.reports.map(({ workerId }) => workerId), Array.from({ length: 10 }, (_, index) => `w${index + 2}`));
    assert.equal(log.dropped, 20_000);
    log.add(reportOf("w0", ["f"]));
    assert.equal(log.reports.length, 10, "what was dropped is not joined");
    assert.equal(log.dropped, 30_000);
  });

  test("keeps no more reports than are worth it, however short", () => {
    const log = new RunLog();
    for (let index = 0; index < 10_005; index++) log.add(reportOf(`w${index}`, ["f"]));
    assert.equal(log.reports.length, 10_000);
    assert.equal(log.dropped, 5);
  });
});
