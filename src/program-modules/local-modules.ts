import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { BuildOptions, BuildFailure, ImportKind, Message, OnResolveResult, PluginBuild } from "esbuild";
import { mebibytes, SerializationError } from "../base/mod.ts";
import type { ModuleGraph, ModuleRequest, PackageUse, PackedModule } from "../protocol/mod.ts";
import { bundler } from "./bundler.ts";
import { contentHash } from "./content-hash.ts";
import { mirrorPathOf, relativeSpecifier } from "./mirror-path.ts";
import { assetsOf, hasModuleSyntax, loaderOf, moduleKindOf, type ModuleKind, packedName, redirect, requiredByHand, requiredKindOf } from "./module-text.ts";

/** What one function may need of the program's own modules. */
export const LOCAL_BYTES_MAX = 100 * 1024 * 1024;

/** One file of the program. What it was when it was first asked for is what all workers get. */
class LocalModule {
  readonly path: string;
  readonly kind: ModuleKind;
  readonly packedPath: string;
  readonly source: Uint8Array;
  readonly importedBy: string | null;
  readonly imports = new Set<LocalModule>();
  readonly packages = new Map<string, PackageUse>();
  /** In CommonJS: what is required under another name now. */
  readonly redirected = new Map<string, string>();
  readonly problem: string | null;
  content: Uint8Array;

  constructor(path: string, how: HowReached, importedBy: string | null) {
    this.path = path;
    this.importedBy = importedBy;
    this.source = readFileSync(path);
    this.kind = how === "read" ? "data" : how === "required" ? requiredKindOf(path, this.text) : moduleKindOf(path, this.text);
    this.packedPath = mirrorPathOf(packedName(path, this.kind));
    this.content = this.source;
    this.problem = path.endsWith(".node") ? "is native code, which is built for one kind of machine" : null;
  }

  get text(): string {
    return Buffer.from(this.source).toString("utf8");
  }
}

type HowReached = "imported" | "required" | "read";
type Importer = { readonly module: LocalModule } | { readonly request: ModuleRequest; found(target: LocalModule | PackageUse): void };

const REQUEST = "mantaray-request";
/** Marks the questions that this plugin asks itself. */
const RESOLVING = { isOwn: true };

/**
 * The program's modules as workers without its files need them: each a file of its own, so that a module is one instance however it is
 * reached, in JavaScript, with local imports that lead to the packed files. Imports of packages stay as they are written.
 */
export class LocalModules {
  /** By the name of the packed file, and by how it is reached. */
  readonly #modules = new Map<string, LocalModule>();
  /** What was found, by specifier, folder and kind: each is a question to the bundler's process. */
  readonly #files = new Map<string, string>();
  readonly #packed = new Set<LocalModule>();
  readonly #contents = new Map<string, Uint8Array>();
  #last: Promise<unknown> = Promise.resolve();

  /** One after the other: they share modules. @throws SerializationError */
  graphOf(requests: readonly ModuleRequest[]): Promise<ModuleGraph> {
    const graph = this.#last.then(() => this.#graphOf(requests));
    this.#last = graph.catch(() => undefined);
    return graph;
  }

  contentOf(hash: string): Uint8Array | undefined {
    return this.#contents.get(hash);
  }

  async #graphOf(requests: readonly ModuleRequest[]): Promise<ModuleGraph> {
    const roots = new Array<LocalModule | PackageUse | null>(requests.length).fill(null);
    const importers = requests.map((request, index): Importer => ({ request, found: (target) => { roots[index] = target; } }));
    await this.#follow(importers);
    for (let pending = this.#unpacked(roots); pending.length > 0; pending = this.#unpacked(roots)) {
      const found = await this.#discover(pending);
      await this.#follow(Array.from(new Set([...pending, ...found]), (module) => ({ module })));
    }
    return this.#describe(roots);
  }

  #describe(roots: readonly (LocalModule | PackageUse | null)[]): ModuleGraph {
    const indexes = new Map<LocalModule, number>();
    for (const root of roots) if (root instanceof LocalModule) indexes.set(root, indexes.get(root) ?? indexes.size);
    // The map grows while it is gone through.
    for (const module of indexes.keys()) for (const imported of module.imports) if (!indexes.has(imported)) indexes.set(imported, indexes.size);
    const modules = Array.from(indexes.keys(), ({ path, packedPath, source, content, imports, packages, problem, importedBy }): PackedModule => {
      const hash = contentHash(content);
      this.#contents.set(hash, content);
      return {
        url: pathToFileURL(path).href, path: packedPath, sourceHash: contentHash(source), hash, bytes: content.byteLength,
        imports: Array.from(imports, (imported) => indexes.get(imported) as number), packages: [...packages.values()], problem, importedBy,
      };
    });
    checkSize(modules);
    return {
      roots: roots.map((root) => (root === null ? null : root instanceof LocalModule ? { module: indexes.get(root) as number } : { package: root })),
      modules,
    };
  }

  /** Only of what these lead to: who needs nothing of a module that cannot be packed is not held up by it. */
  #unpacked(roots: readonly (LocalModule | PackageUse | null)[]): LocalModule[] {
    const reached = new Set(roots.filter((root) => root instanceof LocalModule));
    for (const module of reached) for (const imported of module.imports) reached.add(imported);
    return [...reached].filter((module) => !this.#packed.has(module));
  }

  /** Finds all that these lead to at once: to follow a long chain link by link takes a run of the bundler for each. */
  async #discover(modules: readonly LocalModule[]): Promise<ReadonlySet<LocalModule>> {
    const found = new Set<LocalModule>();
    const entryPoints = modules.filter(({ kind }) => kind !== "data").map(({ path }, index) => ({ in: path, out: String(index) }));
    if (entryPoints.length === 0) return found;
    const setup = (build: PluginBuild): void => {
      build.onResolve({ filter: /.*/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
        if (pluginData === RESOLVING || kind === "entry-point") return undefined;
        const asWritten = { path, external: true };
        const target = await this.#fileOf(build, path, resolveDir, kind);
        if (target === null || isInPackage(target) || loaderOf(target) === undefined) return asWritten;
        const module = this.#module(target, howReached(kind, this.#known(importer)), importer);
        if (this.#packed.has(module)) return asWritten;
        found.add(module);
        return { path: target };
      });
      build.onLoad({ filter: /.*/, namespace: "file" }, ({ path }) => ({ contents: this.#known(path)?.source ?? "", loader: loaderOf(path) ?? "js" }));
    };
    // What is wrong with a module is said when it is packed.
    await bundler().build({ ...buildOptions(), entryPoints, format: "esm", sourcemap: false, plugins: [{ name: "mantaray", setup }] }).catch(() => undefined);
    return found;
  }

  /** Null for what every machine has, and for what is nowhere. */
  async #fileOf(build: PluginBuild, specifier: string, resolveDir: string, kind: ImportKind): Promise<string | null> {
    if (isBuiltin(specifier) || /^mantaray(?:\/|$)/.test(specifier)) return null;
    const key = `${specifier}\0${resolveDir}\0${kind}`;
    const known = this.#files.get(key);
    if (known !== undefined) return known;
    const path = specifier.startsWith("file:") ? fileURLToPath(specifier) : specifier;
    const resolved = await build.resolve(path, { resolveDir, kind, pluginData: RESOLVING });
    if (resolved.errors.length > 0 || resolved.external || resolved.namespace !== "file") return null;
    this.#files.set(key, resolved.path);
    return resolved.path;
  }

  #known(path: string): LocalModule | undefined {
    return this.#modules.get(`imported ${path}`) ?? this.#modules.get(`required ${path}`);
  }

  /** Packs these and notes what they import. */
  async #follow(importers: readonly Importer[]): Promise<void> {
    const asScripts = importers.filter((importer) => "module" in importer && importer.module.kind === "commonjs");
    const asModules = importers.filter((importer) => !("module" in importer) || importer.module.kind === "module");
    await this.#build(asModules, "esm");
    await this.#build(asScripts, "cjs");
    for (const importer of asScripts) if ("module" in importer) importer.module.content = await commonJsOf(importer.module);
    for (const importer of importers) if ("module" in importer) this.#packed.add(importer.module);
  }

  async #build(importers: readonly Importer[], format: "esm" | "cjs"): Promise<void> {
    if (importers.length === 0) return;
    const options = {
      ...buildOptions(), format, sourcemap: "external",
      entryPoints: importers.map((importer, index) => ({ in: "module" in importer ? importer.module.path : `${REQUEST}:${index}`, out: String(index) })),
      plugins: [{ name: "mantaray", setup: (build) => this.#setUp(build, importers) }],
    } satisfies BuildOptions;
    const { outputFiles } = await bundler().build(options).catch((error: BuildFailure) => { throw notPacked(error); });
    if (format === "cjs") return;
    const outputs = new Map(outputFiles.map(({ path, contents }) => [path.slice(path.lastIndexOf(sep) + 1), contents]));
    importers.forEach((importer, index) => {
      const [code, map] = [outputs.get(`${index}.js`), outputs.get(`${index}.js.map`)];
      if ("module" in importer && code !== undefined) importer.module.content = withSourceMap(withRequire(Buffer.from(code).toString("utf8")), map, importer.module.path);
    });
  }

  #setUp(build: PluginBuild, importers: readonly Importer[]): void {
    const byPath = new Map<string, Importer>(importers.map((importer, index) => ["module" in importer ? importer.module.path : `${REQUEST}:${index}`, importer]));
    build.onResolve({ filter: /.*/ }, (args) => {
      if (args.pluginData === RESOLVING) return undefined;
      if (args.kind === "entry-point") return { path: args.path, namespace: args.path.startsWith(`${REQUEST}:`) ? REQUEST : "file" };
      const importer = byPath.get(args.importer);
      return importer === undefined ? undefined : this.#resolve(build, importer, args.path, args.resolveDir, args.kind);
    });
    build.onLoad({ filter: /.*/, namespace: REQUEST }, ({ path }) => {
      const { request } = byPath.get(path) as Importer & { readonly request: ModuleRequest };
      const specifier = JSON.stringify(request.specifier);
      return { contents: request.kind === "import" ? `import ${specifier}` : `require(${specifier})`, resolveDir: folderOf(request.parentUrl), loader: "js" };
    });
    build.onLoad({ filter: /.*/, namespace: "file" }, async ({ path }) => {
      const importer = byPath.get(path);
      if (importer === undefined || !("module" in importer)) return undefined;
      const { module } = importer;
      const { text } = module;
      for (const asset of assetsOf(text)) this.#addAsset(module, asset);
      if (module.kind === "commonjs") return { contents: module.source, loader: loaderOf(path) ?? "js" };
      const redirected = new Map<string, string>();
      for (const specifier of requiredByHand(text)) {
        const resolved = await this.#resolve(build, importer, specifier, dirname(path), "require-call");
        if (resolved.path !== specifier) redirected.set(specifier, resolved.path as string);
      }
      return { contents: redirect(text, redirected), loader: loaderOf(path) ?? "js" };
    });
  }

  /** Notes what it leads to; only data of ES modules becomes a part of what imports it. */
  async #resolve(build: PluginBuild, importer: Importer, specifier: string, resolveDir: string, kind: ImportKind): Promise<OnResolveResult> {
    const asWritten = { path: specifier, external: true };
    const target = await this.#fileOf(build, specifier, resolveDir, kind);
    // What is not found here is not found there either, and then says so itself.
    if (target === null) return asWritten;
    const use = isInPackage(target) ? packageUseOf(specifier, resolveDir, target, importerName(importer)) : null;
    if (use !== null) {
      if ("module" in importer) importer.module.packages.set(use.place, use);
      else importer.found(use);
      return this.#leadTo(importer, specifier, use.isByName ? null : mirrorPathOf(target));
    }
    const isPartOf = target.endsWith(".json") && kind !== "require-call" && "module" in importer && importer.module.kind === "module";
    if (isPartOf) return { path: target };
    const module = this.#module(target, howReached(kind, "module" in importer ? importer.module : undefined), "module" in importer ? importer.module.path : null);
    if ("module" in importer) importer.module.imports.add(module);
    else importer.found(module);
    return this.#leadTo(importer, specifier, module.packedPath);
  }

  #leadTo(importer: Importer, specifier: string, packedPath: string | null): OnResolveResult {
    if (packedPath === null || !("module" in importer)) return { path: specifier, external: true };
    const path = relativeSpecifier(importer.module.packedPath, packedPath);
    if (importer.module.kind === "commonjs" && path !== specifier) importer.module.redirected.set(specifier, path);
    return { path, external: true };
  }

  #addAsset(module: LocalModule, specifier: string): void {
    const path = fileURLToPath(new URL(specifier, pathToFileURL(module.path)));
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) module.imports.add(this.#module(path, "read", module.path));
  }

  #module(path: string, how: HowReached, importedBy: string | null): LocalModule {
    const key = `${how} ${path}`;
    let module = this.#modules.get(key);
    if (module !== undefined) return module;
    module = new LocalModule(path, how, importedBy);
    // Imported and required it is mostly the same; a file may also be a module and what another reads.
    module = this.#modules.get(module.packedPath) ?? module;
    this.#modules.set(module.packedPath, module);
    this.#modules.set(key, module);
    return module;
  }
}

function buildOptions() {
  return {
    absWorkingDir: dirname(process.execPath), outdir: OUTPUT_FOLDER, write: false, bundle: true, platform: "node", target: `node${process.versions.node}`,
    // As Node resolves: it knows nothing of bundlers' own condition.
    conditions: ["node-addons", ...(process.features.require_module === true ? ["module-sync"] : [])],
    treeShaking: false, keepNames: true, sourcesContent: false, logLevel: "silent", charset: "utf8",
  } satisfies BuildOptions;
}

function isInPackage(path: string): boolean {
  return path.includes(`${sep}node_modules${sep}`);
}

/** In CommonJS, compilers make a require of every import but the dynamic ones. */
function howReached(kind: ImportKind, importer: LocalModule | undefined): HowReached {
  return kind.startsWith("require") || (importer?.kind === "commonjs" && kind !== "dynamic-import") ? "required" : "imported";
}

/** Nothing is written there: output files need names. */
const OUTPUT_FOLDER = join(dirname(process.execPath), "mantaray-modules");

function importerName(importer: Importer): string {
  if ("module" in importer) return importer.module.path;
  const { parentUrl } = importer.request;
  return parentUrl.startsWith("file:") ? fileURLToPath(parentUrl) : parentUrl;
}

function folderOf(url: string): string {
  return url.startsWith("file:") ? dirname(fileURLToPath(url)) : process.cwd();
}

/** `isByName`: Node finds it there by the name as written. */
function packageUseOf(specifier: string, fromFolder: string, target: string, importedBy: string): PackageUse & { readonly isByName: boolean } {
  const name = /^(?:@[^/]+\/)?[^./@#][^/]*/.exec(specifier)?.[0];
  if (name !== undefined) {
    for (let folder = fromFolder; ; folder = dirname(folder)) {
      const place = join(folder, "node_modules", name);
      if (existsSync(join(place, "package.json"))) return { place, name, importedBy, isByName: true };
      if (folder === dirname(folder)) break;
    }
  }
  const [, place, found] = /^(.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+))/.exec(target) as unknown as [string, string, string];
  return { place, name: found.replaceAll("\\", "/"), importedBy, isByName: false };
}

async function commonJsOf(module: LocalModule): Promise<Uint8Array> {
  const loader = loaderOf(module.path) ?? "js";
  if (loader === "js" && !hasModuleSyntax(module.path, module.text)) return module.redirected.size === 0 ? module.source : Buffer.from(redirect(module.text, module.redirected));
  const { code, map } = await bundler().transform(module.text, { loader, format: "cjs", platform: "node", target: `node${process.versions.node}`, sourcemap: "external", sourcesContent: false, logLevel: "silent" }).catch((error: BuildFailure) => { throw notPacked(error); });
  return withSourceMap(redirect(code, module.redirected), Buffer.from(map), module.path);
}

/** The bundler's stand-in for `require` looks for the real one. */
function withRequire(code: string): string {
  if (!/\b__require\b/.test(code)) return code;
  // On the first line, so that the others stay where the source map has them.
  return `import { createRequire as __mantaray_createRequire } from "node:module"; const require = __mantaray_createRequire(import.meta.url); ${code}`;
}

/** With the program's file as the source, which the packed one does not lie beside. */
function withSourceMap(code: string, map: Uint8Array | undefined, path: string): Uint8Array {
  if (map === undefined || map.byteLength === 0) return Buffer.from(code);
  const { mappings, names, sources } = JSON.parse(Buffer.from(map).toString("utf8")) as { mappings: string; names: string[]; sources: string[] };
  // Data may have become a part of it.
  const urls = sources.map((source) => (sources.length === 1 ? pathToFileURL(path) : pathToFileURL(resolve(OUTPUT_FOLDER, source))).href);
  const content = { version: 3, sources: urls, names, mappings };
  return Buffer.from(`${code}//# sourceMappingURL=data:application/json;base64,${Buffer.from(JSON.stringify(content)).toString("base64")}\n`);
}

function notPacked(error: BuildFailure): SerializationError {
  const [first] = (error.errors ?? []) as (Message | undefined)[];
  const where = first?.location ? ` (${realLocation(first.location.file)}:${first.location.line})` : "";
  return new SerializationError(`A module of the program cannot be made ready for a machine that has not its files: ${first?.text ?? error.message}${where}. Correct it, or give the files with runtimeEnv: { workingDir }.`, { cause: error });
}

function realLocation(file: string): string {
  try {
    return realpathSync(join(dirname(process.execPath), file));
  } catch {
    return file;
  }
}

function checkSize(modules: readonly PackedModule[]): void {
  const bytes = modules.reduce((sum, module) => sum + module.bytes, 0);
  if (bytes <= LOCAL_BYTES_MAX) return;
  const largest = [...modules].sort((a, b) => b.bytes - a.bytes).slice(0, 3).map((module) => `${fileURLToPath(module.url)} (${mebibytes(module.bytes)})`);
  throw new SerializationError(`A function needs modules of ${mebibytes(bytes)} that are not there on the machine of its worker, more than the ${mebibytes(LOCAL_BYTES_MAX)} that are sent; largest: ${largest.join(", ")}. Put large data into the object store (ray.put), or files where all machines have them.`);
}
