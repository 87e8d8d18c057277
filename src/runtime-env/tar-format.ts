/** The archive format that npm and everybody else uses: blocks of 512 bytes, a header before each content (POSIX pax). */
export const BLOCK_BYTES = 512;
const NAME_BYTES_MAX = 100;
const NAME_OFFSET = 0;
const MODE_OFFSET = 100;
const SIZE_OFFSET = 124;
const CHECKSUM_OFFSET = 148;
const TYPE_OFFSET = 156;
const LINK_OFFSET = 157;
const MAGIC_OFFSET = 257;
const PREFIX_OFFSET = 345;
const PREFIX_BYTES_MAX = 155;

export type TarType = "file" | "folder" | "link";
const TYPE_FLAGS: Readonly<Record<TarType, string>> = { file: "0", folder: "5", link: "2" };
const PAX_FLAG = "x";

export interface TarEntry {
  readonly type: TarType;
  readonly path: string;
  /** Of a link. */
  readonly target: string;
  readonly isExecutable: boolean;
  readonly content: Uint8Array;
}

/** The blocks of one entry. Nothing in them depends on when or by whom they are written. */
export function* encodeEntry(entry: TarEntry): Iterable<Uint8Array> {
  const { type, path, target, content } = entry;
  const long = { ...(isLong(path) ? { path } : {}), ...(isLong(target) ? { linkpath: target } : {}) };
  if (Object.keys(long).length > 0) {
    const records = Buffer.from(Object.entries(long).map(([key, value]) => paxRecord(key, value)).join(""));
    yield header("pax", PAX_FLAG, "", records.length, 0o644);
    yield* padded(records);
  }
  yield header(path, TYPE_FLAGS[type], target, content.length, type === "folder" || entry.isExecutable ? 0o755 : 0o644);
  yield* padded(content);
}

export function endOfArchive(): Uint8Array {
  return new Uint8Array(2 * BLOCK_BYTES);
}

function isLong(name: string): boolean {
  return Buffer.byteLength(name) > NAME_BYTES_MAX;
}

function* padded(content: Uint8Array): Iterable<Uint8Array> {
  if (content.length === 0) return;
  yield content;
  const rest = content.length % BLOCK_BYTES;
  if (rest > 0) yield new Uint8Array(BLOCK_BYTES - rest);
}

/** Its length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const restBytes = Buffer.byteLength(rest);
  let length = restBytes + 1;
  while (String(length).length + restBytes !== length) length = String(length).length + restBytes;
  return length + rest;
}

function header(path: string, typeFlag: string, target: string, bytes: number, mode: number): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(path, NAME_OFFSET, NAME_BYTES_MAX);
  block.write(`${mode.toString(8).padStart(7, "0")}\0`, MODE_OFFSET);
  block.write("0000000\0".repeat(2), MODE_OFFSET + 8);
  block.write(`${bytes.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`, SIZE_OFFSET);
  block.write(typeFlag, TYPE_OFFSET);
  block.write(target, LINK_OFFSET, NAME_BYTES_MAX);
  block.write("ustar\x0000", MAGIC_OFFSET);
  block.write(`${checksumOf(block).toString(8).padStart(6, "0")}\0 `, CHECKSUM_OFFSET);
  return block;
}

/** The checksum's own place counts as blanks. */
function checksumOf(block: Uint8Array): number {
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index++) sum += index >= CHECKSUM_OFFSET && index < CHECKSUM_OFFSET + 8 ? 32 : (block[index] as number);
  return sum;
}

/** The entries of an archive, with views of its bytes. Kinds that a program has no use for (devices) are left out. @throws Error for what is no archive. */
export function* decodeArchive(archive: Uint8Array): Iterable<TarEntry> {
  const bytes = Buffer.from(archive.buffer, archive.byteOffset, archive.byteLength);
  if (bytes.length < BLOCK_BYTES) throw new Error("it is no tar archive, or damaged");
  let extended: Record<string, string> = {};
  for (let offset = 0; offset + BLOCK_BYTES <= bytes.length; ) {
    const block = bytes.subarray(offset, offset + BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) return;
    if (Number.parseInt(text(block, CHECKSUM_OFFSET, 8), 8) !== checksumOf(block)) throw new Error("it is no tar archive, or damaged");
    const length = sizeOf(block);
    const content = bytes.subarray(offset + BLOCK_BYTES, offset + BLOCK_BYTES + length);
    if (content.length < length) throw new Error("it ends in the middle of a file");
    offset += BLOCK_BYTES + Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
    const flag = String.fromCharCode(block[TYPE_OFFSET] as number);
    if (flag === PAX_FLAG) Object.assign(extended, paxRecordsOf(content));
    else if (flag === "L") extended["path"] = text(content, 0, content.length);
    else if (flag === "K") extended["linkpath"] = text(content, 0, content.length);
    else if (flag !== "g") {
      const type = flag === "5" ? "folder" : flag === "2" ? "link" : flag === "0" || flag === "\0" ? "file" : null;
      const mode = Number.parseInt(text(block, MODE_OFFSET, 8), 8);
      if (type !== null) yield { type, path: extended["path"] ?? nameOf(block), target: extended["linkpath"] ?? text(block, LINK_OFFSET, NAME_BYTES_MAX), isExecutable: (mode & 0o100) !== 0, content: type === "file" ? content : content.subarray(0, 0) };
      extended = {};
    }
  }
}

function nameOf(block: Buffer): string {
  const name = text(block, NAME_OFFSET, NAME_BYTES_MAX);
  const prefix = text(block, MAGIC_OFFSET, 5) === "ustar" ? text(block, PREFIX_OFFSET, PREFIX_BYTES_MAX) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

function sizeOf(block: Buffer): number {
  const length = Number.parseInt(text(block, SIZE_OFFSET, 12) || "0", 8);
  if (!Number.isSafeInteger(length) || length < 0) throw new Error("it is no tar archive, or damaged");
  return length;
}

function text(block: Buffer, offset: number, length: number): string {
  const end = block.indexOf(0, offset);
  return block.toString("utf8", offset, end < 0 || end > offset + length ? offset + length : end).trim();
}

function paxRecordsOf(content: Buffer): Record<string, string> {
  const records: Record<string, string> = {};
  for (let offset = 0; offset < content.length; ) {
    const length = Number.parseInt(content.toString("latin1", offset, content.indexOf(32, offset)), 10);
    if (!(length > 0)) throw new Error("it is damaged");
    const record = content.toString("utf8", content.indexOf(32, offset) + 1, offset + length - 1);
    const equals = record.indexOf("=");
    records[record.slice(0, equals)] = record.slice(equals + 1);
    offset += length;
  }
  return records;
}
