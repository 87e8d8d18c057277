import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, it } from "node:test";
import type { SystemErrorRecord } from "../base/mod.ts";
import { LimitedTasks, limitsOf } from "./call-limits.ts";
import type { CallLimits, PendingTask } from "./task.ts";

class Harness {
  readonly log: string[] = [];
  readonly limited = new LimitedTasks({
    cancel: (task, why) => this.log.push(`cancel ${task.sequence}: ${why}`),
    settle: (task, failure) => this.log.push(`settle ${task.sequence}: ${failure.error.message}`),
  });

  submit(sequence: number, limits: CallLimits, more: object = {}): PendingTask {
    const task = { sequence, name: "f", isDone: false, slot: 0, lease: { workerId: "w" }, template: { limits }, ...more } as unknown as PendingTask;
    const failure = this.limited.submitted(task, limits);
    if (failure !== null) this.log.push(`refused ${sequence}: ${(failure.error as SystemErrorRecord).kind}`);
    return task;
  }
}

const signalOnly = (signal: AbortSignal): CallLimits => ({ signal, timeoutMs: null });
const timeOnly = (timeoutMs: number): CallLimits => ({ signal: null, timeoutMs });

describe("limitsOf", () => {
  it("is null without any", () => {
    const { signal } = new AbortController();
    assert.equal(limitsOf({}), null);
    assert.equal(limitsOf({ timeoutMs: Number.POSITIVE_INFINITY }), null);
    assert.deepEqual(limitsOf({ timeoutMs: 5 }), timeOnly(5));
    assert.deepEqual(limitsOf({ signal }), signalOnly(signal));
  });
});

describe("LimitedTasks", () => {
  it("has one listener for all tasks of a signal, and none when they have ended", () => {
    const harness = new Harness();
    const { signal } = new AbortController();
    const limits = signalOnly(signal);
    const tasks = Array.from({ length: 100_000 }, (_, index) => harness.submit(index, limits));
    assert.equal(getEventListeners(signal, "abort").length, 1);
    for (const task of tasks.slice(1)) harness.limited.ended(task, limits);
    assert.equal(getEventListeners(signal, "abort").length, 1);
    harness.limited.ended(tasks[0] as PendingTask, limits);
    harness.limited.ended(tasks[0] as PendingTask, limits);
    assert.equal(getEventListeners(signal, "abort").length, 0);
  });

  it("cancels those that have not ended, and refuses later ones", () => {
    const harness = new Harness();
    const controller = new AbortController();
    const limits = signalOnly(controller.signal);
    harness.submit(1, limits);
    harness.limited.ended(harness.submit(2, limits), limits);
    harness.submit(3, limits);
    harness.submit(4, signalOnly(new AbortController().signal));
    controller.abort();
    harness.submit(5, limits);
    assert.deepEqual(harness.log, ["cancel 1: was cancelled: its signal was aborted", "cancel 3: was cancelled: its signal was aborted", "refused 5: TaskCancelledError"]);
  });

  it("settles a task whose time is over, where it ran", () => {
    const harness = new Harness();
    const limits = timeOnly(20);
    harness.submit(1, limits);
    harness.limited.ended(harness.submit(2, limits), limits);
    harness.submit(3, limits, { lease: { workerId: "another" } });
    harness.submit(4, limits, { slot: -1 });
    harness.submit(5, limits, { isDone: true });
    harness.submit(6, limits, { lease: null, callable: { client: { workerId: "w" } } });
    for (const sequence of [1, 2, 3, 4, 5, 6, 7]) harness.limited.timedOut("w", sequence);
    assert.deepEqual(harness.log, [1, 6].map((sequence) => `settle ${sequence}: f() ran for longer than its timeoutMs of 20 ms (worker w)`));
  });

  it("leaves nothing at signals when it is closed", () => {
    const harness = new Harness();
    const controller = new AbortController();
    harness.submit(1, signalOnly(controller.signal));
    harness.limited.close();
    assert.equal(getEventListeners(controller.signal, "abort").length, 0);
    controller.abort();
    assert.deepEqual(harness.log, []);
  });
});
