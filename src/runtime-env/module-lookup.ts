import { isBuiltin } from "node:module";
import { pathToFileURL } from "node:url";
import type { InstalledPackages } from "../protocol/mod.ts";

/** Where workers of an environment look for modules. Plain data: it also goes to the thread of Node's module hooks. */
export interface ModuleLookup {
  readonly workingDir: string | null;
  readonly npm: InstalledPackages | null;
  /** Of this package's own modules, whose imports are nobody's business; their URLs begin so. */
  readonly ownUrl: string;
}

/** Two ways to look for a module: as `parent` (a file URL) says, first or only if nothing else is found. */
export interface LookupPlan {
  readonly first: string | null;
  readonly last: string | null;
}

const AS_WRITTEN: LookupPlan = { first: null, last: null };

/**
 * The packages of the environment come before those of the program, but not for what packages import of each other. What is found
 * nowhere is looked for from the working directory, relative imports too. Pure.
 */
export function planLookup({ workingDir, npm, ownUrl }: ModuleLookup, specifier: string, parentUrl: string | undefined): LookupPlan {
  const isRelative = /^\.{1,2}(?:\/|$)/.test(specifier);
  const isPackage = !isRelative && !/^(?:\/|#|[a-z][a-z0-9+.-]*:)/i.test(specifier) && !isBuiltin(specifier);
  if ((!isRelative && !isPackage) || parentUrl?.includes("/node_modules/") === true || parentUrl?.startsWith(ownUrl) === true) return AS_WRITTEN;
  const elsewhere = (folder: string): string | null => (parentIn(folder) === parentUrl ? null : parentIn(folder));
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? "";
  return {
    first: isPackage && npm?.names.includes(name) === true ? elsewhere(npm.folder) : null,
    last: workingDir === null ? null : elsewhere(workingDir),
  };
}

export function isNotFound(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
}

/** The URL of a file that need not exist: imports of its folder start there. */
function parentIn(folder: string): string {
  return pathToFileURL(`${folder}/environment.js`).href;
}
