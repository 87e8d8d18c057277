import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { frontBytes, layoutBytes, onlyBuffer, readLayout, writeLayout } from "./object-layout.ts";

const parts = fc.record({
  header: fc.uint8Array({ maxLength: 300 }),
  buffers: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }),
});

describe("how an object lies in its extent", () => {
  test("everything is read as it was written, aligned, without overlap and within the length", () => {
    fc.assert(fc.property(parts, (value) => {
      const byteLength = layoutBytes(value);
      const target = new Uint8Array(byteLength);
      writeLayout(target, value);
      const { header, buffers } = readLayout(target);
      assert.equal(frontBytes(target.subarray(0, 16)), header.offset + header.byteLength);
      assert.deepEqual(readLayout(target.subarray(0, frontBytes(target))), { header, buffers }, "no more than the front is needed");
      const bytesAt = (place: { offset: number; byteLength: number }): number[] => [...target.subarray(place.offset, place.offset + place.byteLength)];
      assert.deepEqual(bytesAt(header), [...value.header]);
      if (buffers.length === 1) assert.deepEqual(onlyBuffer(header.byteLength, byteLength), buffers[0], "the only buffer is found by lengths");
      assert.deepEqual(buffers.map(bytesAt), value.buffers.map((buffer) => [...buffer]));
      let end = header.offset + header.byteLength;
      for (const buffer of buffers) {
        assert.equal(buffer.offset % 64, 0);
        assert.ok(buffer.offset >= end);
        end = buffer.offset + buffer.byteLength;
      }
      assert.equal(end, byteLength, "the last part ends with the layout");
    }));
  });

  test("buffers may begin anywhere in memory of their own, also in the middle of a target", () => {
    const whole = new Uint8Array(64 * 10).fill(255);
    const value = { header: new Uint8Array([1, 2, 3]).subarray(1), buffers: [new Uint8Array([4, 5, 6, 7]).subarray(2)] };
    const target = whole.subarray(64, 64 + layoutBytes(value));
    writeLayout(target, value);
    const { header, buffers } = readLayout(target);
    assert.deepEqual([...target.subarray(header.offset, header.offset + 2)], [2, 3]);
    assert.deepEqual([...target.subarray(buffers[0]!.offset)], [6, 7]);
    assert.ok(whole.subarray(0, 64).every((byte) => byte === 255) && whole.subarray(64 + layoutBytes(value)).every((byte) => byte === 255));
  });

  test("a target that is too short is refused, and so are bytes that are no object", () => {
    const value = { header: new Uint8Array(3), buffers: [new Uint8Array(100)] };
    assert.throws(() => writeLayout(new Uint8Array(layoutBytes(value) - 1), value), RangeError);
    assert.throws(() => readLayout(new Uint8Array(200)), /does not hold the object/);
    assert.throws(() => frontBytes(new Uint8Array(200).fill(9)), /does not hold the object/);
  });
});
