import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { checksumInHeader, checksumOf, encodeHeader, headerBytesOf, SLICE_BYTES } from "./spill-record.ts";

test("a header is accepted for the object that it was written for, and for no other", () => {
  fc.assert(
    fc.property(fc.string(), fc.maxSafeNat(), fc.integer({ min: 0, max: 0xffff_ffff }), (key, byteLength, checksum) => {
      const header = encodeHeader({ key, byteLength, checksum });
      assert.equal(header.byteLength, headerBytesOf(key));
      assert.equal(checksumInHeader(header, key, byteLength), checksum);
      assert.equal(checksumInHeader(header, key, byteLength === 0 ? 1 : byteLength - 1), null);
      assert.equal(checksumInHeader(header, `${key}x`, byteLength), null);
    }),
  );
});

test("every flipped bit of a header is noticed", () => {
  const header = encodeHeader({ key: "object-1", byteLength: 12_345, checksum: 0xfeed_beef });
  for (let bit = 0; bit < header.byteLength * 8; bit++) {
    header[bit >> 3]! ^= 1 << (bit & 7);
    assert.equal(checksumInHeader(header, "object-1", 12_345), null, `bit ${bit}`);
    header[bit >> 3]! ^= 1 << (bit & 7);
  }
  assert.notEqual(checksumInHeader(header, "object-1", 12_345), null);
});

test("a key that is too long is refused", () => {
  assert.throws(() => encodeHeader({ key: "k".repeat(70_000), byteLength: 0, checksum: 0 }), /70000 bytes, more than 65535/);
});

test("the checksum of a large object is taken in several turns", async () => {
  const bytes = new Uint8Array(SLICE_BYTES * 5 + 3).fill(7);
  let turns = 0;
  const checksum = checksumOf(bytes);
  const done = checksum.then(() => true);
  while (!(await Promise.race([done, nextTurn(false)]))) turns++;
  assert.equal(await checksum, crc32(bytes));
  assert.ok(turns >= 3, `${turns} turns`);
  assert.equal(await checksumOf(new Uint8Array(0)), 0);
});
