import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { ImportReference, Reference } from "./graph-format.ts";
import { baseUrl, importInside, namespaceOf, placedFileOf, requireBaseOf, sourceFileOf } from "./module-loading.ts";
import { resolveBuiltin, resolveWellKnown } from "./well-known-objects.ts";

/** What came by reference goes on by reference: the objects, and how they were found. */
const referencesByObject = new WeakMap<object, Reference>();

export function importedReference(object: object): Reference | undefined {
  return referencesByObject.get(object) ?? requiredReference(object);
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
      const file = placedFileOf(reference.file);
      let value: unknown = createRequire(file)(file);
      for (const key of reference.path) value = (value as Record<string, unknown>)[key];
      return value;
    }
    case "requireFunction":
      return remembered(createRequire(requireBaseOf(reference.parentUrl)), reference);
    case "importMeta":
      return importMetaOf(reference.url);
    case "importer":
      return importerOf(reference.url);
  }
}

const importers = new Map<string, (specifier: unknown, options?: ImportCallOptions) => Promise<object>>();
/** What `import()` is in functions from that module. */
export function importerOf(url: string): (specifier: unknown, options?: ImportCallOptions) => Promise<object> {
  let importer = importers.get(url);
  if (importer === undefined) {
    importer = (specifier, options) => importInside(url, specifier, options);
    referencesByObject.set(importer, { type: "importer", url });
    importers.set(url, importer);
  }
  return importer;
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
  const namespace = namespaceOf(reference) as Record<string, unknown>;
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
      required.set(value, { type: "required", file: sourceFileOf(file), path });
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
