import assert from "node:assert/strict";
import { test } from "node:test";
import { OutputDrain } from "./output-drain.ts";

function setUp(): { drain: OutputDrain; asked: [string, number][]; fire: () => void; done: { count: number } } {
  const asked: [string, number][] = [];
  let callback = (): void => undefined;
  const clock = { nowMs: () => 0, after: (_delayMs: number, then: () => void) => { callback = then; return { cancel: () => { callback = () => undefined; } }; } };
  return { drain: new OutputDrain(clock, (workerId, drainId) => asked.push([workerId, drainId])), asked, fire: () => callback(), done: { count: 0 } };
}

test("ends when every worker has answered, a lost one counting as answered", () => {
  const { drain, asked, done } = setUp();
  drain.start(["a", "b", "c"], () => { done.count++; });
  assert.deepEqual(asked, [["a", 1], ["b", 1], ["c", 1]]);
  drain.drained("a", 1);
  drain.workerLost("b");
  assert.equal(done.count, 0);
  drain.drained("c", 1);
  drain.drained("c", 1);
  assert.equal(done.count, 1);
});

test("does not wait for a worker that is busy for long", () => {
  const { drain, fire, done } = setUp();
  drain.start(["busy"], () => { done.count++; });
  fire();
  assert.equal(done.count, 1);
});

test("is done at once without workers", () => {
  const { drain, done } = setUp();
  drain.start([], () => { done.count++; });
  assert.equal(done.count, 1);
});
