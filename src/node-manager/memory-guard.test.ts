import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Clock } from "../base/mod.ts";
import { MemoryGuard } from "./memory-guard.ts";
import type { Working } from "./memory-pressure.ts";

const MEBIBYTE = 1024 ** 2;
const OWN_PID = 1;

function machine(everyMs = 250) {
  let nowMs = 0;
  const timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  const clock: Clock = {
    nowMs: () => nowMs,
    after: (delayMs, callback) => {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
  };
  const state = { usedBytes: 0, working: [] as Working[], ended: [] as string[], reasons: [] as string[], warnings: [] as string[], read: [] as (readonly number[])[] };
  const guard = new MemoryGuard({
    clock, threshold: 0.9, everyMs, own: { pid: OWN_PID, what: "the program" }, working: () => state.working,
    read: (pids) => { state.read.push(pids); return { usedBytes: state.usedBytes, totalBytes: 1000 * MEBIBYTE, where: "this machine" }; },
    readProcess: (pid) => 100 * MEBIBYTE * pid,
    end: (workerId, reason) => { state.ended.push(workerId); state.reasons.push(reason); },
    warn: (_workerId, text) => state.warnings.push(text),
  });
  const pass = (ms: number): void => {
    const untilMs = nowMs + ms;
    for (;;) {
      const [next] = [...timers].filter(({ atMs }) => atMs <= untilMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      timers.delete(next);
      nowMs = next.atMs;
      next.callback();
    }
    nowMs = untilMs;
  };
  return { guard, state, pass, timers };
}

const task = (workerId: string, began: number, pid: number | null = null): Working => ({ workerId, pid, group: "owner", began, isRetriable: true, isActor: false });

describe("the guard of a machine's memory", () => {
  test("ends nobody as long as there is enough, and does not look while nobody works", () => {
    const { guard, state, pass, timers } = machine();
    state.usedBytes = 900 * MEBIBYTE;
    state.working = [task("a", 1)];
    guard.somebodyWorks();
    pass(1_000);
    assert.deepEqual(state.ended, []);
    state.working = [];
    pass(1_000);
    assert.equal(timers.size, 0);
    guard.somebodyWorks();
    assert.equal(timers.size, 1);
    guard.stop();
    assert.equal(timers.size, 0);
  });

  test("ends one, waits until it is gone and its memory is back, and only then another", () => {
    const { guard, state, pass } = machine();
    state.usedBytes = 950 * MEBIBYTE;
    state.working = [task("old", 1, 2), task("new", 2, 3)];
    guard.somebodyWorks();
    pass(2_000);
    assert.deepEqual(state.ended, ["new"], "it has not gone yet");
    assert.deepEqual(state.read[0], [OWN_PID, 2, 3]);
    assert.match(state.reasons[0] as string, /most has a worker of tasks \(pid 3\) 300 MiB, a worker of tasks \(pid 2\) 200 MiB, the program \(pid 1\) 100 MiB$/);
    assert.match(state.warnings[0] as string, /^worker new was ended .*; what it did runs again later\. /);
    state.working = [task("old", 1, 2)];
    guard.workerLost("new");
    pass(250);
    assert.deepEqual(state.ended, ["new"], "its memory may come back yet");
    pass(750);
    assert.deepEqual(state.ended, ["new", "old"]);
  });

  test("ends another when one that was told to end does not", () => {
    const { guard, state, pass } = machine();
    state.usedBytes = 950 * MEBIBYTE;
    state.working = [task("stuck", 2)];
    guard.somebodyWorks();
    pass(4_000);
    assert.equal(state.ended.length, 1);
    pass(2_000);
    assert.equal(state.ended.length, 2);
  });

  test("can be switched off", () => {
    const { guard, state, timers } = machine(0);
    state.working = [task("a", 1)];
    guard.somebodyWorks();
    assert.equal(timers.size, 0);
  });
});
