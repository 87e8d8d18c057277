import { existsSync } from "node:fs";
import { isBuiltin } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Script } from "node:vm";
import type { CodeOrigin, ModuleRequest } from "../../protocol/mod.ts";
import { ownModuleUrl } from "../own-package.ts";
import { type ModulePlaces, notePlaced, sourceUrlOf } from "../placed-modules.ts";
import { IMPORT_AS_FILE, prepareDynamicImport } from "./dynamic-import.ts";
import type { ImportReference, Reference } from "./graph-format.ts";

/** How the modules of a program are found that code comes from. */
export interface ImportEnvironment {
  readonly origin: CodeOrigin | null;
  readonly places: ModulePlaces | null;
  /** Loads what the program needs to load modules (tsx), once. */
  readonly prepare: () => Promise<void>;
}

type RequireReference = Reference & { readonly type: "required" | "requireFunction" };

const namespaces = new Map<string, object>();
/** By URL of a module whose functions came here by value: where its imports are found. */
const environments = new Map<string, ImportEnvironment>();
/** A file of the program → where it was placed; and a module of the program → the one in whose name it requires now. */
const placedFiles = new Map<string, string>();
const requireBases = new Map<string, string>();

export function namespaceOf(reference: ImportReference): object {
  return namespaces.get(keyOf(reference)) as object;
}

/** Functions of these modules are about to be made: their own imports come later. */
export function noteModules(urls: Iterable<string>, environment: ImportEnvironment): void {
  if (environment.places === null || environment.origin === null) return;
  for (const url of urls) environments.set(url, environment);
}

/** Loads what is not there yet. Undefined if all is. */
export function importModules(references: readonly Reference[], environment: ImportEnvironment, prepares: boolean): Promise<void> | undefined {
  const imports = new Map<string, ImportReference>();
  for (const reference of references) if (reference.type === "import" && !namespaces.has(keyOf(reference))) imports.set(keyOf(reference), reference);
  const requires = missingRequires(references, environment);
  if (imports.size === 0 && requires.length === 0) return prepares ? prepared(environment).then(() => undefined) : undefined;
  return importAll([...imports.values()], requires, environment, prepares);
}

async function importAll(imports: readonly ImportReference[], requires: readonly RequireReference[], environment: ImportEnvironment, prepares: boolean): Promise<void> {
  if (prepares) await prepared(environment);
  if (requires.length > 0) await placeRequired(requires, environment);
  await Promise.all(imports.map(async (reference) => {
    namespaces.set(keyOf(reference), await loadImported({ specifier: reference.specifier, parentUrl: reference.parentUrl, kind: "import" }, environment));
  }));
}

/** As the program has imported it. A reference does not tell with which attributes: it has none, or what Node wants one for. */
async function loadImported(request: ModuleRequest, environment: ImportEnvironment): Promise<object> {
  try {
    return await load(request, environment, undefined);
  } catch (error) {
    if (!ATTRIBUTE_MISSING.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
    return load(request, environment, { with: { type: "json" } });
  }
}

/** Node's code, and what it was called before. */
const ATTRIBUTE_MISSING: ReadonlySet<string> = new Set(["ERR_IMPORT_ATTRIBUTE_MISSING", "ERR_IMPORT_ASSERTION_TYPE_MISSING"]);

/** Whether what the program's machine loads TypeScript with is there: without, its modules come compiled. */
async function prepared(environment: ImportEnvironment): Promise<boolean> {
  try {
    await environment.prepare();
    return true;
  } catch (error) {
    if (comparedWith(environment) === "same") throw error;
    return false;
  }
}

/** "same" also where nobody can be asked. */
function comparedWith({ origin, places }: ImportEnvironment): "same" | "maybe" | "other" {
  return origin === null || places === null ? "same" : places.compare(origin);
}

async function load(request: ModuleRequest, environment: ImportEnvironment, options: ImportCallOptions | undefined): Promise<object> {
  const compared = isEverywhere(request.specifier) ? "same" : comparedWith(environment);
  if (compared === "other") {
    const [target] = await place([request], environment);
    return importFrom(target ?? request, options);
  }
  try {
    return await importFrom(request, options);
  } catch (error) {
    if (compared === "same" || !isMissing(error)) throw error;
    const [target] = await place([request], environment);
    if (!target) throw error;
    return importFrom(target, options);
  }
}

/** Requests of one turn are one question: a function may import a dozen modules. */
interface Asking {
  readonly requests: ModuleRequest[];
  readonly answered: Promise<readonly (ModuleRequest | null)[]>;
}
const asking = new Map<ImportEnvironment["origin"], Asking>();

async function place(requests: readonly ModuleRequest[], environment: ImportEnvironment): Promise<readonly (ModuleRequest | null)[]> {
  let current = asking.get(environment.origin);
  if (current === undefined) {
    const gathered: ModuleRequest[] = [];
    current = { requests: gathered, answered: askFor(gathered, environment) };
    asking.set(environment.origin, current);
  }
  const start = current.requests.length;
  current.requests.push(...requests);
  const targets = await current.answered;
  return targets.slice(start, start + requests.length);
}

async function askFor(requests: readonly ModuleRequest[], environment: ImportEnvironment): Promise<readonly (ModuleRequest | null)[]> {
  const loadsTypeScript = await prepared(environment);
  asking.delete(environment.origin);
  const placement = await (environment.places as ModulePlaces).place(environment.origin as CodeOrigin, requests, loadsTypeScript);
  notePlaced(placement);
  for (const [url, source] of placement.sources) placedFiles.set(fileURLToPath(source), fileURLToPath(url));
  requests.forEach(({ kind, specifier }, index) => {
    const target = placement.targets[index];
    // A file of a package.
    if (target && kind === "require" && specifier.startsWith("file:")) placedFiles.set(fileURLToPath(specifier), fileURLToPath(target.specifier));
  });
  // Node reads the source maps of what it loads from now on: stacks show the program's files.
  if (placement.sources.size > 0) process.setSourceMapsEnabled(true);
  return placement.targets;
}

function missingRequires(references: readonly Reference[], environment: ImportEnvironment): RequireReference[] {
  const requires = references.filter((reference) => reference.type === "required" || reference.type === "requireFunction");
  if (requires.length === 0) return requires;
  const compared = comparedWith(environment);
  return compared === "other" ? requires : compared === "same" ? [] : requires.filter((reference) => reference.type === "required" && !existsSync(reference.file));
}

/** `require` cannot wait, so what it will be asked for is brought here before. */
async function placeRequired(references: readonly RequireReference[], environment: ImportEnvironment): Promise<void> {
  const requests = references.flatMap((reference): ModuleRequest[] => {
    if (reference.type === "required") return [{ specifier: pathToFileURL(reference.file).href, parentUrl: pathToFileURL(reference.file).href, kind: "require" }];
    return reference.specifiers.filter((specifier) => !isEverywhere(specifier)).map((specifier) => ({ specifier, parentUrl: reference.parentUrl, kind: "require" }));
  });
  if (requests.length === 0) return;
  const targets = await place(requests, environment);
  requests.forEach(({ parentUrl }, index) => {
    const target = targets[index];
    if (target) requireBases.set(parentUrl, target.parentUrl);
  });
}

export function placedFileOf(file: string): string {
  return placedFiles.get(file) ?? file;
}

/** The program's file that a file was made from. */
export function sourceFileOf(file: string): string {
  if (placedFiles.size === 0) return file;
  const url = pathToFileURL(file).href;
  const source = sourceUrlOf(url);
  return source === url ? file : fileURLToPath(source);
}

export function requireBaseOf(parentUrl: string): string {
  return baseUrl(requireBases.get(parentUrl) ?? parentUrl);
}

/** `import()` in a function of that module. */
export async function importInside(parentUrl: string, specifier: unknown, options: ImportCallOptions | undefined): Promise<object> {
  const request: ModuleRequest = { specifier: String(specifier), parentUrl, kind: "import" };
  const environment = environments.get(parentUrl);
  return environment === undefined ? importFrom(request, options) : load(request, environment, options);
}

function isEverywhere(specifier: string): boolean {
  return isBuiltin(specifier) || ownModuleUrl(specifier) !== undefined || /^(?!file:)[a-z][a-z0-9+.-]*:/i.test(specifier);
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  // The last: a TypeScript file, and nothing here that reads it.
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND" || code === "ERR_UNKNOWN_FILE_EXTENSION";
}

function keyOf({ specifier, parentUrl }: ImportReference): string {
  return `${specifier}\0${parentUrl}`;
}

type Importer = (specifier: string, options?: ImportCallOptions) => Promise<object>;
const importers = new Map<string, Importer>();

/**
 * Imports as the parent module would: a script that poses as that module asks Node's own loader, so that package exports,
 * import maps and the hooks of tsx all have their say.
 */
function importFrom({ specifier, parentUrl }: ModuleRequest, options: ImportCallOptions | undefined): Promise<object> {
  const base = baseUrl(parentUrl);
  prepareDynamicImport();
  let importer = importers.get(base);
  if (importer === undefined) {
    const script = new Script("(specifier, options) => options === undefined ? import(specifier) : import(specifier, options)", {
      filename: base,
      importModuleDynamically: IMPORT_AS_FILE,
    });
    importer = script.runInThisContext() as Importer;
    importers.set(base, importer);
  }
  return importer(ownModuleUrl(specifier) ?? specifier, options);
}

/** Code that is no file (`node -e`, the REPL) resolves from the working directory. */
export function baseUrl(url: string): string {
  return url.startsWith("file:") ? url : pathToFileURL(`${process.cwd()}/[eval]`).href;
}
