import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { SerializationError, type WorkerId } from "../base/mod.ts";
import type { CodeOrigin, ModuleAnswer, ModuleGraph, ModuleQuestion, ModuleRequest, PackageFolder, PackageUse, PackedModule, PreparedEnvironment } from "../protocol/mod.ts";
import { contentHash } from "./content-hash.ts";
import { withFetchLock } from "./fetch-lock.ts";
import { mirrorPathOf } from "./mirror-path.ts";
import { ModuleTree } from "./module-tree.ts";
import { moduleTreeOf } from "./module-trees.ts";

/** What one answer may hold, unless a single file is larger. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Where answers about modules lie in a tree; no file of a program has that name. */
const GRAPHS = ".mantaray-modules";
/** Written last: all files of the package are there. */
const COMPLETE = ".mantaray-complete";

export interface ModulePlacerSettings {
  readonly sessionDir: string;
  /** Of this package: what programs import as "mantaray" is the one that runs them. */
  readonly ownFolder: string;
  readonly environment: PreparedEnvironment | null;
  ask<T extends ModuleQuestion["type"]>(driverId: WorkerId, question: ModuleQuestion & { readonly type: T }): Promise<ModuleAnswer & { readonly type: T }>;
  wallClockMs(): number;
}

/** Where modules are on this machine. */
export interface Placement {
  /** For each request, what to ask Node for instead; null: it is where the request says, or nowhere. */
  readonly targets: readonly (ModuleRequest | null)[];
  /** File URL of each placed module → that of the program's file. */
  readonly sources: ReadonlyMap<string, string>;
  /** File URL of the folder that stands for the root of the program's machine, for all other files in it. */
  readonly root: string;
}

interface WantedFile {
  readonly path: string;
  readonly hash: string;
  readonly bytes: number;
  readonly isExecutable: boolean;
}

/** Brings modules of a program to a machine that has not its files, or has others under the same names. */
export class ModulePlacer {
  readonly #settings: ModulePlacerSettings;

  constructor(settings: ModulePlacerSettings) {
    this.#settings = settings;
  }

  /** @throws SerializationError for what cannot be brought here. */
  async place(origin: CodeOrigin, requests: readonly ModuleRequest[], loadsTypeScript: boolean): Promise<Placement> {
    const { driverId } = origin;
    const tree = new ModuleTree(moduleTreeOf(this.#settings.sessionDir, driverId));
    const graph = await this.#graphOf(driverId, tree, requests);
    const root = pathToFileURL(`${tree.root}/`).href;
    const isNative = await nativeModules(graph, loadsTypeScript);
    const shipped = shippedModules(graph, isNative);
    for (const module of shipped) if (module.problem !== null) throw cannotTravel(fileURLToPath(module.url), module.problem, module.importedBy ?? requester(requests));
    const uses = packagesOf(graph, shipped);
    const lacking = uses.filter((use) => !this.#hasPackage(use));
    if (shipped.length === 0 && uses.length === 0) return { targets: requests.map(() => null), sources: new Map(), root };
    await this.#fill(driverId, tree, graph, shipped, isNative, lacking);
    for (const use of uses) if (!lacking.includes(use) && existsSync(join(use.place, "package.json"))) await tree.link(mirrorPathOf(use.place), use.place);
    return {
      root,
      targets: graph.roots.map((found, index): ModuleRequest | null => {
        const request = requests[index] as ModuleRequest;
        if (found === null) return null;
        if ("package" in found) return existsSync(join(found.package.place, "package.json")) ? null : mirroredRequest(tree, request);
        const module = graph.modules[found.module] as PackedModule;
        return isNative[found.module] === true ? null : { ...request, specifier: pathToFileURL(tree.pathOf(module.path)).href, parentUrl: mirroredUrl(tree, request.parentUrl) };
      }),
      sources: new Map(shipped.map((module) => [pathToFileURL(tree.pathOf(module.path)).href, module.url])),
    };
  }

  /** Asked once for all workers of the machine: what a module is never changes. So actors start again here when their program has left. */
  async #graphOf(driverId: WorkerId, tree: ModuleTree, requests: readonly ModuleRequest[]): Promise<ModuleGraph> {
    const path = `${GRAPHS}/${contentHash(Buffer.from(JSON.stringify(requests)))}.json`;
    const known = await readFile(tree.pathOf(path), "utf8").catch(() => null);
    if (known !== null) return JSON.parse(known) as ModuleGraph;
    const { modules: graph } = await this.#settings.ask(driverId, { type: "modules", requests });
    // A file that is not there yet may be later.
    if (!graph.roots.includes(null)) await tree.write(path, Buffer.from(JSON.stringify(graph)), false);
    return graph;
  }

  /** What the environment installed comes first, as for all that the program imports; else what lies at the same place. */
  #hasPackage({ name, place }: PackageUse): boolean {
    return this.#settings.environment?.npm?.names.includes(name) === true || existsSync(join(place, "package.json"));
  }

  async #fill(driverId: WorkerId, tree: ModuleTree, graph: ModuleGraph, shipped: readonly PackedModule[], isNative: readonly boolean[], lacking: readonly PackageUse[]): Promise<void> {
    const isComplete = async (): Promise<boolean> => {
      for (const module of shipped) if (!(await tree.has(module.path))) return false;
      for (const { place } of lacking) if (!(await tree.has(`${mirrorPathOf(place)}/${COMPLETE}`))) return false;
      return true;
    };
    if (await isComplete()) return tree.link("node_modules/mantaray", this.#settings.ownFolder);
    await withFetchLock(`${tree.root}.lock`, () => this.#settings.wallClockMs(), async (stillHere) => {
      await tree.link("node_modules/mantaray", this.#settings.ownFolder);
      // What packed modules import, and is the same here as there, is that very file.
      for (const { path, url } of importedFiles(graph, shipped, isNative)) await tree.link(path, fileURLToPath(url));
      const packages = lacking.length === 0 ? [] : await this.#packagesToFetch(driverId, tree, lacking);
      await this.#fetch(driverId, tree, packages.flatMap(({ folder, files }) => files.map((file) => ({ ...file, path: `${mirrorPathOf(folder)}/${file.path}` }))), stillHere);
      for (const { place, folder } of packages) {
        const path = mirrorPathOf(folder);
        if (!(await tree.has(`${path}/${COMPLETE}`))) await tree.write(`${path}/${COMPLETE}`, new Uint8Array(0), false);
        if (folder !== place) await tree.link(mirrorPathOf(place), tree.pathOf(path));
      }
      // Last, since whoever finds them takes the rest for granted.
      await this.#fetch(driverId, tree, shipped.map(({ path, hash, bytes }) => ({ path, hash, bytes, isExecutable: false })), stillHere);
    });
  }

  async #packagesToFetch(driverId: WorkerId, tree: ModuleTree, lacking: readonly PackageUse[]): Promise<PackageFolder[]> {
    const { packages } = await this.#settings.ask(driverId, { type: "packages", places: lacking });
    const wanted: PackageFolder[] = [];
    for (const folder of packages) {
      const isThere = existsSync(join(folder.place, "package.json"));
      if (isThere) await tree.link(mirrorPathOf(folder.place), folder.place);
      else if (folder.problem === null) wanted.push(folder);
      else if (!this.#isInWorkingDir(folder.name)) throw cannotTravel(`package '${folder.name}'`, folder.problem, folder.importedBy, folder.neededFor);
    }
    return wanted;
  }

  #isInWorkingDir(name: string): boolean {
    const folder = this.#settings.environment?.workingDir ?? null;
    return folder !== null && existsSync(join(folder, "node_modules", name, "package.json"));
  }

  async #fetch(driverId: WorkerId, tree: ModuleTree, files: readonly WantedFile[], stillHere: () => Promise<void>): Promise<void> {
    const missing: WantedFile[] = [];
    for (const file of files) if (!(await tree.has(file.path))) missing.push(file);
    for (let start = 0; start < missing.length; ) {
      let end = start;
      for (let bytes = 0; end < missing.length && (end === start || bytes + (missing[end] as WantedFile).bytes <= ANSWER_BYTES_MAX); end++) bytes += (missing[end] as WantedFile).bytes;
      const part = missing.slice(start, end);
      const { contents } = await this.#settings.ask(driverId, { type: "contents", hashes: part.map(({ hash }) => hash) });
      for (const [index, { path, hash, isExecutable }] of part.entries()) {
        const content = contents[index] ?? new Uint8Array(0);
        if (contentHash(content) !== hash) throw new SerializationError(`The file ${path} of the program arrived damaged`);
        await tree.write(path, content, isExecutable);
      }
      await stillHere();
      start = end;
    }
  }
}

/** For each module: this machine has the same file, and the same of all that it imports. */
async function nativeModules({ modules }: ModuleGraph, loadsTypeScript: boolean): Promise<boolean[]> {
  const isNative = await Promise.all(modules.map(async ({ url, sourceHash }) => {
    const path = fileURLToPath(url);
    if (!loadsTypeScript && /\.(?:[cm]?tsx?|jsx)$/.test(path)) return false;
    const source = await readFile(path).catch(() => null);
    return source !== null && contentHash(source) === sourceHash;
  }));
  for (let changed = true; changed; ) {
    changed = false;
    modules.forEach(({ imports }, index) => {
      if (isNative[index] !== true || imports.every((imported) => isNative[imported] === true)) return;
      isNative[index] = false;
      changed = true;
    });
  }
  return isNative;
}

/** Those that the requests lead to, without what this machine has. */
function shippedModules({ roots, modules }: ModuleGraph, isNative: readonly boolean[]): PackedModule[] {
  const found = new Set<number>();
  for (const root of roots) if (root !== null && "module" in root && isNative[root.module] !== true) found.add(root.module);
  for (const index of found) for (const imported of (modules[index] as PackedModule).imports) if (isNative[imported] !== true) found.add(imported);
  return Array.from(found, (index) => modules[index] as PackedModule);
}

function importedFiles({ modules }: ModuleGraph, shipped: readonly PackedModule[], isNative: readonly boolean[]): PackedModule[] {
  const indexes = new Set(shipped.flatMap(({ imports }) => imports.filter((index) => isNative[index] === true)));
  return Array.from(indexes, (index) => modules[index] as PackedModule);
}

function packagesOf({ roots }: ModuleGraph, shipped: readonly PackedModule[]): PackageUse[] {
  const uses = new Map<string, PackageUse>();
  for (const root of roots) if (root !== null && "package" in root) uses.set(root.package.place, root.package);
  for (const { packages } of shipped) for (const use of packages) uses.set(use.place, use);
  return [...uses.values()];
}

function mirroredUrl(tree: ModuleTree, url: string): string {
  if (!url.startsWith("file:")) return pathToFileURL(tree.pathOf("[eval]")).href;
  const path = fileURLToPath(url);
  return pathToFileURL(join(tree.pathOf(mirrorPathOf(dirname(path))), path.slice(dirname(path).length + 1))).href;
}

function mirroredRequest(tree: ModuleTree, { specifier, parentUrl, kind }: ModuleRequest): ModuleRequest {
  return { specifier: specifier.startsWith("file:") ? mirroredUrl(tree, specifier) : specifier, parentUrl: mirroredUrl(tree, parentUrl), kind };
}

function requester(requests: readonly ModuleRequest[]): string {
  const url = requests[0]?.parentUrl ?? "";
  return url.startsWith("file:") ? fileURLToPath(url) : url;
}

function cannotTravel(what: string, problem: string, importedBy: string, spec: string | null = null): SerializationError {
  const remedy = spec === null ? "Give it with runtimeEnv: { workingDir }, or have it on all machines." : `Have it installed there: runtimeEnv: { npm: ["${spec}"] }.`;
  return new SerializationError(`The ${what}, imported by ${importedBy}, is not there on the machine of the worker and cannot be sent: it ${problem}. ${remedy}`);
}
