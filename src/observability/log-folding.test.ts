import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LogRecord } from "../protocol/mod.ts";
import { LogFolding } from "./log-folding.ts";

function record(line: string | readonly string[], details: Partial<LogRecord> = {}): LogRecord {
  return { pid: 7, workerId: "w1", source: "f", stream: "stdout", lines: typeof line === "string" ? [line] : line, ...details };
}
const texts = (lines: readonly { text: string }[]): string[] => lines.map(({ text }) => text);

describe("folding of workers' output", () => {
  test("a line is shown at once, with who printed it", () => {
    const folding = new LogFolding();
    assert.deepEqual(folding.add(record("hello"), 0), [{ stream: "stdout", text: "(f pid=7) hello" }]);
    assert.deepEqual(texts(folding.add(record("between calls", { source: null }), 0)), ["(worker pid=7) between calls"]);
  });

  test("what comes from another node says from which", () => {
    assert.deepEqual(texts(new LogFolding().add(record("hello", { nodeAddress: "10.0.0.2:6380" }), 0)), ["(f pid=7, node=10.0.0.2:6380) hello"]);
  });

  test("repeats are held back and shown as one line with their number when the window ends", () => {
    const folding = new LogFolding();
    folding.add(record("hello"), 0);
    assert.ok(!folding.isHolding);
    assert.deepEqual(folding.add(record("hello", { pid: 8, workerId: "w2" }), 100), []);
    assert.deepEqual(folding.add(record("hello"), 200), []);
    assert.ok(folding.isHolding);
    assert.deepEqual(folding.flush(4_999), []);
    assert.deepEqual(folding.flush(5_000), [{ stream: "stdout", text: "(f pid=7) hello [repeated 2x]" }]);
    assert.ok(!folding.isHolding);
    assert.deepEqual(folding.flush(10_000), [], "only once");
  });

  test("after the window the line is new again", () => {
    const folding = new LogFolding();
    folding.add(record("hello"), 0);
    folding.add(record("hello"), 1);
    assert.deepEqual(texts(folding.add(record("hello"), 6_000)), ["(f pid=7) hello [repeated 1x]", "(f pid=7) hello"]);
  });

  test("what was not repeated is not shown again", () => {
    const folding = new LogFolding();
    folding.add(record("hello"), 0);
    assert.deepEqual(folding.flush(Number.POSITIVE_INFINITY), []);
  });

  test("other text, another stream and another function are no repeats", () => {
    const folding = new LogFolding();
    folding.add(record("hello"), 0);
    assert.equal(folding.add(record("hello!"), 0).length, 1);
    assert.equal(folding.add(record("hello", { source: "g" }), 0).length, 1);
    assert.deepEqual(folding.add(record("hello", { stream: "stderr" }), 0), [{ stream: "stderr", text: "(f pid=7) hello" }]);
  });

  test("what was written at once is one text: no line of it is missing because another has the same, and it is repeated whole", () => {
    const folding = new LogFolding();
    const table = ["+---+", "| a |", "+---+"];
    assert.deepEqual(texts(folding.add(record(table), 0)), table.map((line) => `(f pid=7) ${line}`));
    assert.deepEqual(texts(folding.add(record(["+---+", "| b |", "+---+"]), 0)), ["(f pid=7) +---+", "(f pid=7) | b |", "(f pid=7) +---+"]);
    assert.deepEqual(folding.add(record(table), 0), []);
    assert.deepEqual(texts(folding.flush(Number.POSITIVE_INFINITY)), ["(f pid=7) +---+", "(f pid=7) | a |", "(f pid=7) +---+ [repeated 1x]"]);
  });

  test("empty lines, and texts that are too long to be remembered, are shown each time", () => {
    const folding = new LogFolding();
    const long = "x".repeat(20_000);
    for (const line of ["", " ", long]) for (let time = 0; time < 2; time++) assert.deepEqual(texts(folding.add(record(line), 0)), [`(f pid=7) ${line}`]);
    assert.ok(!folding.isHolding);
  });

  test("windows end in the order of their first lines", () => {
    const folding = new LogFolding();
    folding.add(record("early"), 0);
    folding.add(record("late"), 3_000);
    for (const line of ["late", "early"]) folding.add(record(line), 3_001);
    assert.deepEqual(texts(folding.flush(5_000)), ["(f pid=7) early [repeated 1x]"]);
    assert.ok(folding.isHolding);
    assert.deepEqual(texts(folding.flush(8_000)), ["(f pid=7) late [repeated 1x]"]);
  });

  test("ever new lines are all shown, with a bounded memory: the oldest is forgotten with its repeats told", () => {
    const folding = new LogFolding();
    folding.add(record("first"), 0);
    folding.add(record("first"), 0);
    const shown: string[] = [];
    for (let line = 0; line < 1_500; line++) shown.push(...texts(folding.add(record(`line ${line}`), 1)));
    assert.equal(shown.length, 1_501);
    assert.equal(shown.filter((text) => text === "(f pid=7) first [repeated 1x]").length, 1);
    assert.deepEqual(texts(folding.add(record("first"), 2)), ["(f pid=7) first"]);
  });
});
