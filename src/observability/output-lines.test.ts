import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { OutputLines } from "./output-lines.ts";

function linesOf(...writes: readonly (Uint8Array | string)[]): string[] {
  const lines: string[] = [];
  const output = new OutputLines((more) => void lines.push(...more));
  for (const write of writes) output.write(write);
  output.flush();
  return lines;
}

describe("lines of what is written to a stream", () => {
  test("go on when they are complete, and without an end when nothing follows", () => {
    const lines: string[] = [];
    const output = new OutputLines((more) => void lines.push(...more));
    output.write("one\ntw");
    assert.deepEqual(lines, ["one"]);
    output.write("o\n\nthree");
    assert.deepEqual(lines, ["one", "two", ""]);
    for (let time = 0; time < 2; time++) output.flush();
    assert.deepEqual(lines, ["one", "two", "", "three"]);
  });

  test("are the same however the bytes come in pieces, in the middle of characters too", () => {
    fc.assert(fc.property(fc.array(fc.constantFrom("a", "é", "€", "😀", "\n"), { minLength: 1 }), fc.array(fc.nat(40)), (characters, cuts) => {
      const text = characters.join("");
      const bytes = Buffer.from(text);
      const places = [0, ...cuts.filter((cut) => cut < bytes.byteLength).sort((a, b) => a - b), bytes.byteLength];
      const pieces = places.slice(1).map((end, index) => bytes.subarray(places[index], end));
      assert.deepEqual(linesOf(...pieces), text.replace(/\n$/, "").split("\n"));
    }));
  });

  test("that have no end for long go on in pieces", () => {
    assert.deepEqual(linesOf("x".repeat(20_000), "y\n").map((line) => line.length), [20_000, 1]);
  });
});
