import { sequencedId } from "../base/mod.ts";
import {
  RUN_CALLED, RUN_COLUMNS, RUN_ENDED, RUN_IS_CREATION, RUN_IS_TASK, RUN_KIND, RUN_NAME, RUN_OWNER, RUN_SEQUENCE, RUN_STARTED, RUN_WAITED, type RunsReport, type TimelineRecord,
} from "../protocol/mod.ts";

/** What has run, in the Trace Event Format of Chrome: an array of events, times in microseconds since 1970. */
export function traceEventsOf({ reports, dropped, unansweredWorkerIds }: TimelineRecord, node: { readonly nodeId: string; readonly hostname: string }): object[] {
  const events: object[] = [];
  const lanes = new Lanes();
  const pids = new Set<number>();
  for (const [workerId, runs] of runsByWorker(reports)) {
    for (const run of runs) {
      const { pid } = run;
      if (!pids.has(pid)) {
        pids.add(pid);
        events.push({ name: "process_name", ph: "M", pid, tid: 0, args: { name: `pid ${pid} on ${node.hostname} (node ${node.nodeId.slice(0, 8)})` } });
      }
      const lane = lanes.laneFor(workerId, run.startedUs, run.endedUs);
      if (lane.isNew) events.push({ name: "thread_name", ph: "M", pid, tid: lane.tid, args: { name: `worker ${workerId.slice(0, 8)}${lane.number === 1 ? "" : ` (${lane.number})`}` } });
      events.push(...eventsOf(run, lane.tid, workerId, node.nodeId));
    }
  }
  const [pid = 0] = pids;
  const note = (name: string): number => events.unshift({ name, cat: "note", ph: "i", s: "g", ts: lanes.firstUs, pid, tid: 0 });
  if (dropped > 0) note(`${dropped} older runs are not kept`);
  if (unansweredWorkerIds.length > 0) note(`newest runs of busy workers are missing: ${unansweredWorkerIds.join(", ")}`);
  return events;
}

interface Run {
  readonly name: string;
  readonly taskId: string | null;
  readonly category: string;
  readonly pid: number;
  readonly startedUs: number;
  readonly calledUs: number;
  readonly endedUs: number;
  readonly waitedUs: number;
}

/** Of each worker in the order of their starts; where two start together, the longer first, around the other. */
function runsByWorker(reports: readonly RunsReport[]): Map<string, Run[]> {
  const byWorker = new Map<string, Run[]>();
  for (const report of reports) {
    const runs = byWorker.get(report.workerId) ?? [];
    byWorker.set(report.workerId, runs);
    for (let row = 0; row < report.rows.length; row += RUN_COLUMNS) runs.push(runAt(report, row));
  }
  for (const runs of byWorker.values()) runs.sort((a, b) => a.startedUs - b.startedUs || b.endedUs - a.endedUs);
  return byWorker;
}

function runAt({ rows, texts, pid }: RunsReport, row: number): Run {
  const column = (index: number): number => rows[row + index] as number;
  const us = (index: number): number => Math.round(column(index) * 1000);
  const kind = column(RUN_KIND);
  return {
    name: texts[column(RUN_NAME)] as string,
    taskId: kind === RUN_IS_CREATION ? null : sequencedId(texts[column(RUN_OWNER)] as string, column(RUN_SEQUENCE)),
    category: kind === RUN_IS_TASK ? "task" : kind === RUN_IS_CREATION ? "actor creation" : "actor call",
    pid, startedUs: us(RUN_STARTED), calledUs: us(RUN_CALLED), endedUs: us(RUN_ENDED), waitedUs: Math.round(column(RUN_WAITED) * 1000),
  };
}

function eventsOf({ name, taskId, category, pid, startedUs, calledUs, endedUs, waitedUs }: Run, tid: number, workerId: string, nodeId: string): object[] {
  const args = { ...(taskId === null ? {} : { taskId }), workerId, nodeId, ...(waitedUs === 0 ? {} : { waitedMs: waitedUs / 1000 }) };
  const whole = { name, cat: category, ph: "X", ts: startedUs, dur: endedUs - startedUs, pid, tid, args };
  if (calledUs === startedUs) return [whole];
  const preparing = { name: "code and arguments", cat: "phase", ph: "X", ts: startedUs, dur: calledUs - startedUs, pid, tid, args: {} };
  return [whole, preparing, { name: "run", cat: "phase", ph: "X", ts: calledUs, dur: endedUs - calledUs, pid, tid, args: {} }];
}

/** Runs of one worker that overlap (they wait, and others run meanwhile) are shown in rows of their own: viewers take what overlaps for nested. */
class Lanes {
  readonly #byWorker = new Map<string, { readonly tid: number; freeFromUs: number }[]>();
  #tids = 0;
  /** Start of the earliest run so far. */
  firstUs = Number.POSITIVE_INFINITY;

  laneFor(workerId: string, startedUs: number, endedUs: number): { readonly tid: number; readonly number: number; readonly isNew: boolean } {
    this.firstUs = Math.min(this.firstUs, startedUs);
    const lanes = this.#byWorker.get(workerId) ?? [];
    this.#byWorker.set(workerId, lanes);
    const free = lanes.findIndex(({ freeFromUs }) => freeFromUs <= startedUs);
    if (free < 0) lanes.push({ tid: ++this.#tids, freeFromUs: endedUs });
    const index = free < 0 ? lanes.length - 1 : free;
    const lane = lanes[index] as (typeof lanes)[number];
    lane.freeFromUs = endedUs;
    return { tid: lane.tid, number: index + 1, isNew: free < 0 };
  }
}
