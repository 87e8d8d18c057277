import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { RUN_CALLED, RUN_COLUMNS, RUN_ENDED, RUN_IS_CALL, RUN_IS_CREATION, RUN_IS_TASK, RUN_KIND, RUN_NAME, RUN_OWNER, RUN_SEQUENCE, RUN_STARTED, RUN_WAITED, type RunsReport } from "../protocol/mod.ts";
import { traceEventsOf } from "./trace-events.ts";

interface Run { name: string; kind: number; sequence: number; started: number; called: number; ended: number; waited: number }
const node = { nodeId: "0123456789abcdef", hostname: "here" };

function reportOf(workerId: string, pid: number, runs: readonly Run[]): RunsReport {
  const texts = ["owner", ...new Set(runs.map(({ name }) => name))];
  const rows = new Float64Array(runs.length * RUN_COLUMNS);
  runs.forEach(({ name, kind, sequence, started, called, ended, waited }, index) => {
    const row = index * RUN_COLUMNS;
    for (const [column, value] of [[RUN_NAME, texts.indexOf(name)], [RUN_OWNER, 0], [RUN_SEQUENCE, sequence], [RUN_KIND, kind], [RUN_STARTED, started], [RUN_CALLED, called], [RUN_ENDED, ended], [RUN_WAITED, waited]] as const) rows[row + column] = value;
  });
  return { workerId, pid, texts, rows, dropped: 0 };
}
const run = (name: string, started: number, ended: number, rest: Partial<Run> = {}): Run => ({ name, kind: RUN_IS_TASK, sequence: 1, started, called: started, ended, waited: 0, ...rest });

describe("trace events", () => {
  test("name what has run, when, how long, where, and its id", () => {
    const events = traceEventsOf({ reports: [reportOf("w1", 7, [run("f", 1.5, 2, { sequence: 10, waited: 0.25 }), run("new Counter", 3, 4, { kind: RUN_IS_CREATION }), run("Counter.add", 5, 6, { kind: RUN_IS_CALL })])], dropped: 0, unansweredWorkerIds: [] }, node);
    const place = { pid: 7, tid: 1 };
    const worker = { workerId: "w1", nodeId: node.nodeId };
    assert.deepEqual(events, [
      { name: "process_name", ph: "M", pid: 7, tid: 0, args: { name: "pid 7 on here (node 01234567)" } },
      { name: "thread_name", ph: "M", ...place, args: { name: "worker w1" } },
      { name: "f", cat: "task", ph: "X", ts: 1500, dur: 500, ...place, args: { taskId: "owner00000000000a", ...worker, waitedMs: 0.25 } },
      { name: "new Counter", cat: "actor creation", ph: "X", ts: 3000, dur: 1000, ...place, args: worker },
      { name: "Counter.add", cat: "actor call", ph: "X", ts: 5000, dur: 1000, ...place, args: { taskId: "owner000000000001", ...worker } },
    ]);
  });

  test("show the phases of a run that had to wait for its code or arguments", () => {
    const events = traceEventsOf({ reports: [reportOf("w1", 7, [run("f", 1, 4, { called: 3 })])], dropped: 0, unansweredWorkerIds: [] }, node) as { name: string; ts: number; dur: number; cat: string }[];
    assert.deepEqual(events.slice(2).map(({ name, cat, ts, dur }) => [name, cat, ts, dur]), [["f", "task", 1000, 3000], ["code and arguments", "phase", 1000, 2000], ["run", "phase", 3000, 1000]]);
  });

  test("say what is missing", () => {
    const events = traceEventsOf({ reports: [reportOf("w1", 7, [run("f", 1, 2)])], dropped: 12, unansweredWorkerIds: ["w2"] }, node) as { name: string; ph: string; ts: number }[];
    assert.deepEqual(events.filter(({ ph }) => ph === "i").map(({ name, ts }) => [name, ts]), [["newest runs of busy workers are missing: w2", 1000], ["12 older runs are not kept", 1000]]);
    assert.deepEqual(traceEventsOf({ reports: [], dropped: 0, unansweredWorkerIds: [] }, node), []);
  });

  test("in a row of the picture, runs follow each other or contain each other, whatever overlapped", () => {
    const aRun = fc.record({ started: fc.integer({ min: 0, max: 50 }), prepares: fc.nat({ max: 3 }), lasts: fc.nat({ max: 20 }) });
    fc.assert(
      fc.property(fc.array(fc.array(aRun, { maxLength: 30 }), { maxLength: 3 }), (workers) => {
        const reports = workers.map((runs, index) => reportOf(`w${index}`, 7, runs.map(({ started, prepares, lasts }) => run("f", started, started + prepares + lasts, { called: started + prepares }))));
        const events = traceEventsOf({ reports, dropped: 0, unansweredWorkerIds: [] }, node) as { ph: string; cat: string; ts: number; dur: number; tid: number; args: { workerId: string } }[];
        const runs = events.filter(({ ph, cat }) => ph === "X" && cat === "task");
        assert.equal(runs.length, workers.flat().length);
        const rows = new Map<number, typeof runs>();
        for (const event of runs) rows.set(event.tid, [...(rows.get(event.tid) ?? []), event]);
        for (const row of rows.values()) {
          assert.equal(new Set(row.map(({ args }) => args.workerId)).size, 1, "a row is of one worker");
          for (const [index, event] of row.entries()) assert.ok(index === 0 || event.ts >= (row[index - 1]?.ts as number) + (row[index - 1]?.dur as number));
        }
      }),
    );
  });
});
