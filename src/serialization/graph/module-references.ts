import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Script } from "node:vm";
import { IMPORT_AS_FILE, prepareDynamicImport } from "./dynamic-import.ts";
import type { ImportReference, Reference } from "./graph-format.ts";
import { resolveBuiltin, resolveWellKnown } from "./well-known-objects.ts";

const namespaces = new Map<string, object>();
/** What came by reference goes on by reference: the objects, and how they were found. */
const referencesByObject = new WeakMap<object, Reference>();

export function importedReference(object: object): Reference | undefined {
  return referencesByObject.get(object) ?? requiredReference(object);
}

/** Imports what is not there yet. Undefined if all is. */
export function importModules(references: readonly Reference[]): Promise<void> | undefined {
  const missing = new Map<string, ImportReference>();
  for (const reference of references) {
    if (reference.type === "import" && !namespaces.has(moduleKey(reference))) missing.set(moduleKey(reference), reference);
  }
  if (missing.size === 0) return undefined;
  return Promise.all(
    Array.from(missing, async ([key, reference]) => {
      namespaces.set(key, await importFrom(reference.specifier, reference.parentUrl));
    }),
  ).then(() => undefined);
}

/** The object that a reference means, in this process. */
export function resolveReference(reference: Reference): unknown {
  switch (reference.type) {
    case "wellKnown":
      return resolveWellKnown(reference.path);
    case "builtin":
      return resolveBuiltin(reference.module, reference.path);
    case "import":
      return remembered(exportOf(reference), reference);
    case "required": {
      let value: unknown = createRequire(reference.file)(reference.file);
      for (const key of reference.path) value = (value as Record<string, unknown>)[key];
      return value;
    }
    case "requireFunction":
      return remembered(createRequire(baseUrl(reference.parentUrl)), reference);
    case "importMeta":
      return importMetaOf(reference.url);
  }
}

const importMetas = new Map<string, object>();
export function importMetaOf(url: string): object {
  let meta = importMetas.get(url);
  if (meta === undefined) {
    meta = makeImportMeta(url);
    referencesByObject.set(meta, { type: "importMeta", url });
    importMetas.set(url, meta);
  }
  return meta;
}

function makeImportMeta(url: string): object {
  const resolve = (specifier: string): string =>
    /^(?:\.{0,2}\/|file:)/.test(specifier)
      ? new URL(specifier, url).href
      : pathToFileURL(createRequire(baseUrl(url)).resolve(specifier)).href;
  if (!url.startsWith("file:")) return { url, resolve };
  const filename = fileURLToPath(url);
  return { url, filename, dirname: dirname(filename), resolve };
}

function exportOf(reference: ImportReference): unknown {
  const namespace = namespaces.get(moduleKey(reference)) as Record<string, unknown>;
  if (reference.name === "*") return namespace;
  if (!(reference.name in namespace)) {
    throw new SyntaxError(
      `The module '${reference.specifier}', imported by ${reference.parentUrl}, has no export named '${reference.name}' here`,
    );
  }
  return namespace[reference.name];
}

function remembered(value: unknown, reference: Reference): unknown {
  if ((typeof value === "object" && value !== null) || typeof value === "function") {
    if (!referencesByObject.has(value)) referencesByObject.set(value, reference);
  }
  return value;
}

function moduleKey(reference: ImportReference): string {
  return `${reference.specifier}\0${reference.parentUrl}`;
}

const importers = new Map<string, (specifier: string) => Promise<object>>();

/**
 * Imports as the parent module would: a script that poses as that module asks Node's own loader, so that package exports,
 * import maps and the hooks of tsx all have their say.
 */
function importFrom(specifier: string, parentUrl: string): Promise<object> {
  const base = baseUrl(parentUrl);
  prepareDynamicImport();
  let importer = importers.get(base);
  if (importer === undefined) {
    const script = new Script("(specifier) => import(specifier)", {
      filename: base,
      importModuleDynamically: IMPORT_AS_FILE,
    });
    importer = script.runInThisContext() as (specifier: string) => Promise<object>;
    importers.set(base, importer);
  }
  return importer(specifier);
}

/** Code that is no file (`node -e`, the REPL) resolves from the working directory. */
function baseUrl(url: string): string {
  return url.startsWith("file:") ? url : pathToFileURL(`${process.cwd()}/[eval]`).href;
}

interface CommonJsModule {
  readonly filename: string;
  readonly loaded: boolean;
  readonly exports: unknown;
}
let required = new WeakMap<object, Reference>();
let requiredCount = -1;

/** Exports of CommonJS modules, by identity. What the module of the entry exports must not be required again. */
function requiredReference(object: object): Reference | undefined {
  const cache = createRequireCache();
  const files = Object.keys(cache);
  if (files.length !== requiredCount) {
    requiredCount = files.length;
    required = new WeakMap();
    for (const file of files) {
      const module = cache[file] as CommonJsModule;
      if (module.loaded && file !== process.argv[1]) noteExports(file, module.exports);
    }
  }
  return required.get(object);
}

let requireCache: Record<string, CommonJsModule> | undefined;
function createRequireCache(): Record<string, CommonJsModule> {
  return (requireCache ??= createRequire(import.meta.url).cache as unknown as Record<string, CommonJsModule>);
}

function noteExports(file: string, exported: unknown): void {
  const note = (value: unknown, path: string[]): void => {
    if (((typeof value === "object" && value !== null) || typeof value === "function") && !required.has(value)) {
      required.set(value, { type: "required", file, path });
    }
  };
  if ((typeof exported !== "object" && typeof exported !== "function") || exported === null) return;
  note(exported, []);
  const isCompiled = Object.hasOwn(exported, "__esModule");
  for (const key of Object.keys(exported)) {
    const descriptor = Object.getOwnPropertyDescriptor(exported, key);
    // Compilers export through getters. Other getters may load whole libraries when asked.
    if (descriptor?.get === undefined) note(descriptor?.value, [key]);
    else if (isCompiled) note((exported as Record<string, unknown>)[key], [key]);
  }
}
