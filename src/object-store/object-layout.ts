import { invariant } from "../base/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";

/**
 * How an encoded value lies in one extent (and, in the same bytes, in a spill file):
 *
 *   u32 magic, u32 bytes of the header, u32 count of buffers, u32 zero, f64 length of each buffer, header,
 *   then each buffer at the next multiple of 64 bytes, where any typed array may begin and no two share a cache line
 */
const MAGIC = 0x4d52_4f31;
const PREFIX_BYTES = 16;
const LENGTH_BYTES = 8;
const ALIGNMENT_BYTES = 64;

export interface EncodedParts {
  readonly header: Uint8Array;
  readonly buffers: readonly Uint8Array[];
}

/** Where a part lies, in bytes from the beginning of the extent. */
export interface PartPlace {
  readonly offset: number;
  readonly byteLength: number;
}

const aligned = (offset: number): number => Math.ceil(offset / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;

export function layoutBytes({ header, buffers }: EncodedParts): number {
  let end = PREFIX_BYTES + buffers.length * LENGTH_BYTES + header.byteLength;
  for (const buffer of buffers) end = aligned(end) + buffer.byteLength;
  return end;
}

/** `target` is at least `layoutBytes` long and begins at a multiple of 64 bytes. */
export function writeLayout(target: Uint8Array, { header, buffers }: EncodedParts): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, header.byteLength, true);
  view.setUint32(8, buffers.length, true);
  view.setUint32(12, 0, true);
  buffers.forEach((buffer, index) => view.setFloat64(PREFIX_BYTES + index * LENGTH_BYTES, buffer.byteLength, true));
  let end = PREFIX_BYTES + buffers.length * LENGTH_BYTES;
  target.set(header, end);
  end += header.byteLength;
  for (const buffer of buffers) {
    const start = aligned(end);
    target.set(buffer, start);
    end = start + buffer.byteLength;
  }
}

/** Where the only buffer of an object lies. `byteLength`: of all of it. */
export function onlyBuffer(headerBytes: number, byteLength: number): PartPlace {
  const offset = aligned(PREFIX_BYTES + LENGTH_BYTES + headerBytes);
  return { offset, byteLength: byteLength - offset };
}

/** How many bytes an object has before its buffers. `head`: its first ones, 16 at least. */
export function frontBytes(head: Uint8Array): number {
  const view = objectView(head);
  return PREFIX_BYTES + view.getUint32(8, true) * LENGTH_BYTES + view.getUint32(4, true);
}

/** `source`: the object up to its first buffer, or more. */
export function readLayout(source: Uint8Array): { header: PartPlace; buffers: PartPlace[] } {
  const view = objectView(source);
  const count = view.getUint32(8, true);
  const header = { offset: PREFIX_BYTES + count * LENGTH_BYTES, byteLength: view.getUint32(4, true) };
  let end = header.offset + header.byteLength;
  const buffers: PartPlace[] = [];
  for (let index = 0; index < count; index++) {
    const offset = aligned(end);
    const byteLength = view.getFloat64(PREFIX_BYTES + index * LENGTH_BYTES, true);
    buffers.push({ offset, byteLength });
    end = offset + byteLength;
  }
  return { header, buffers };
}

function objectView(bytes: Uint8Array): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  invariant(view.getUint32(0, true) === MAGIC, "shared memory does not hold the object that it should");
  return view;
}

/** The value with parts of its own, from the bytes of an extent. */
export function copiedParts(value: EncodedValueRecord, bytes: Uint8Array): EncodedValueRecord {
  const { header, buffers } = readLayout(bytes);
  const part = ({ offset, byteLength }: { offset: number; byteLength: number }): Uint8Array => bytes.slice(offset, offset + byteLength);
  return { format: value.format, descriptors: value.descriptors, code: value.code, header: part(header), buffers: buffers.map(part) };
}
