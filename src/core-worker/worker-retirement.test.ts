import assert from "node:assert/strict";
import { test } from "node:test";
import { IncomingFunction } from "./incoming-callable.ts";
import { WorkerRetirement } from "./worker-retirement.ts";

/** A worker whose time passes when it is told to. */
class Worker {
  readonly said: string[] = [];
  isNeeded = false;
  readonly #timers: (() => void)[] = [];
  readonly retirement = new WorkerRetirement({
    clock: { nowMs: () => 0, after: (_delayMs, callback) => { this.#timers.push(callback); return { cancel: () => undefined }; } },
    stopTakingTasks: () => this.said.push("stops"), isNeeded: () => this.isNeeded, exit: (reason) => this.said.push(`exits: ${reason}`),
  });

  passTime(): void {
    for (const callback of this.#timers.splice(0)) callback();
  }
}

test("a worker stops with the last call that is allowed, and ends when nothing needs it any more", () => {
  const worker = new Worker();
  const limited = new IncomingFunction("u1", "leaks", 2);
  worker.retirement.called(limited);
  worker.passTime();
  assert.deepEqual(worker.said, []);
  worker.isNeeded = true;
  worker.retirement.called(limited);
  assert.deepEqual(worker.said, ["stops"]);
  for (let look = 0; look < 3; look++) worker.passTime();
  assert.deepEqual(worker.said, ["stops"], "the call itself has not ended");
  worker.isNeeded = false;
  worker.passTime();
  worker.passTime();
  assert.deepEqual(worker.said, ["stops", "exits: had run leaks() 2 times, as often as its maxCalls allows"]);
});

test("calls are counted for each function, whatever limit each call has", () => {
  const worker = new Worker();
  worker.retirement.called(new IncomingFunction("u1", "leaks", 3));
  worker.retirement.called(new IncomingFunction("u2", "other", 3));
  worker.retirement.called(new IncomingFunction("u1", "leaks", 5));
  assert.deepEqual(worker.said, []);
  worker.retirement.called(new IncomingFunction("u1", "leaks", 3));
  worker.retirement.called(new IncomingFunction("u2", "other", 1));
  assert.deepEqual(worker.said, ["stops"], "once");
});
