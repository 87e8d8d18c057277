import { inflateRawSync } from "node:zlib";
import type { TarEntry } from "./tar-format.ts";

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 0xffff;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;
const UNIX = 3;
const TYPE_BITS = 0o170000;
const LINK_TYPE = 0o120000;
const ENCRYPTED = 1;

export function isZip(archive: Uint8Array): boolean {
  return archive.length >= END_BYTES && archive[0] === 0x50 && archive[1] === 0x4b;
}

/** The entries of a zip archive. @throws Error for what is none, damaged, encrypted, or larger than `bytesMax` once unpacked. */
export function* decodeZip(archive: Uint8Array, bytesMax: number): Iterable<TarEntry> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  const end = endRecord(bytes);
  const count = bytes.readUInt16LE(end + 10);
  let offset = bytes.readUInt32LE(end + 16);
  if (offset === 0xffffffff || count === 0xffff) throw new Error("it is a zip archive of the large kind (zip64); make a .tgz of it");
  let left = bytesMax;
  for (let index = 0; index < count; index++) {
    if (offset + CENTRAL_BYTES > bytes.length || bytes.readUInt32LE(offset) !== CENTRAL_SIGNATURE) throw new Error("it is no zip archive, or damaged");
    const nameLength = bytes.readUInt16LE(offset + 28);
    const name = bytes.toString("utf8", offset + CENTRAL_BYTES, offset + CENTRAL_BYTES + nameLength).replaceAll("\\", "/");
    const mode = bytes[offset + 5] === UNIX ? bytes.readUInt32LE(offset + 38) >>> 16 : 0;
    if ((bytes.readUInt16LE(offset + 8) & ENCRYPTED) !== 0) throw new Error(`'${name}' in it is encrypted`);
    const isFolder = name.endsWith("/");
    const content = isFolder ? new Uint8Array(0) : contentAt(bytes, offset, name, left);
    left -= content.byteLength;
    const isLink = (mode & TYPE_BITS) === LINK_TYPE;
    yield {
      type: isFolder ? "folder" : isLink ? "link" : "file", path: name, target: isLink ? Buffer.from(content).toString("utf8") : "",
      isExecutable: !isLink && (mode & 0o100) !== 0, content: isLink ? new Uint8Array(0) : content,
    };
    offset += CENTRAL_BYTES + nameLength + bytes.readUInt16LE(offset + 30) + bytes.readUInt16LE(offset + 32);
  }
}

/** At the end of the archive, before a comment. */
function endRecord(bytes: Buffer): number {
  for (let at = bytes.length - END_BYTES; at >= Math.max(0, bytes.length - END_BYTES - COMMENT_BYTES_MAX); at--) {
    if (bytes.readUInt32LE(at) === END_SIGNATURE) return at;
  }
  throw new Error("it is no zip archive, or damaged");
}

function contentAt(bytes: Buffer, central: number, name: string, bytesMax: number): Uint8Array {
  const method = bytes.readUInt16LE(central + 10);
  const packedBytes = bytes.readUInt32LE(central + 20);
  const fullBytes = bytes.readUInt32LE(central + 24);
  const local = bytes.readUInt32LE(central + 42);
  if (local + LOCAL_BYTES > bytes.length || bytes.readUInt32LE(local) !== LOCAL_SIGNATURE) throw new Error("it is no zip archive, or damaged");
  if (fullBytes > bytesMax) throw new Error("what is in it is too large");
  const start = local + LOCAL_BYTES + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
  const packed = bytes.subarray(start, start + packedBytes);
  if (packed.length < packedBytes) throw new Error("it ends in the middle of a file");
  if (method !== STORED && method !== DEFLATED) throw new Error(`'${name}' in it is packed in a way that is not supported (${method}); make a .tgz of it`);
  const content = method === STORED ? packed : inflateRawSync(packed, { maxOutputLength: Math.max(1, fullBytes) });
  if (content.byteLength !== fullBytes) throw new Error(`'${name}' in it is damaged`);
  return content;
}
