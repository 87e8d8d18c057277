import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { InstalledPackages } from "../protocol/mod.ts";
import type { EnvironmentAgentSettings } from "./agent-settings.ts";
import { InstallCache } from "./install-cache.ts";
import { runNpm } from "./npm-command.ts";
import { isPackageUri } from "./package-files.ts";
import type { PackageStore } from "./package-store.ts";

/** What "the newest" is, of versions that are not exact, is asked for again after so long. */
const NEWEST_MS = 86_400_000;
const EXACT = /^(?:@[^@/]+\/)?[^@/]+@\d+\.\d+\.\d+[^\s<>=|]*$/;

interface Install {
  readonly key: string;
  readonly ready: Promise<InstalledPackages>;
  users: number;
}

/** The lists of npm packages on one machine: each is installed once, and kept for later sessions. */
export class NpmInstalls {
  readonly #settings: EnvironmentAgentSettings;
  readonly #cache: InstallCache;
  readonly #packages: PackageStore;
  readonly #installs = new Map<string, Install>();
  /** By key. */
  readonly #releasing = new Map<string, Promise<void>>();
  /** Also those that nobody waits for any more, while they clean up. */
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(settings: EnvironmentAgentSettings, packages: PackageStore) {
    this.#settings = settings;
    this.#packages = packages;
    this.#cache = new InstallCache(join(settings.cacheFolder, "npm"), settings.wallClockMs);
  }

  /** Stays until `release`. */
  async acquire(packages: readonly string[], signal: AbortSignal): Promise<InstalledPackages> {
    const id = packages.join("\n");
    let install = this.#installs.get(id);
    if (install === undefined) {
      const key = this.#keyOf(packages);
      install = { key, ready: this.#install(key, packages, signal), users: 0 };
      this.#track(install.ready);
      this.#installs.set(id, install);
    }
    install.users++;
    try {
      return await install.ready;
    } catch (error) {
      // Whoever comes next tries again.
      if (this.#installs.get(id) === install) this.#installs.delete(id);
      throw error;
    }
  }

  #track(ready: Promise<unknown>): void {
    const ended = ready.catch(() => undefined).finally(() => this.#underWay.delete(ended));
    this.#underWay.add(ended);
  }

  release(packages: readonly string[]): void {
    const id = packages.join("\n");
    const install = this.#installs.get(id);
    if (install === undefined || --install.users > 0) return;
    this.#installs.delete(id);
    const { key } = install;
    const released = this.#cache.release(key).finally(() => {
      if (this.#releasing.get(key) === released) this.#releasing.delete(key);
    });
    this.#releasing.set(key, released);
  }

  /** Nothing of what was released or given up is left to do. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#releasing.values(), ...this.#underWay]);
  }

  /** Native code that a package builds is for one version of Node on one kind of machine. */
  #keyOf(packages: readonly string[]): string {
    const areExact = packages.every((spec) => isPackageUri(spec) || EXACT.test(spec));
    const period = areExact ? 0 : Math.floor(this.#settings.wallClockMs() / NEWEST_MS);
    const content = [packages, process.versions.modules, process.platform, process.arch, period];
    return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32);
  }

  /** With paths in place of packages that were shipped. */
  async #withFiles(packages: readonly string[], specs: readonly string[], signal: AbortSignal, action: (specs: readonly string[]) => Promise<void>): Promise<void> {
    const spec = packages[specs.length];
    if (spec === undefined) return action(specs);
    if (!isPackageUri(spec)) return this.#withFiles(packages, [...specs, spec], signal, action);
    return this.#packages.use(spec, signal, (path) => this.#withFiles(packages, [...specs, path], signal, action));
  }

  async #install(key: string, packages: readonly string[], signal: AbortSignal): Promise<InstalledPackages> {
    await this.#releasing.get(key);
    const folder = await this.#cache.use(key, async (unfinished) => {
      await writeFile(join(unfinished, "package.json"), '{ "name": "runtime-environment", "private": true }\n');
      await this.#withFiles(packages, [], signal, (specs) => runNpm(unfinished, ["install", ...specs], signal));
    });
    const { dependencies = {} } = JSON.parse(await readFile(join(folder, "package.json"), "utf8")) as { dependencies?: Record<string, string> };
    return { folder, names: Object.keys(dependencies) };
  }
}
