import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryStore } from "./mod.ts";

test("a stored value shares no memory with what it was made from", () => {
  const source = Uint8Array.of(1, 2, 3, 4);
  const stored = new MemoryStore().create({ format: 0, header: Uint8Array.of(9), buffers: [source.subarray(1, 3)], descriptors: [], code: [] });
  source.fill(0);
  assert.deepEqual([...(stored.buffers[0] as Uint8Array)], [2, 3]);
  assert.equal((stored.buffers[0] as Uint8Array).buffer.byteLength, 2, "only what belongs to the value is kept");
});

test("a value without buffers is kept as it is", () => {
  const value = { format: 0, header: Uint8Array.of(9), buffers: [], descriptors: [], code: [] } as const;
  assert.equal(new MemoryStore().create(value), value);
});
