import { mkdir, open, readdir, rename, rm, stat, utimes, type FileHandle } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { WorkerId } from "../base/mod.ts";
import type { PackagePiece } from "../protocol/mod.ts";
import { type ArchiveKind, isPackageName, PACKAGE_PIECE_BYTES_MAX, packageNameOf, packagesFolderOf, packageUriOfName } from "./package-files.ts";
import { encodeEntry, endOfArchive, type TarEntry } from "./tar-format.ts";

/** Packages that a machine keeps; beyond it those not used for longest go. */
export const PACKAGES_KEPT_BYTES_MAX = 4 * 1024 * 1024 * 1024;
/** An archive with what tar adds to the 100 MiB that may be shipped. */
export const ARCHIVE_BYTES_MAX = 160 * 1024 * 1024;
/** Packages that arrive at once; beyond it the one that began first is given up, whose program has ended in the middle. */
export const RECEIPTS_MAX = 32;
const PRIVATE_FOLDER_MODE = 0o700;

/** Where packages come from that are not on this machine. */
export interface PackageSource {
  /** The bytes of the package with this name (`HASH.tar`), in order, in pieces of at most PACKAGE_PIECE_BYTES_MAX. Throws if nobody has it. */
  fetch(name: string, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** From there on as much as one piece holds, for another machine; nothing where `offset` is null. Null if the package is not here. */
export async function readPackagePiece(sessionDir: string, name: string, offset: number | null): Promise<Omit<PackagePiece, "node"> | null> {
  if (!isPackageName(name)) return null;
  const file = await open(join(packagesFolderOf(sessionDir), name)).catch(() => null);
  if (file === null) return null;
  try {
    const totalBytes = (await file.stat()).size;
    const bytes = new Uint8Array(offset === null ? 0 : Math.max(0, Math.min(PACKAGE_PIECE_BYTES_MAX, totalBytes - offset)));
    let read = 0;
    while (read < bytes.byteLength) {
      const { bytesRead } = await file.read(bytes, read, bytes.byteLength - read, (offset ?? 0) + read);
      // It never shrinks.
      if (bytesRead === 0) return null;
      read += bytesRead;
    }
    return { totalBytes, bytes };
  } finally {
    await file.close();
  }
}

/** In order from the first; `totalBytes` says which is the last. */
export interface ReceivedPiece {
  readonly name: string;
  readonly offset: number;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

export interface PackageStoreSettings {
  readonly sessionDir: string;
  /** Null on a machine that is alone. */
  readonly packages: PackageSource | null;
  /** Milliseconds since 1970. */
  wallClockMs(): number;
}

/** The packages on one machine: made here, or fetched when an environment first needs them. Named by content, so that none is stale. */
export class PackageStore {
  readonly #settings: PackageStoreSettings;
  readonly #keptBytesMax: number;
  /** By name: what uses the file just now. */
  readonly #uses = new Map<string, number>();
  readonly #fetches = new Map<string, Promise<void>>();
  /** By sender and name. */
  readonly #receipts = new Map<string, UnfinishedPackage>();
  #filesMade = 0;

  constructor(settings: PackageStoreSettings, keptBytesMax: number = PACKAGES_KEPT_BYTES_MAX) {
    this.#settings = settings;
    this.#keptBytesMax = keptBytesMax;
  }

  /** The file is there while `action` runs. */
  async use<T>(uri: string, signal: AbortSignal, action: (path: string) => Promise<T>): Promise<T> {
    const name = packageNameOf(uri);
    const path = join(packagesFolderOf(this.#settings.sessionDir), name);
    this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
    try {
      await this.#ensure(name, path, signal);
      return await action(path);
    } finally {
      const left = (this.#uses.get(name) ?? 1) - 1;
      if (left > 0) this.#uses.set(name, left);
      else this.#uses.delete(name);
      await this.#removeOldest();
    }
  }

  async #ensure(name: string, path: string, signal: AbortSignal): Promise<void> {
    const now = this.#settings.wallClockMs() / 1000;
    if (await utimes(path, now, now).then(() => true, () => false)) return;
    let fetching = this.#fetches.get(name);
    if (fetching === undefined) {
      fetching = this.#fetch(name, path, signal).finally(() => this.#fetches.delete(name));
      this.#fetches.set(name, fetching);
    }
    await fetching;
  }

  async #fetch(name: string, path: string, signal: AbortSignal): Promise<void> {
    const { packages } = this.#settings;
    if (packages === null) throw new Error(`its package ${name} is not there any more; more than ${this.#keptBytesMax / 1024 ** 3} GiB of packages were used since it was made. Ask for the environment again`);
    const unfinished = await this.#begin(name);
    try {
      for await (const piece of packages.fetch(name, signal)) {
        await unfinished.write(piece);
        signal.throwIfAborted();
      }
      await unfinished.finish(path, this.#settings.wallClockMs());
    } catch (error) {
      await unfinished.giveUp();
      throw error;
    }
  }

  /** One piece at a time. @throws Error for one that does not go on from the one before, or that ends what is damaged. */
  async receive(senderId: WorkerId, { name, offset, totalBytes, bytes }: ReceivedPiece): Promise<void> {
    const path = join(packagesFolderOf(this.#settings.sessionDir), packageNameOf(packageUriOfName(name)));
    const key = `${senderId}/${name}`;
    let unfinished = this.#receipts.get(key);
    if (offset === 0 && unfinished === undefined) {
      unfinished = await this.#begin(name);
      this.#receipts.set(key, unfinished);
      await this.#giveUpOldest();
    }
    if (unfinished === undefined) throw new Error(`a piece of the package ${name} came without those before`);
    try {
      if (unfinished.bytes !== offset) throw new Error(`a piece of the package ${name} is missing`);
      await unfinished.write(bytes);
      if (unfinished.bytes < totalBytes) return;
      this.#receipts.delete(key);
      await unfinished.finish(path, this.#settings.wallClockMs());
      await this.#removeOldest();
    } catch (error) {
      this.#receipts.delete(key);
      await unfinished.giveUp();
      throw error;
    }
  }

  /** An archive of these. Answers its name. @throws Error if it is too large */
  async make(entries: AsyncIterable<TarEntry>): Promise<string> {
    const unfinished = await this.#begin("");
    try {
      for await (const entry of entries) for (const block of encodeEntry(entry)) await unfinished.write(block);
      await unfinished.write(endOfArchive());
      const name = await unfinished.finishAs("tar", packagesFolderOf(this.#settings.sessionDir), this.#settings.wallClockMs());
      await this.#removeOldest();
      return name;
    } catch (error) {
      await unfinished.giveUp();
      throw error;
    }
  }

  async drop(name: string): Promise<void> {
    if (!this.#uses.has(name)) await rm(join(packagesFolderOf(this.#settings.sessionDir), packageNameOf(packageUriOfName(name))), { force: true });
  }

  async #giveUpOldest(): Promise<void> {
    if (this.#receipts.size <= RECEIPTS_MAX) return;
    for (const [key, unfinished] of this.#receipts) {
      this.#receipts.delete(key);
      return unfinished.giveUp();
    }
  }

  async #begin(name: string): Promise<UnfinishedPackage> {
    const folder = packagesFolderOf(this.#settings.sessionDir);
    await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    return UnfinishedPackage.begin(name, join(folder, `unfinished-${process.pid}-fetched-${this.#filesMade++}`));
  }

  async #removeOldest(): Promise<void> {
    const folder = packagesFolderOf(this.#settings.sessionDir);
    const found: { readonly name: string; readonly bytes: number; readonly usedMs: number }[] = [];
    for (const name of (await readdir(folder).catch(() => [])).filter((each) => isPackageName(each))) {
      const status = await stat(join(folder, name)).catch(() => null);
      if (status !== null) found.push({ name, bytes: status.size, usedMs: status.mtimeMs });
    }
    let bytes = found.reduce((sum, each) => sum + each.bytes, 0);
    for (const { name, bytes: size } of found.sort((a, b) => a.usedMs - b.usedMs)) {
      if (bytes <= this.#keptBytesMax) return;
      if (this.#uses.has(name)) continue;
      await rm(join(folder, name), { force: true });
      bytes -= size;
    }
  }
}

/** Under another name first, which becomes its own when the content is what the name says. */
class UnfinishedPackage {
  bytes = 0;
  readonly #name: string;
  readonly #path: string;
  readonly #hash = createHash("sha256");
  #file: FileHandle | null;

  private constructor(name: string, path: string, file: FileHandle) {
    this.#name = name;
    this.#path = path;
    this.#file = file;
  }

  static async begin(name: string, path: string): Promise<UnfinishedPackage> {
    return new UnfinishedPackage(name, path, await open(path, "wx", 0o600));
  }

  async write(piece: Uint8Array): Promise<void> {
    this.bytes += piece.byteLength;
    if (this.bytes > ARCHIVE_BYTES_MAX) throw new Error(`its package ${this.#name} holds more than ${ARCHIVE_BYTES_MAX / 1024 ** 2} MiB`);
    this.#hash.update(piece);
    for (let written = 0; written < piece.byteLength; ) written += (await (this.#file as FileHandle).write(piece, written)).bytesWritten;
  }

  async finish(path: string, nowMs: number): Promise<void> {
    await this.#close();
    if (!this.#name.startsWith(this.#hash.digest("hex"))) throw new Error(`its package ${this.#name} arrived damaged`);
    await utimes(this.#path, nowMs / 1000, nowMs / 1000);
    await rename(this.#path, path);
  }

  /** Under the name that its content gives it. */
  async finishAs(kind: ArchiveKind, folder: string, nowMs: number): Promise<string> {
    await this.#close();
    const name = `${this.#hash.digest("hex")}.${kind}`;
    await utimes(this.#path, nowMs / 1000, nowMs / 1000);
    await rename(this.#path, join(folder, name));
    return name;
  }

  async giveUp(): Promise<void> {
    await this.#close();
    await rm(this.#path, { force: true });
  }

  async #close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}
