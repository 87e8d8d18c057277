import { RuntimeEnvSetupError, type WorkerId } from "../base/mod.ts";
import type { PackagePiece, PreparedEnvironment, RuntimeEnvRecord } from "../protocol/mod.ts";
import type { EnvironmentAgentSettings } from "./agent-settings.ts";
import type { NpmInstalls } from "./npm-installs.ts";
import { packageUriOfName } from "./package-files.ts";
import type { PackageStore, ReceivedPiece } from "./package-store.ts";
import type { TarEntry } from "./tar-format.ts";
import type { WorkingFolders } from "./working-folders.ts";

/** Whether a worker can start in it at once. */
export function needsNoSetup({ workingDir, npm, failure }: RuntimeEnvRecord): boolean {
  return workingDir === null && npm.length === 0 && failure === null;
}

/** Sets up environments on one machine, for the workers that are about to start there. */
export class EnvironmentAgent {
  readonly #settings: EnvironmentAgentSettings;
  #packages: Promise<PackageStore> | null = null;
  #folders: Promise<WorkingFolders> | null = null;
  #installs: Promise<NpmInstalls> | null = null;
  readonly #underWay = new Set<AbortController>();
  /** Pieces of packages that have arrived are written one after the other. */
  #received: Promise<void> = Promise.resolve();
  #isStopping = false;

  constructor(settings: EnvironmentAgentSettings) {
    this.#settings = settings;
  }

  /** Until `release`, what it needs is there. @throws RuntimeEnvSetupError */
  async acquire(record: RuntimeEnvRecord): Promise<PreparedEnvironment> {
    if (record.failure !== null) throw new RuntimeEnvSetupError(`its runtime environment cannot be set up: ${record.failure}`);
    const { config } = record;
    // AbortSignal.timeout beneath AbortSignal.any may be collected before its time, and then never speaks.
    const deadline = new AbortController();
    if (this.#isStopping) deadline.abort();
    this.#underWay.add(deadline);
    const timer = this.#settings.clock.after(config.setupTimeoutMs, () => deadline.abort());
    try {
      return await this.#setUp(record, deadline.signal);
    } finally {
      timer.cancel();
      this.#underWay.delete(deadline);
    }
  }

  async #setUp(record: RuntimeEnvRecord, deadline: AbortSignal): Promise<PreparedEnvironment> {
    const { workingDir, npm } = record;
    await this.#received;
    const folder = workingDir === null ? null : await this.#part("workingDir", record, deadline, async () => (await this.#workingFolders()).acquire(workingDir, deadline), () => this.#releaseFolder(workingDir));
    try {
      const installed = npm.length === 0 ? null : await this.#part("npm", record, deadline, async () => (await this.#npmInstalls()).acquire(npm, deadline), () => this.#releasePackages(npm));
      return { record, workingDir: folder, npm: installed };
    } catch (error) {
      await this.#releaseFolder(workingDir);
      throw error;
    }
  }

  /** The worker has ended. */
  async release({ workingDir, npm }: RuntimeEnvRecord): Promise<void> {
    await this.#releaseFolder(workingDir);
    await this.#releasePackages(npm);
  }

  async #releaseFolder(workingDir: string | null): Promise<void> {
    if (workingDir !== null) (await this.#workingFolders()).release(workingDir);
  }

  async #releasePackages(npm: readonly string[]): Promise<void> {
    if (npm.length > 0) (await this.#npmInstalls()).release(npm);
  }

  /** Of a package that a program has made on a machine without a node. Those that are damaged are as if they had not come. */
  receivePackage(senderId: WorkerId, piece: ReceivedPiece): void {
    this.#received = this.#received.then(async () => (await this.#packageStore()).receive(senderId, piece)).catch(() => undefined);
  }

  /** Of a package that is on this machine, for another; null if it is not here. */
  async packagePiece(name: string, offset: number | null): Promise<Omit<PackagePiece, "node"> | null> {
    const { readPackagePiece } = await import("./package-store.ts");
    await this.#received;
    return readPackagePiece(this.#settings.sessionDir, name, offset);
  }

  /** Makes a package of these. Answers its name. @throws Error if it is too large */
  async pack(entries: AsyncIterable<TarEntry>): Promise<string> {
    return (await this.#packageStore()).make(entries);
  }

  /** From another machine, if it is not here. @throws Error if nobody has it */
  async fetchPackage(name: string): Promise<void> {
    await this.#withPackage(name, () => Promise.resolve());
  }

  /** What is in it. @throws Error as above */
  async readPackage(name: string): Promise<TarEntry[]> {
    const [{ readFile }, { decodeArchive }] = await Promise.all([import("node:fs/promises"), import("./tar-format.ts")]);
    return this.#withPackage(name, async (path) => [...decodeArchive(await readFile(path))]);
  }

  async #withPackage<T>(name: string, action: (path: string) => Promise<T>): Promise<T> {
    const end = new AbortController();
    if (this.#isStopping) end.abort();
    this.#underWay.add(end);
    try {
      return await (await this.#packageStore()).use(packageUriOfName(name), end.signal, action);
    } finally {
      this.#underWay.delete(end);
    }
  }

  async dropPackages(names: readonly string[]): Promise<void> {
    const store = await this.#packageStore();
    for (const name of names) await store.drop(name);
  }

  /** What is under way is given up. */
  stop(): void {
    this.#isStopping = true;
    for (const deadline of this.#underWay) deadline.abort();
  }

  /** After the last worker has ended. */
  async settled(): Promise<void> {
    if (this.#installs !== null) await (await this.#installs).settled();
  }

  /** What comes too late is given back. */
  async #part<T>(name: string, { config }: RuntimeEnvRecord, deadline: AbortSignal, action: () => Promise<T>, giveBack: () => Promise<void>): Promise<T> {
    const lateness = (): Error => new Error(this.#isStopping ? "the runtime was shut down" : `it was not ready within ${config.setupTimeoutMs} ms (config.setupTimeoutMs)`);
    try {
      return await new Promise<T>((resolve, reject) => {
        let isLate = false;
        const late = (): void => {
          isLate = true;
          reject(lateness());
        };
        if (deadline.aborted) return late();
        deadline.addEventListener("abort", late);
        action().finally(() => deadline.removeEventListener("abort", late)).then((made) => (isLate ? giveBack() : resolve(made)), reject);
      });
    } catch (error) {
      throw new RuntimeEnvSetupError(`its runtime environment cannot be set up: ${name}: ${(deadline.aborted ? lateness() : (error as Error)).message}`);
    }
  }

  // Loaded when the first environment needs them.

  #packageStore(): Promise<PackageStore> {
    return (this.#packages ??= import("./package-store.ts").then(({ PackageStore: Store }) => new Store(this.#settings)));
  }

  #workingFolders(): Promise<WorkingFolders> {
    return (this.#folders ??= Promise.all([import("./working-folders.ts"), this.#packageStore()]).then(([{ WorkingFolders: Folders }, packages]) => new Folders(this.#settings.sessionDir, packages)));
  }

  #npmInstalls(): Promise<NpmInstalls> {
    return (this.#installs ??= Promise.all([import("./npm-installs.ts"), this.#packageStore()]).then(([{ NpmInstalls: Installs }, packages]) => new Installs(this.#settings, packages)));
  }
}
