import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, eventually, onlyOnOneNode, underBothIsolations } from "./both-isolations.ts";

interface TraceEvent { name: string; ph: string; cat?: string; ts?: number; dur?: number; pid: number; tid: number; s?: string; args?: Record<string, unknown> }

/** What viewers ask of the JSON form of Chrome's Trace Event Format. */
function checkFormat(events: readonly TraceEvent[]): void {
  const named = new Set<string>();
  const openUntil = new Map<string, number[]>();
  for (const { name, ph, ts, dur, pid, tid, s, args } of events) {
    assert.equal(typeof name, "string");
    assert.ok(Number.isInteger(pid) && Number.isInteger(tid), `${name} has a process and a thread`);
    const row = `${pid}/${tid}`;
    if (ph === "M") {
      assert.ok(name === "process_name" || name === "thread_name");
      assert.equal(typeof args?.["name"], "string");
      named.add(name === "process_name" ? String(pid) : row);
    } else if (ph === "i") {
      assert.ok(s === "g" && Number.isInteger(ts));
    } else {
      assert.equal(ph, "X");
      assert.ok(Number.isInteger(ts) && Number.isInteger(dur) && (dur as number) >= 0, `${name} lasts ${dur}`);
      assert.ok(named.has(row) && named.has(String(pid)), "rows are named before they are used");
      // What overlaps in a row must be nested.
      const open = openUntil.get(row) ?? [];
      while (open.length > 0 && (open.at(-1) as number) <= (ts as number)) open.pop();
      assert.ok(open.length === 0 || (ts as number) + (dur as number) <= (open.at(-1) as number), `${name} ends within what contains it`);
      open.push((ts as number) + (dur as number));
      openUntil.set(row, open);
    }
  }
}

const runsOf = (events: readonly object[], name: string): TraceEvent[] => (events as TraceEvent[]).filter((event) => event.ph === "X" && event.name === name);

underBothIsolations("the timeline", { isOnFreshNodes: true }, (isolation) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));

  it("has the tasks and calls that ran, where and when, and is written as JSON that viewers load", async () => {
    const beforeUs = Date.now() * 1000;
    const square = ray.remote(function square(value: number) { return value * value; });
    class Counter { count = 0; increment() { return ++this.count; } async later() { await new Promise((resolve) => setImmediate(resolve)); } }
    const refs = [1, 2, 3].map((value) => square.remote(value));
    const counter = ray.remote(Counter).remote();
    await ray.get([...refs, counter.increment.remote(), ...Array.from({ length: 5 }, () => counter.later.remote())]);
    await ray.get(square.options({ name: "named" }).remote(4));
    await assert.rejects(ray.get(ray.remote(function fails() { throw new Error("no"); }).remote()));
    const file = join(folder, "timeline.json");
    const events = await ray.timeline(file) as TraceEvent[];
    checkFormat(events);
    assert.deepEqual(JSON.parse(readFileSync(file, "utf8")), events);
    for (const [name, count, category] of [["square", 3, "task"], ["named", 1, "task"], ["fails", 1, "task"], ["new Counter", 1, "actor creation"], ["Counter.increment", 1, "actor call"], ["Counter.later", 5, "actor call"]] as const) {
      const runs = runsOf(events, name);
      assert.equal(runs.length, count, name);
      for (const { cat, pid, ts } of runs) {
        assert.equal(cat, category);
        assert.equal(pid === process.pid, areThreadsHere(isolation));
        assert.ok((ts as number) >= beforeUs - 1e6 && (ts as number) <= Date.now() * 1000 + 1e6, "times are of the clock on the wall");
      }
    }
    assert.deepEqual(runsOf(events, "square").map(({ args }) => args?.["taskId"]).sort(), refs.map((ref) => ref.taskId()).sort());
    const nodeIds = (await ray.nodes()).map(({ nodeId }) => nodeId);
    for (const { args } of runsOf(events, "square")) assert.ok(nodeIds.includes(args?.["nodeId"] as string));
    counter.release();
  });

  it("keeps each run once, however often it is looked at, and what ended workers ran", async () => {
    const leave = ray.remote(class Leaver { work() { return 1; } leave() { ray.exitActor(); } }).remote();
    await ray.get(leave.work.remote());
    await assert.rejects(ray.get(leave.leave.remote()), ray.ActorDiedError);
    await eventually("its last word", async () => runsOf(await ray.timeline(), "Leaver.leave").length > 0);
    const [first, second] = [await ray.timeline(), await ray.timeline()];
    for (const events of [first, second]) assert.deepEqual(["new Leaver", "Leaver.work", "Leaver.leave"].map((name) => runsOf(events, name).length), [1, 1, 1]);
  });

  it("shows a task around what it waited for, with the time that it waited", async () => {
    const inner = ray.remote(async function inner() { await new Promise((resolve) => setTimeout(resolve, 20)); });
    const outer = ray.remote(async function outer() { await ray.get(inner.remote()); });
    await ray.get(outer.remote());
    const events = await ray.timeline();
    checkFormat(events as TraceEvent[]);
    const [around] = runsOf(events, "outer") as [TraceEvent];
    const [within] = runsOf(events, "inner") as [TraceEvent];
    assert.ok((around.ts as number) <= (within.ts as number) && (around.dur as number) >= (within.dur as number));
    assert.ok((around.args?.["waitedMs"] as number) > 0);
  });

  it("is bounded, and says how much is missing", { skip: onlyOnOneNode("each node has as much room of its own") }, async () => {
    const quick = ray.remote(function quick() {});
    for (let round = 0; round < 15; round++) await ray.get(Array.from({ length: 10_000 }, () => quick.remote()));
    const events = await ray.timeline() as TraceEvent[];
    checkFormat(events);
    const kept = events.filter(({ ph }) => ph === "X").length;
    assert.ok(kept <= 100_000);
    const [missing] = events.filter(({ ph }) => ph === "i");
    assert.match(missing?.name as string, /^\d+ older runs are not kept$/);
    assert.ok(Number.parseInt(missing?.name as string, 10) + runsOf(events, "quick").length >= 150_000);
  });

  it("takes a path, and says what the file system says", async () => {
    await assert.rejects(ray.timeline(1 as unknown as string), ray.InvalidArgumentError);
    await assert.rejects(ray.timeline(join(folder, "none", "timeline.json")), { code: "ENOENT" });
  });
});
