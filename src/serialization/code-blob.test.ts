import assert from "node:assert/strict";
import { test } from "node:test";
import { packBlob, unpackBlob } from "./code-blob.ts";

test("header and buffers come back from a blob, wherever it lies in memory", () => {
  const header = Uint8Array.of(1, 2, 3, 4, 5);
  for (const buffers of [[], [new Uint8Array()], [Uint8Array.of(6, 7), new Uint8Array(), new Uint8Array(5_000).fill(8)]]) {
    const packed = packBlob(header, buffers);
    const elsewhere = Buffer.concat([Buffer.alloc(3), packed]).subarray(3);
    for (const blob of [packed, elsewhere]) {
      const content = unpackBlob(blob);
      assert.deepEqual(Array.from(content.header), Array.from(header));
      assert.deepEqual(content.buffers, buffers);
    }
  }
});

test("buffers of a blob are whole and its own: changing one changes no other copy", () => {
  const blob = packBlob(Uint8Array.of(1), [Uint8Array.of(2, 3)]);
  const [first] = unpackBlob(blob).buffers as [Uint8Array];
  assert.equal(first.buffer.byteLength, 2);
  first.fill(9);
  assert.deepEqual(unpackBlob(blob).buffers, [Uint8Array.of(2, 3)]);
});
