import type { EncodedValueRecord } from "../protocol/mod.ts";
import type { FrameReader, FrameWriter } from "../transport/mod.ts";
import { packMessage, unpackMessage } from "../clients/mod.ts";

/**
 * Encoded values inside task and result frames.
 *
 *   u8 TAG_ENCODED, u8 format, bytes header, varuint buffer count, bytes each,
 *   u8 whether it names runtime objects or code, then those (clients/message-codec.ts)
 *
 * The tag lies outside of the tags that FrameWriter.writePrimitive uses.
 */
export const TAG_ENCODED = 0xf0;

export function writeEncodedValue(writer: FrameWriter, value: EncodedValueRecord): void {
  writer.u8(TAG_ENCODED);
  writer.u8(value.format);
  writer.bytes(value.header);
  writer.varuint(value.buffers.length);
  for (const buffer of value.buffers) writer.bytes(buffer);
  if (value.descriptors.length === 0 && value.code.length === 0) {
    writer.u8(0);
  } else {
    writer.u8(1);
    writer.bytes(packMessage([value.descriptors, value.code]));
  }
}

/** The tag has been read. Everything is copied out of the frame, which is only valid during its delivery. */
export function readEncodedValue(reader: FrameReader): EncodedValueRecord {
  const format = reader.u8() as 0 | 1;
  const header = new Uint8Array(reader.bytes());
  const buffers: Uint8Array[] = [];
  for (let remaining = reader.varuint(); remaining > 0; remaining--) buffers.push(new Uint8Array(reader.bytes()));
  if (reader.u8() === 0) return { format, header, buffers, descriptors: NONE, code: NONE };
  const [descriptors, code] = unpackMessage(reader.bytes()) as [unknown[], string[]];
  return { format, header, buffers, descriptors, code };
}

const NONE: readonly never[] = Object.freeze([]);
