import { mkdir, readdir, rename, rm, rmdir, stat, utimes, writeFile } from "node:fs/promises";
import { readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Installs that are kept; those not used for longest go first, but none that is in use. */
export const INSTALLS_MAX = 32;
/** The lock is held for some milliseconds: a holder of this age was killed. */
const LOCK_STALE_MS = 10_000;
const LOCK_LOOK_EVERY_MS = 10;
/** A mark of a process that cannot be looked at, in another container, counts for so long. */
const FOREIGN_MARK_MS = 86_400_000;
const PRIVATE_FOLDER_MODE = 0o700;

/**
 * Folders that all processes of a user share, by key. One is there whole or not at all: it is made under another name and renamed.
 * Who uses one leaves a mark beside it, so that nobody else removes it; marks, and the removal, are made under a lock.
 *
 *   KEY/                        an install
 *   KEY.used.PLACE.PID          somebody uses it
 *   KEY.unfinished.PLACE.PID    somebody makes it
 */
export class InstallCache {
  readonly #folder: string;
  readonly #wallClockMs: () => number;
  readonly #suffix: string;

  constructor(folder: string, wallClockMs: () => number) {
    this.#folder = folder;
    this.#wallClockMs = wallClockMs;
    this.#suffix = `${surroundings()}.${process.pid}`;
  }

  /** The folder of this key, made by `make` if it is not there; until `release` it stays. */
  async use(key: string, make: (folder: string) => Promise<void>): Promise<string> {
    await mkdir(this.#folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
    const final = join(this.#folder, key);
    const isThere = await this.#locked(async () => {
      await writeFile(this.#markOf(key), "");
      const found = await stat(final).catch(() => null);
      const now = this.#wallClockMs() / 1000;
      if (found !== null) await utimes(final, now, now);
      return found !== null;
    });
    if (isThere) return final;
    const unfinished = join(this.#folder, `${key}.unfinished.${this.#suffix}`);
    try {
      await rm(unfinished, { recursive: true, force: true });
      await mkdir(unfinished, { mode: PRIVATE_FOLDER_MODE });
      await make(unfinished);
      await this.#locked(async () => {
        // Another process may have been as quick.
        if ((await stat(final).catch(() => null)) === null) await rename(unfinished, final);
        else await rm(unfinished, { recursive: true, force: true });
        await this.#removeUnused();
      });
      return final;
    } catch (error) {
      // Who was writing there may be about to end.
      await rm(unfinished, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }).catch(() => undefined);
      await this.release(key);
      throw error;
    }
  }

  async release(key: string): Promise<void> {
    await rm(this.#markOf(key), { force: true });
  }

  #markOf(key: string): string {
    return join(this.#folder, `${key}.used.${this.#suffix}`);
  }

  async #removeUnused(): Promise<void> {
    const names = await readdir(this.#folder);
    const used = new Set<string>();
    for (const name of names) {
      const [key, what, place, pid] = name.split(".") as [string, string?, string?, string?];
      if (what !== "used" && what !== "unfinished") continue;
      if (await this.#isAlive(name, place as string, Number(pid))) used.add(key);
      else await rm(join(this.#folder, name), { recursive: true, force: true });
    }
    const installs: { readonly key: string; readonly usedMs: number }[] = [];
    for (const key of names) {
      if (key.includes(".")) continue;
      const found = await stat(join(this.#folder, key)).catch(() => null);
      if (found !== null) installs.push({ key, usedMs: found.mtimeMs });
    }
    installs.sort((a, b) => b.usedMs - a.usedMs);
    for (const { key } of installs.slice(INSTALLS_MAX)) {
      if (!used.has(key)) await rm(join(this.#folder, key), { recursive: true, force: true });
    }
  }

  async #isAlive(name: string, place: string, pid: number): Promise<boolean> {
    if (place !== surroundings()) {
      const found = await stat(join(this.#folder, name)).catch(() => null);
      return found !== null && this.#wallClockMs() - found.mtimeMs < FOREIGN_MARK_MS;
    }
    try {
      process.kill(pid, 0);
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code !== "ESRCH";
    }
  }

  async #locked<T>(action: () => Promise<T>): Promise<T> {
    const lock = join(this.#folder, ".lock");
    while (!(await mkdir(lock).then(() => true, () => false))) {
      const found = await stat(lock).catch(() => null);
      if (found !== null && this.#wallClockMs() - found.mtimeMs > LOCK_STALE_MS) await rmdir(lock).catch(() => undefined);
      else await delay(LOCK_LOOK_EVERY_MS);
    }
    try {
      return await action();
    } finally {
      await rmdir(lock).catch(() => undefined);
    }
  }
}

/** Process ids mean something only where this is the same. */
function surroundings(): string {
  let processNamespace = "";
  try {
    processNamespace = readlinkSync("/proc/self/ns/pid");
  } catch {
    // Other systems have no such thing.
  }
  return `${hostname()}${processNamespace}`.replace(/[^A-Za-z0-9-]/g, "-");
}
