import assert from "node:assert/strict";
import { test } from "node:test";
import { forgetOldest } from "./mod.ts";

test("what was added first goes first, and nothing goes within the bound", () => {
  const map = new Map([["a", 1], ["b", 2]]);
  forgetOldest(map, 2);
  assert.deepEqual([...map.keys()], ["a", "b"]);
  forgetOldest(map.set("c", 3), 2);
  assert.deepEqual([...map.keys()], ["b", "c"]);
  const set = new Set([1, 2, 3]);
  forgetOldest(set, 2);
  assert.deepEqual([...set], [2, 3]);
});
