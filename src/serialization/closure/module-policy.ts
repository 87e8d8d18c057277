import { existsSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { isAbsolute } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { isMainThread } from "node:worker_threads";
import { isPlacedSource } from "../placed-modules.ts";
import { OWN_PACKAGE_URL } from "../own-package.ts";
import { moduleTable } from "./module-imports.ts";
import type { ModuleTable } from "./module-imports.ts";

/**
 * Which modules a worker may import for itself, and which ones must travel by value.
 *
 * *Program modules* must never be imported by a worker: evaluating them again would run the program again. They are the
 * entry module; every module that is at work when something is captured and whose top level is running (it `await`s its
 * results there) or starts the work (a line such as `main();`); and, since imports are transitive, every local module
 * that imports one of those.
 */
export class ModulePolicy {
  readonly #programUrls = new Set<string>();
  /** Whether a local module leads to a program module; forgotten when there are new ones. */
  readonly #leadsToProgram = new Map<string, boolean>();
  readonly #tables = new Map<string, ModuleTable>();
  readonly #starters = new Map<string, boolean>();

  constructor(entryUrl: string | undefined) {
    const entry = entryUrl ?? defaultEntryUrl();
    if (entry !== undefined) this.#programUrls.add(entry);
  }

  isByReference(url: string): boolean {
    if (url.startsWith("node:")) return true;
    if (!url.startsWith("file:") || this.#programUrls.has(url)) return false;
    if (url.includes("/node_modules/") || url.startsWith(OWN_PACKAGE_URL) || isPlacedSource(url)) return true;
    return existsSync(fileURLToPath(url)) && !this.#doesLeadToProgram(url);
  }

  /** For an import as written. Bare specifiers are packages, whose resolution is Node's and the worker's business. */
  isImportByReference(specifier: string, parentUrl: string): boolean {
    if (!isLocalSpecifier(specifier)) return true;
    const url = resolveLocal(specifier, parentUrl);
    return url === undefined || this.isByReference(url);
  }

  /** Looks at the call stack for modules of the program. */
  noteRunningModules(): void {
    let isNew = false;
    for (const { url, isTopLevel } of filesOnStack()) {
      if (this.#programUrls.has(url) || url.includes("/node_modules/") || url.startsWith(OWN_PACKAGE_URL)) continue;
      if (!isTopLevel && !this.#startsWork(url)) continue;
      this.#programUrls.add(url);
      isNew = true;
    }
    if (isNew) this.#leadsToProgram.clear();
  }

  #startsWork(url: string): boolean {
    let starts = this.#starters.get(url);
    if (starts === undefined) {
      starts = url.startsWith("file:") && callsOwnFunction(readSource(url));
      this.#starters.set(url, starts);
    }
    return starts;
  }

  #doesLeadToProgram(start: string): boolean {
    const known = this.#leadsToProgram.get(start);
    if (known !== undefined) return known;
    const visited = new Set([start]);
    const queue = [start];
    let leads = false;
    for (let url = queue.pop(); url !== undefined && !leads; url = queue.pop()) {
      for (const specifier of this.#table(url).specifiers) {
        const imported = isLocalSpecifier(specifier) ? resolveLocal(specifier, url) : undefined;
        if (imported === undefined || visited.has(imported) || imported.includes("/node_modules/")) continue;
        if (this.#programUrls.has(imported)) {
          leads = true;
          break;
        }
        visited.add(imported);
        queue.push(imported);
      }
    }
    if (leads) this.#leadsToProgram.set(start, true);
    else for (const url of visited) this.#leadsToProgram.set(url, false);
    return leads;
  }

  #table(url: string): ModuleTable {
    let table = this.#tables.get(url);
    if (table === undefined) {
      table = readTable(url);
      this.#tables.set(url, table);
    }
    return table;
  }
}

function readTable(url: string): ModuleTable {
  const path = fileURLToPath(url);
  return /\.[cm]?[jt]sx?$/.test(path) ? moduleTable(path, readSource(url)) : moduleTable("data.js", "");
}

/** Empty for what is no file, such as "[eval1]". */
function readSource(url: string): string {
  try {
    return readFileSync(fileURLToPath(url), "utf8");
  } catch {
    return "";
  }
}

/** `main();`, `await run()`, `void start().catch(…)` at the beginning of a line, of a function that the module declares. */
function callsOwnFunction(source: string): boolean {
  for (const [, name] of source.matchAll(/^(?:await |void )?([A-Za-z_$][\w$]*)\(/gm)) {
    const declaration = new RegExp(`(?:^|\\s)(?:function\\s*\\*?|const|let|var)\\s+${(name as string).replaceAll("$", "\\$")}\\b`);
    if (declaration.test(source)) return true;
  }
  return false;
}

/** The script that Node was started with. A worker thread has none: its own file is the runtime's. */
function defaultEntryUrl(): string | undefined {
  const path = process.argv[1];
  if (!isMainThread || path === undefined) return undefined;
  for (const candidate of [path, `${path}.js`, `${path}/index.js`]) {
    try {
      return pathToFileURL(realpathSync(candidate)).href;
    } catch {
      // `node app` means app.js; `node -e` leaves the user's first argument here.
    }
  }
  return undefined;
}

function isLocalSpecifier(specifier: string): boolean {
  return !isBuiltin(specifier) && (/^\.{0,2}\//.test(specifier) || specifier === "." || specifier === ".." || specifier.startsWith("file:"));
}

const TYPESCRIPT_OF: readonly [RegExp, readonly string[]][] = [
  [/\.js$/, [".ts", ".tsx"]],
  [/\.mjs$/, [".mts"]],
  [/\.cjs$/, [".cts"]],
];
const IMPLIED_ENDINGS = ["", ".ts", ".mts", ".cts", ".tsx", ".js", ".mjs", ".cjs", "/index.ts", "/index.js"];

/** Where a relative import leads, as Node, CommonJS and TypeScript's compilers resolve it. */
function resolveLocal(specifier: string, parentUrl: string): string | undefined {
  let url: string;
  try {
    url = new URL(specifier, parentUrl).href.replace(/[?#].*$/, "");
  } catch {
    return undefined;
  }
  if (!url.startsWith("file:")) return undefined;
  const path = fileURLToPath(url);
  const candidates = IMPLIED_ENDINGS.map((ending) => path + ending);
  for (const [ending, replacements] of TYPESCRIPT_OF) {
    if (ending.test(path)) candidates.push(...replacements.map((replacement) => path.replace(ending, replacement)));
  }
  for (const candidate of candidates) {
    if (candidate === path ? /\.[a-z]+$/i.test(path) && existsSync(path) : existsSync(candidate)) {
      return pathToFileURL(realpathSync(candidate)).href;
    }
  }
  return undefined;
}

/** Frames beyond this many are too far from the program's own code to matter. */
const STACK_FRAMES_MAX = 200;

/** The files that are at work, also those that wait for a promise further up. */
function filesOnStack(): { url: string; isTopLevel: boolean }[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  let frames: NodeJS.CallSite[] = [];
  try {
    Error.stackTraceLimit = STACK_FRAMES_MAX;
    Error.prepareStackTrace = (_error, callSites) => callSites;
    frames = new Error("stack").stack as unknown as NodeJS.CallSite[];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
  const files = new Map<string, boolean>();
  for (const frame of frames) {
    const name = frame.getFileName();
    if (!name || name.startsWith("node:")) continue;
    const url = (isAbsolute(name) ? pathToFileURL(name).href : name).replace(/[?#].*$/, "");
    const isTopLevel = frame.getFunctionName() === null && startsScript(frame);
    files.set(url, isTopLevel || files.get(url) === true);
  }
  return Array.from(files, ([url, isTopLevel]) => ({ url, isTopLevel }));
}

/** Anonymous functions have no name either, but do not begin where the script begins. */
function startsScript(frame: NodeJS.CallSite): boolean {
  const position = frame as NodeJS.CallSite & { getEnclosingLineNumber?(): number; getEnclosingColumnNumber?(): number };
  const line = position.getEnclosingLineNumber?.() ?? 1;
  const column = position.getEnclosingColumnNumber?.() ?? 1;
  return line <= 1 && column <= 1;
}
