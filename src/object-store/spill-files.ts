import * as nodeFileSystem from "node:fs/promises";
import { join } from "node:path";
import { Deque, invariant, OutOfDiskError, RuntimeStateError } from "../base/mod.ts";
import { checksumInHeader, checksumOf, continueChecksum, encodeHeader, headerBytesOf, SLICE_BYTES, slicesOf } from "./spill-record.ts";
import { SPILL_FILE_BYTES_MAX, type SpillInstruction, type SpillLocation, type SpillRecord, SpillState } from "./spill-state.ts";

/** Buffers that one call writes. */
const PIECES_AT_ONCE_MAX = 512;

/** Files that are open for reading at the same time. Further reads wait: more would not be quicker, and descriptors are scarce. */
const READS_AT_ONCE_MAX = 16;

export interface SpillItem {
  readonly key: string;
  /** Must stay as they are until the promise of `write` settles. */
  readonly bytes: Uint8Array;
}

export interface SpillFilesOptions {
  readonly folder: string;
  readonly fileBytesMax?: number;
  readonly fileSystem?: SpillFileSystem | undefined;
}

/** What is used of `node:fs/promises`. */
export interface SpillFileSystem {
  mkdir(path: string, options: { readonly recursive: true; readonly mode: number }): Promise<unknown>;
  open(path: string, flags: "wx" | "r", mode?: number): Promise<SpillFileHandle>;
  unlink(path: string): Promise<void>;
  rmdir(path: string): Promise<void>;
}

export interface SpillFileHandle {
  writev(buffers: readonly Uint8Array[], position: number): Promise<{ readonly bytesWritten: number }>;
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

export type SpillDamage = "gone" | "truncated" | "altered";

/** A file on disk is not any more what was written: this copy of the object is lost. */
export class SpillDamagedError extends Error {
  readonly key: string;
  readonly damage: SpillDamage;
  constructor(key: string, path: string, damage: SpillDamage, options?: { cause?: unknown }) {
    super(
      `The copy of object ${key} on disk is lost: spill file ${path} is ${damage}. Check the disk, and that nothing else changes or removes files in that folder.`,
      options,
    );
    this.name = "SpillDamagedError";
    this.key = key;
    this.damage = damage;
  }
}

/**
 * Objects on disk. Everything is asynchronous and in slices, so that the thread stays responsive whatever the objects' size.
 * When a promise settles, nothing reads from or writes to the memory that was handed in any more.
 */
export class SpillFiles {
  readonly #folder: string;
  readonly #fileBytesMax: number;
  readonly #fileSystem: SpillFileSystem;
  readonly #state = new SpillState();
  readonly #underWay = new Set<Promise<void>>();
  readonly #waitingReads = new Deque<() => void>();
  #readsFree = READS_AT_ONCE_MAX;
  #isFolderUsed = false;
  #isClosed = false;
  #closing: Promise<void> | null = null;
  #removalError: unknown = null;

  /** Touches nothing: the folder is made by the first write. */
  constructor({ folder, fileBytesMax = SPILL_FILE_BYTES_MAX, fileSystem = nodeFileSystem }: SpillFilesOptions) {
    this.#folder = folder;
    this.#fileBytesMax = fileBytesMax;
    this.#fileSystem = fileSystem;
  }

  /** Bytes of the objects that can be read. Their files may be larger: they go with the last of their objects. */
  get spilledBytes(): number {
    return this.#state.spilledBytes;
  }

  /** Files that are on disk, those that are being written or removed included. */
  get fileCount(): number {
    return this.#state.fileCount;
  }

  /** Whether the object can be read: it is written completely and not forgotten. */
  has(key: string): boolean {
    return this.#state.locate(key) !== undefined;
  }

  byteLengthOf(key: string): number | undefined {
    return this.#state.locate(key)?.byteLength;
  }

  /**
   * Writes the items behind each other into a new file; into several, should they exceed its limit. On failure nothing of
   * the call stays. Rejects with OutOfDiskError when the disk or the quota is full; it may be tried again once there is space.
   */
  write(items: readonly SpillItem[]): Promise<void> {
    return this.#track(this.#write(items));
  }

  /**
   * Reads an object into exactly as many bytes as it has. Rejects with SpillDamagedError when its file has suffered, and with
   * a plain error for what may pass, such as too many open files; what `into` holds then means nothing.
   */
  read(key: string, into: Uint8Array): Promise<void> {
    return this.#track(this.#read(key, into));
  }

  /** The object is not needed any more, also while it is being written. A read that has begun still gets its bytes. */
  forget(key: string): void {
    void this.#carryOut(this.#state.forget(key));
  }

  /** Ends reads and writes that are under way (they reject), and removes all files and the folder. May be called again if it fails. */
  close(): Promise<void> {
    this.#isClosed = true;
    this.#closing ??= this.#removeEverything().catch((error: unknown) => {
      this.#closing = null;
      throw error;
    });
    return this.#closing;
  }

  async #write(items: readonly SpillItem[]): Promise<void> {
    this.#refuseIfClosed();
    if (items.length === 0) return;
    const groups = fuse(items, this.#fileBytesMax);
    const fileIds = this.#state.begin(groups.map(layoutOf));
    // Before it takes more space, what could not be given back earlier.
    void this.#carryOut(this.#state.retryRemovals());
    let createdCount = 0;
    try {
      this.#isFolderUsed = true;
      // Each time: whoever cleans temporary folders may have taken it away.
      await this.#fileSystem.mkdir(this.#folder, { recursive: true, mode: 0o700 });
      for (const [index, group] of groups.entries()) {
        const handle = await this.#fileSystem.open(this.#pathOf(fileIds[index]!), "wx", 0o600);
        createdCount++;
        await this.#fill(handle, group);
      }
    } catch (error) {
      await this.#carryOut(fileIds.flatMap((fileId, index) => this.#state.failed(fileId, index < createdCount)));
      throw this.#writeError(items, error);
    }
    void this.#carryOut(fileIds.flatMap((fileId) => this.#state.written(fileId)));
  }

  async #fill(handle: SpillFileHandle, items: readonly SpillItem[]): Promise<void> {
    try {
      await this.#writeRecords(handle, items);
    } catch (error) {
      await handle.close().catch(() => undefined);
      throw error;
    }
    // Some file systems find out only now that there was no space.
    await handle.close();
  }

  async #writeRecords(handle: SpillFileHandle, items: readonly SpillItem[]): Promise<void> {
    let pieces: Uint8Array[] = [];
    let piecesBytes = 0;
    let position = 0;
    const flush = async (): Promise<void> => {
      this.#refuseIfClosed();
      await writeFully(handle, pieces, position);
      position += piecesBytes;
      pieces = [];
      piecesBytes = 0;
    };
    for (const { key, bytes } of items) {
      const checksum = await checksumOf(bytes);
      for (const piece of [encodeHeader({ key, byteLength: bytes.byteLength, checksum }), ...slicesOf(bytes)]) {
        pieces.push(piece);
        piecesBytes += piece.byteLength;
        if (piecesBytes >= SLICE_BYTES || pieces.length >= PIECES_AT_ONCE_MAX) await flush();
      }
    }
    if (pieces.length > 0) await flush();
  }

  #writeError(items: readonly SpillItem[], error: unknown): Error {
    if (error instanceof RuntimeStateError) return error;
    const bytesWanted = items.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    const what = `${items.length} ${items.length === 1 ? "object" : "objects"} (${bytesWanted} bytes)`;
    const code = codeOf(error);
    if (code === "ENOSPC" || code === "EDQUOT") {
      const where = code === "ENOSPC" ? "the disk is full" : "the disk quota is used up";
      return new OutOfDiskError(
        `Could not spill ${what} to ${this.#folder}: ${where}. Free space there, or set objectSpillingDirectory to a folder with more.`,
        { cause: error },
      );
    }
    return new Error(`Could not spill ${what} to ${this.#folder}: ${messageOf(error)}`, { cause: error });
  }

  async #read(key: string, into: Uint8Array): Promise<void> {
    this.#refuseIfClosed();
    const location = this.#state.beginRead(key);
    if (location === undefined) throw new Error(`Object ${key} is not in ${this.#folder}: it was not spilled, or is forgotten already.`);
    try {
      invariant(into.byteLength === location.byteLength, () => `object ${key} has ${location.byteLength} bytes, not ${into.byteLength}`);
      await this.#takeReadSlot();
      try {
        await this.#readRecord(key, location, into);
      } finally {
        this.#releaseReadSlot();
      }
    } finally {
      void this.#carryOut(this.#state.endRead(location.fileId));
    }
  }

  async #readRecord(key: string, location: SpillLocation, into: Uint8Array): Promise<void> {
    this.#refuseIfClosed();
    const path = this.#pathOf(location.fileId);
    let handle: SpillFileHandle | null = null;
    let damage: SpillDamage | null;
    try {
      handle = await this.#fileSystem.open(path, "r");
      damage = await this.#damageOf(handle, key, location, into);
    } catch (error) {
      if (error instanceof RuntimeStateError) throw error;
      if (isGone(error)) throw new SpillDamagedError(key, path, "gone", { cause: error });
      throw new Error(`Could not read object ${key} from spill file ${path}: ${messageOf(error)}`, { cause: error });
    } finally {
      // The bytes are checked; that closing a file failed changes nothing about them.
      await handle?.close().catch(() => undefined);
    }
    if (damage !== null) throw new SpillDamagedError(key, path, damage);
  }

  /** Reads the record and says what is wrong with it. */
  async #damageOf(handle: SpillFileHandle, key: string, { offset, byteLength }: SpillLocation, into: Uint8Array): Promise<SpillDamage | null> {
    const header = Buffer.alloc(headerBytesOf(key));
    if (!(await readFully(handle, header, offset))) return "truncated";
    const wanted = checksumInHeader(header, key, byteLength);
    if (wanted === null) return "altered";
    let position = offset + header.byteLength;
    let checksum = 0;
    let previous: Uint8Array | null = null;
    for (const slice of slicesOf(into)) {
      this.#refuseIfClosed();
      const reading = readFully(handle, slice, position);
      // While the disk is at work.
      if (previous !== null) checksum = continueChecksum(previous, checksum);
      if (!(await reading)) return "truncated";
      previous = slice;
      position += slice.byteLength;
    }
    if (previous !== null) checksum = continueChecksum(previous, checksum);
    return checksum === wanted ? null : "altered";
  }

  async #takeReadSlot(): Promise<void> {
    if (this.#readsFree > 0) this.#readsFree--;
    else await new Promise<void>((resolve) => this.#waitingReads.push(resolve));
  }

  #releaseReadSlot(): void {
    const next = this.#waitingReads.shift();
    if (next === undefined) this.#readsFree++;
    else next();
  }

  #carryOut(instructions: readonly SpillInstruction[]): Promise<unknown> {
    return Promise.all(instructions.map(({ fileId }) => this.#track(this.#remove(fileId))));
  }

  /** Never rejects: a file that cannot be removed now is tried again with the next write, and in the end. */
  async #remove(fileId: number): Promise<void> {
    try {
      await this.#fileSystem.unlink(this.#pathOf(fileId));
    } catch (error) {
      if (!isGone(error)) {
        this.#removalError = error;
        this.#state.removalFailed(fileId);
        return;
      }
    }
    this.#state.removed(fileId);
  }

  async #removeEverything(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    await this.#carryOut([...this.#state.forgetAll(), ...this.#state.retryRemovals()]);
    if (this.fileCount > 0) {
      throw new Error(`Could not remove ${this.fileCount} spill files from ${this.#folder}: ${messageOf(this.#removalError)}`, { cause: this.#removalError });
    }
    if (!this.#isFolderUsed) return;
    try {
      await this.#fileSystem.rmdir(this.#folder);
    } catch (error) {
      // A folder that holds something else is not this object's alone to remove.
      if (isGone(error) || ["ENOTEMPTY", "EEXIST"].includes(codeOf(error))) return;
      throw new Error(`Could not remove the spill folder ${this.#folder}: ${messageOf(error)}`, { cause: error });
    }
  }

  #track(operation: Promise<void>): Promise<void> {
    const ended: Promise<void> = operation.then(
      () => void this.#underWay.delete(ended),
      () => void this.#underWay.delete(ended),
    );
    this.#underWay.add(ended);
    return operation;
  }

  #refuseIfClosed(): void {
    if (this.#isClosed) throw new RuntimeStateError(`The spill folder ${this.#folder} is closed: the runtime is shutting down.`);
  }

  #pathOf(fileId: number): string {
    return join(this.#folder, `objects-${fileId}.spill`);
  }
}

/** In order; an item that exceeds the limit has a file of its own. */
function fuse(items: readonly SpillItem[], fileBytesMax: number): SpillItem[][] {
  const groups: SpillItem[][] = [];
  let group: SpillItem[] = [];
  let groupBytes = 0;
  for (const item of items) {
    if (group.length === 0 || groupBytes + item.bytes.byteLength > fileBytesMax) {
      group = [];
      groupBytes = 0;
      groups.push(group);
    }
    group.push(item);
    groupBytes += item.bytes.byteLength;
  }
  return groups;
}

function layoutOf(items: readonly SpillItem[]): SpillRecord[] {
  let offset = 0;
  return items.map(({ key, bytes: { byteLength } }) => {
    const record = { key, offset, byteLength };
    offset += headerBytesOf(key) + byteLength;
    return record;
  });
}

/** A call may write less than it was given. */
async function writeFully(handle: SpillFileHandle, pieces: readonly Uint8Array[], position: number): Promise<void> {
  let rest = pieces;
  let restPosition = position;
  while (rest.length > 0) {
    const { bytesWritten } = await handle.writev(rest, restPosition);
    if (bytesWritten === 0) throw new Error("the file takes no more bytes");
    restPosition += bytesWritten;
    rest = withoutFirst(rest, bytesWritten);
  }
}

function withoutFirst(pieces: readonly Uint8Array[], byteCount: number): Uint8Array[] {
  let remaining = byteCount;
  const rest: Uint8Array[] = [];
  for (const piece of pieces) {
    if (remaining < piece.byteLength) rest.push(piece.subarray(remaining));
    remaining = Math.max(0, remaining - piece.byteLength);
  }
  return rest;
}

/** A call may read less than it was asked for. False when the file ends before. */
async function readFully(handle: SpillFileHandle, into: Uint8Array, position: number): Promise<boolean> {
  let done = 0;
  while (done < into.byteLength) {
    const { bytesRead } = await handle.read(into, done, into.byteLength - done, position + done);
    if (bytesRead === 0) return false;
    done += bytesRead;
  }
  return true;
}

function isGone(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
