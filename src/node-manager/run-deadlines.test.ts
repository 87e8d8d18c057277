import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RunDeadlines } from "./run-deadlines.ts";

/** Time that moves on command. */
class Harness {
  nowMs = 0;
  readonly log: string[] = [];
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();
  readonly deadlines: RunDeadlines;

  constructor() {
    this.deadlines = new RunDeadlines({
      clock: {
        nowMs: () => this.nowMs,
        after: (delayMs, callback) => {
          const timer = { atMs: this.nowMs + delayMs, callback };
          this.#timers.add(timer);
          return { cancel: () => void this.#timers.delete(timer) };
        },
      },
      send: (workerId, message) => this.log.push(`${this.nowMs} ${message.type} to ${workerId}`),
      endRun: (ownerId, workerId, leaseId, reason) => this.log.push(`${this.nowMs} end ${leaseId} of ${ownerId} at ${workerId}: ${reason}`),
    });
  }

  start(workerId: string, runId: number, leaseId: number | null, timeoutMs: number): void {
    this.deadlines.started(workerId, { type: "runStarted", runId, ownerId: "owner", taskSequence: runId, leaseId, name: "f", timeoutMs });
  }

  passUntil(untilMs: number): void {
    for (;;) {
      const [next] = [...this.#timers].sort((a, b) => a.atMs - b.atMs);
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.callback();
    }
    this.nowMs = untilMs;
  }

  get timers(): number {
    return this.#timers.size;
  }
}

describe("RunDeadlines", () => {
  it("tells owner and worker, and ends the worker of a task after a grace", () => {
    const harness = new Harness();
    harness.start("worker", 1, 7, 100);
    harness.passUntil(99);
    assert.deepEqual(harness.log, []);
    harness.passUntil(10_000);
    assert.deepEqual(harness.log, ["100 runTimedOut to owner", "100 stopTimedOutRun to worker", "600 end 7 of owner at worker: was ended because f() went on after its timeoutMs of 100 ms"]);
    assert.equal(harness.timers, 0);
  });

  it("leaves the worker of a task whose end is heard late, because this process stood still", () => {
    const harness = new Harness();
    harness.start("worker", 1, 7, 100);
    harness.passUntil(100);
    harness.nowMs = 5_000;
    harness.passUntil(5_050);
    harness.deadlines.ended("worker", 1);
    harness.passUntil(10_000);
    assert.deepEqual(harness.log, ["100 runTimedOut to owner", "100 stopTimedOutRun to worker"]);
    assert.equal(harness.timers, 0);
  });

  it("leaves the worker of a task that ends in its grace, and of a call", () => {
    const harness = new Harness();
    harness.start("worker", 1, 7, 100);
    harness.start("actor", 1, null, 100);
    harness.passUntil(300);
    harness.deadlines.ended("worker", 1);
    harness.passUntil(10_000);
    assert.deepEqual(harness.log.map((line) => line.split(" ").slice(1).join(" ")).sort(), ["runTimedOut to owner", "runTimedOut to owner", "stopTimedOutRun to actor", "stopTimedOutRun to worker"]);
    assert.equal(harness.timers, 0);
  });

  it("forgets runs that end in time, and those of lost workers", () => {
    const harness = new Harness();
    harness.start("a", 1, 7, 100);
    harness.start("a", 2, 7, 100);
    harness.start("b", 1, 8, 100);
    harness.deadlines.ended("a", 1);
    harness.deadlines.ended("a", 1);
    harness.deadlines.ended("a", 99);
    harness.deadlines.workerLost("b");
    harness.deadlines.workerLost("c");
    assert.equal(harness.timers, 1);
    harness.deadlines.ended("a", 2);
    harness.passUntil(10_000);
    assert.deepEqual(harness.log, []);
  });
});
