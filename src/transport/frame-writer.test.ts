import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FrameReader } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { TransportError } from "./transport-error.ts";

type Field =
  | { readonly kind: "u8" | "u16" | "u32" | "i32" | "f64" | "varuint"; readonly value: number }
  | { readonly kind: "bytes"; readonly value: Uint8Array }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "primitive"; readonly value: undefined | null | boolean | number | string | bigint };

const anyString = fc.oneof(fc.string(), fc.string({ unit: "binary", maxLength: 40 }), fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((units) => String.fromCharCode(...units)));
const anyField: fc.Arbitrary<Field> = fc.oneof(
  fc.record({ kind: fc.constant("u8" as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant("u16" as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant("u32" as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant("i32" as const), value: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }) }),
  fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
  fc.record({ kind: fc.constant("varuint" as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant("bytes" as const), value: fc.uint8Array({ maxLength: 100 }) }),
  fc.record({ kind: fc.constant("string" as const), value: anyString }),
  fc.record({
    kind: fc.constant("primitive" as const),
    value: fc.oneof(
      fc.constantFrom(undefined, null, true, false, -0, 0, 63, 64, -1, Number.NaN, 2 ** 31),
      fc.integer(),
      fc.double(),
      anyString,
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    ),
  }),
);

function write(writer: FrameWriter, field: Field): void {
  if (field.kind === "primitive") assert.equal(writer.writePrimitive(field.value), true);
  else if (field.kind === "bytes") writer.bytes(field.value);
  else if (field.kind === "string") writer.string(field.value);
  else writer[field.kind](field.value);
}

function read(reader: FrameReader, field: Field): unknown {
  return field.kind === "primitive" ? reader.readPrimitive() : reader[field.kind]();
}

test("whatever is written is read again, and every truncation is a typed error", () => {
  const writer = new FrameWriter();
  fc.assert(
    fc.property(fc.array(anyField, { minLength: 1, maxLength: 30 }), fc.nat(), (fields, cut) => {
      writer.reset();
      for (const field of fields) write(writer, field);
      const frame = writer.view().slice();
      const reader = new FrameReader(frame);
      for (const field of fields) assert.deepEqual(read(reader, field), field.value);
      assert.equal(reader.remainingBytes, 0);

      const truncated = new FrameReader(frame.subarray(0, cut % frame.byteLength));
      assert.throws(
        () => {
          for (const field of fields) read(truncated, field);
        },
        (error) => error instanceof TransportError && error.code === "ERR_MANTARAY_FRAME_MALFORMED",
      );
    }),
  );
});

test("garbage gives values or a typed error, nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const reader = new FrameReader(bytes);
      try {
        while (reader.remainingBytes > 0) reader.readPrimitive();
      } catch (error) {
        assert.ok(error instanceof TransportError);
      }
    }),
  );
});

test("the kinds of strings come back as they were, short and long", () => {
  const writer = new FrameWriter();
  for (const text of ["", "a", "\u00e9", "\u20ac", "\ud83d\ude00", "\ud800", "x\udc00y"]) {
    for (const repeats of [1, 5, 20, 10_000]) {
      const value = text.repeat(repeats);
      writer.reset();
      writer.string(value);
      assert.equal(new FrameReader(writer.view()).string(), value);
    }
  }
});

test("what is no primitive leaves the frame as it was", () => {
  const writer = new FrameWriter();
  writer.u8(1);
  for (const value of [{}, [], () => 0, Symbol("s"), 2n ** 63n, -(2n ** 63n) - 1n]) {
    assert.equal(writer.writePrimitive(value), false);
    assert.equal(writer.length, 1);
  }
});

test("counts can be filled in at the end", () => {
  const writer = new FrameWriter();
  writer.u16(0);
  writer.u32(0);
  writer.f64(0);
  writer.bytes(new Uint8Array(5000));
  writer.patchU16(0, 65_535);
  writer.patchU32(2, 2 ** 32 - 1);
  writer.patchF64(6, Math.PI);
  const reader = new FrameReader(writer.view());
  assert.deepEqual([reader.u16(), reader.u32(), reader.f64()], [65_535, 2 ** 32 - 1, Math.PI]);
  assert.equal(reader.bytes().byteLength, 5000);
});
