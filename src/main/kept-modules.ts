import { existsSync } from "node:fs";
import type { WorkerId } from "../base/mod.ts";
import { addToTree, contentsOfTree, moduleTreeOf, type TreeEntry } from "../program-modules/mod.ts";
import type { EnvironmentAgent } from "../runtime-env/mod.ts";

export interface KeptModulesSettings {
  readonly sessionDir: string;
  readonly environments: Pick<EnvironmentAgent, "pack" | "fetchPackage" | "readPackage" | "dropPackages">;
}

/**
 * Modules of programs that have left, for detached actors of theirs that start again on a machine without them: the nodes where these
 * live make packages of what they have by then, and the head has a copy of each.
 */
export class KeptModules {
  readonly #settings: KeptModulesSettings;
  /** Names of packages by the driver of the program. */
  readonly #names = new Map<WorkerId, Set<string>>();

  constructor(settings: KeptModulesSettings) {
    this.#settings = settings;
  }

  /** The program has left; null if nothing of it was brought here, or it is too much. Answers the package's name. */
  async pack(driverId: WorkerId): Promise<string | null> {
    const root = moduleTreeOf(this.#settings.sessionDir, driverId);
    if (!existsSync(root)) return null;
    return this.#settings.environments.pack(contentsOfTree(root)).catch(() => null);
  }

  /** Some node has made it. `isToFetch`: a copy is to be here at once. */
  async kept(driverId: WorkerId, name: string, isToFetch: boolean): Promise<void> {
    const names = this.#names.get(driverId);
    if (names === undefined) this.#names.set(driverId, new Set([name]));
    else names.add(name);
    if (isToFetch) await this.#settings.environments.fetchPackage(name).catch(() => undefined);
  }

  /** The last actor of that program has ended. */
  async dropped(driverId: WorkerId): Promise<void> {
    const names = this.#names.get(driverId);
    this.#names.delete(driverId);
    if (names !== undefined) await this.#settings.environments.dropPackages([...names]);
  }

  /** Brings here what there is. False if there is nothing. */
  async recall(driverId: WorkerId): Promise<boolean> {
    const names = this.#names.get(driverId) ?? new Set();
    let isAnyHere = false;
    for (const name of names) {
      const entries = await this.#settings.environments.readPackage(name).catch(() => null);
      if (entries === null) continue;
      await addToTree(moduleTreeOf(this.#settings.sessionDir, driverId), entries.filter((entry): entry is TreeEntry => entry.type !== "folder"));
      isAnyHere = true;
    }
    return isAnyHere;
  }
}
