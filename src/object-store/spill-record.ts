import { setImmediate as nextTurn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { invariant } from "../base/mod.ts";

/**
 * How one object lies in a spill file: a header, then its bytes. Little-endian.
 *
 *   0  magic   4  version   6  length of the key   8  length of the object   16  checksum of the object
 *   20  checksum of bytes 0 to 19 and of the key   24  the key in UTF-8
 *
 * The key makes a record that belongs to another object as detectable as a flipped bit.
 */
const MAGIC = 0x4c50534d;
const VERSION = 1;
const HEADER_CHECKSUM_OFFSET = 20;
const KEY_OFFSET = 24;

/** A key must fit into two bytes' worth of length; ids of objects have some dozens of bytes. */
const KEY_BYTES_MAX = 65_535;

/** What is checksummed, read or written at once, so that other work of the thread gets its turn in between. */
export const SLICE_BYTES = 4 * 1024 * 1024;

export interface RecordHeader {
  readonly key: string;
  readonly byteLength: number;
  readonly checksum: number;
}

export function headerBytesOf(key: string): number {
  return KEY_OFFSET + Buffer.byteLength(key);
}

export function encodeHeader({ key, byteLength, checksum }: RecordHeader): Uint8Array {
  const keyBytes = Buffer.from(key);
  invariant(keyBytes.byteLength <= KEY_BYTES_MAX, () => `the key of a spilled object has ${keyBytes.byteLength} bytes, more than ${KEY_BYTES_MAX}`);
  const header = Buffer.alloc(KEY_OFFSET + keyBytes.byteLength);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(VERSION, 4);
  header.writeUInt16LE(keyBytes.byteLength, 6);
  header.writeBigUInt64LE(BigInt(byteLength), 8);
  header.writeUInt32LE(checksum, 16);
  header.writeUInt32LE(crc32(keyBytes, crc32(header.subarray(0, HEADER_CHECKSUM_OFFSET))), HEADER_CHECKSUM_OFFSET);
  keyBytes.copy(header, KEY_OFFSET);
  return header;
}

/** The checksum that the object must have, or null when this is not the header that was written for it. */
export function checksumInHeader(header: Uint8Array, key: string, byteLength: number): number | null {
  const checksum = Buffer.from(header.buffer, header.byteOffset, header.byteLength).readUInt32LE(16);
  return Buffer.compare(encodeHeader({ key, byteLength, checksum }), header) === 0 ? checksum : null;
}

export function* slicesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.byteLength; start += SLICE_BYTES) yield bytes.subarray(start, start + SLICE_BYTES);
}

/** Continues the checksum `checksum` of what comes before `bytes`; 0 when nothing does. */
export function continueChecksum(bytes: Uint8Array, checksum: number): number {
  return crc32(bytes, checksum);
}

export async function checksumOf(bytes: Uint8Array): Promise<number> {
  let checksum = 0;
  let isFirst = true;
  for (const slice of slicesOf(bytes)) {
    if (!isFirst) await nextTurn();
    isFirst = false;
    checksum = continueChecksum(slice, checksum);
  }
  return checksum;
}
