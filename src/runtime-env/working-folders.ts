import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { packageNameOf } from "./package-files.ts";
import type { PackageStore } from "./package-store.ts";
import { unpackArchive } from "./package-unpacker.ts";

/** Unpacked working directories that no worker uses and that are kept for the next one. */
export const UNUSED_FOLDERS_MAX = 8;

interface WorkingFolder {
  readonly path: string;
  readonly ready: Promise<string>;
  users: number;
}

/** The working directories on one machine: each is unpacked once, and all workers with that directory share it. */
export class WorkingFolders {
  readonly #sessionDir: string;
  readonly #packages: PackageStore;
  /** By the URI of the package; the ones used last come last. */
  readonly #folders = new Map<string, WorkingFolder>();

  constructor(sessionDir: string, packages: PackageStore) {
    this.#sessionDir = sessionDir;
    this.#packages = packages;
  }

  /** The folder, which stays until `release`. */
  async acquire(uri: string, signal: AbortSignal): Promise<string> {
    let folder = this.#folders.get(uri);
    this.#folders.delete(uri);
    if (folder === undefined) {
      const path = join(this.#sessionDir, "working-directories", packageNameOf(uri).replace(/\..*$/, ""));
      folder = { path, ready: this.#unpack(uri, path, signal), users: 0 };
    }
    this.#folders.set(uri, folder);
    folder.users++;
    try {
      return await folder.ready;
    } catch (error) {
      // Whoever comes next tries again.
      if (this.#folders.get(uri) === folder) this.#folders.delete(uri);
      throw error;
    }
  }

  release(uri: string): void {
    const folder = this.#folders.get(uri);
    if (folder === undefined) return;
    folder.users--;
    const unused = [...this.#folders].filter(([, { users }]) => users === 0);
    for (const [oldest, { path }] of unused.slice(0, Math.max(0, unused.length - UNUSED_FOLDERS_MAX))) {
      this.#folders.delete(oldest);
      void this.#remove(path);
    }
  }

  /** Under another name first: nobody finds half of it. */
  async #unpack(uri: string, path: string, signal: AbortSignal): Promise<string> {
    const unfinished = `${path}.unfinished`;
    await rm(unfinished, { recursive: true, force: true });
    await rm(path, { recursive: true, force: true });
    try {
      await this.#packages.use(uri, signal, (archive) => unpackArchive(archive, unfinished));
    } catch (error) {
      await rm(unfinished, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    }
    await rename(unfinished, path);
    return path;
  }

  /** It may be unpacked anew meanwhile, so it makes way at once. */
  async #remove(path: string): Promise<void> {
    const removed = `${path}.removed-${performance.now()}`;
    await rename(path, removed).then(() => rm(removed, { recursive: true, force: true })).catch(() => undefined);
  }
}
