import assert from "node:assert/strict";
import { test } from "node:test";
import { HeapCopies } from "./heap-copies.ts";

test("copies beyond the limit push out those that were used longest ago, if they are complete and nobody reads them", () => {
  const dropped: number[] = [];
  const copies = new HeapCopies(400, (id) => void dropped.push(id));
  const [a, b, c, d] = [1, 2, 3, 4].map(() => copies.add(100)!);
  for (const id of [a!, b!, c!]) copies.complete(id);
  copies.pin(b!, 1);
  copies.bytes(a!);
  assert.notEqual(copies.add(100), null);
  assert.deepEqual(dropped, [c]);
  assert.equal(copies.add(300), null, "of the rest one is pinned and two are incomplete");
  assert.deepEqual(dropped, [c, a]);
  assert.equal(copies.bytes(d!)?.byteLength, 100);
  copies.pin(b!, -1);
  assert.notEqual(copies.add(200), null);
  assert.deepEqual(dropped, [c, a, b]);
});
