import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../base/fixtures/manual-clock.ts";
import { LastWords } from "./last-words.ts";

function setUp(): { clock: ManualClock; words: LastWords; told: string[]; close: () => void } {
  const clock = new ManualClock();
  const words = new LastWords(clock);
  let close = (): void => undefined;
  words.linked("worker", { onClose: (handler) => { close = () => handler("lost"); } });
  return { clock, words, told: [], close: () => close() };
}

test("the end of a worker is told when its link has closed, once", () => {
  const { clock, words, told, close } = setUp();
  words.after("worker", () => told.push("end"));
  assert.deepEqual(told, []);
  close();
  assert.deepEqual(told, ["end"]);
  clock.advance(60_000);
  assert.deepEqual(told, ["end"]);
});

test("the end of a worker whose link has closed before, or that never had one, is told at once", () => {
  const { words, told, close } = setUp();
  close();
  words.after("worker", () => told.push("end"));
  words.after("never up", () => told.push("other"));
  assert.deepEqual(told, ["end", "other"]);
});

test("a link that never closes is waited for only so long", () => {
  const { clock, words, told, close } = setUp();
  words.after("worker", () => told.push("end"));
  clock.advance(999);
  assert.deepEqual(told, []);
  clock.advance(1);
  assert.deepEqual(told, ["end"]);
  close();
  assert.deepEqual(told, ["end"]);
});
