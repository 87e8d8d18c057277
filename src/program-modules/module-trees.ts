import { join } from "node:path";
import type { Clock, Timer, WorkerId } from "../base/mod.ts";

/** Files of a program of which no worker is left here stay for so long: it may send more work. */
export const TREE_IDLE_MS = 60_000;
const FOLDER = "modules";

export function modulesFolderOf(sessionDir: string): string {
  return join(sessionDir, FOLDER);
}

/** Of one program. */
export function moduleTreeOf(sessionDir: string, driverId: WorkerId): string {
  return join(modulesFolderOf(sessionDir), driverId);
}

export interface ModuleTreesSettings {
  readonly sessionDir: string;
  readonly clock: Clock;
  /** Drivers of the programs that workers of this machine work for. */
  driversInUse(): ReadonlySet<WorkerId>;
}

/** Removes files of programs that nobody here works for any more. */
export class ModuleTrees {
  readonly #settings: ModuleTreesSettings;
  #timer: Timer | null = null;
  #removed = 0;

  constructor(settings: ModuleTreesSettings) {
    this.#settings = settings;
  }

  workerEnded(): void {
    this.#timer ??= this.#settings.clock.after(TREE_IDLE_MS, () => {
      this.#timer = null;
      void this.#sweep();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  async #sweep(): Promise<void> {
    // Loaded here: this file is a part of every program's start.
    const { readdir, rename, rm } = await import("node:fs/promises");
    const folder = modulesFolderOf(this.#settings.sessionDir);
    const names = await readdir(folder).catch(() => []);
    const inUse = this.#settings.driversInUse();
    for (const name of names) {
      // Locks are of a tree that somebody is making.
      if (name.includes(".") || inUse.has(name)) continue;
      // A worker that comes now finds nothing, and asks anew.
      const removed = join(folder, `${name}.removed-${this.#removed++}`);
      await rename(join(folder, name), removed).then(() => rm(removed, { recursive: true, force: true })).catch(() => undefined);
    }
  }
}
