import type { EncodedValueRecord } from "../protocol/mod.ts";
import type { FrameReader, FrameWriter } from "../transport/mod.ts";
import { packMessage, unpackMessage } from "../clients/mod.ts";

/**
 * Encoded values inside task and result frames.
 *
 *   u8 TAG_ENCODED, u8 format, bytes header, varuint buffer count, bytes each,
 *   u8 flags, [runtime objects and code that it names (clients/message-codec.ts)], [node, f64 id, u32 row, f64 bytes in shared memory]
 *
 * The tag lies outside of the tags that FrameWriter.writePrimitive uses.
 */
export const TAG_ENCODED = 0xf0;
const HAS_NAMES = 1;
const IS_STORED = 2;

export function writeEncodedValue(writer: FrameWriter, value: EncodedValueRecord): void {
  writer.u8(TAG_ENCODED);
  writer.u8(value.format);
  writer.bytes(value.header);
  writer.varuint(value.buffers.length);
  for (const buffer of value.buffers) writer.bytes(buffer);
  const hasNames = value.descriptors.length > 0 || value.code.length > 0;
  writer.u8((hasNames ? HAS_NAMES : 0) | (value.stored === undefined ? 0 : IS_STORED));
  if (hasNames) writer.bytes(packMessage([value.descriptors, value.code]));
  if (value.stored === undefined) return;
  writer.string(value.stored.node);
  writer.f64(value.stored.id);
  writer.u32(value.stored.row);
  writer.f64(value.stored.byteLength);
}

/** The tag has been read. Everything is copied out of the frame, which is only valid during its delivery. */
export function readEncodedValue(reader: FrameReader): EncodedValueRecord {
  const format = reader.u8() as 0 | 1;
  const header = new Uint8Array(reader.bytes());
  const buffers: Uint8Array[] = [];
  for (let remaining = reader.varuint(); remaining > 0; remaining--) buffers.push(new Uint8Array(reader.bytes()));
  const flags = reader.u8();
  if (flags === 0) return { format, header, buffers, descriptors: NONE, code: NONE };
  const [descriptors, code] = (flags & HAS_NAMES) === 0 ? [NONE, NONE] : (unpackMessage(reader.bytes()) as [unknown[], string[]]);
  if ((flags & IS_STORED) === 0) return { format, header, buffers, descriptors, code };
  return { format, header, buffers, descriptors, code, stored: { node: reader.string(), id: reader.f64(), row: reader.u32(), byteLength: reader.f64() } };
}

const NONE: readonly never[] = Object.freeze([]);
