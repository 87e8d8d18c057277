import Module, { createRequire, register } from "node:module";
import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";
import type { PreparedEnvironment } from "../protocol/mod.ts";
import { isNotFound, type ModuleLookup, planLookup } from "../runtime-env/mod.ts";

type ResolveFilename = (request: string, parent: { readonly filename?: string | null } | undefined, ...rest: unknown[]) => string;

/** From now on this thread finds modules as its environment says, by `import` and by `require`. */
export function installModuleLookup({ workingDir, npm }: PreparedEnvironment): void {
  const lookup: ModuleLookup = { workingDir, npm, ownUrl: new URL("./", import.meta.url).href };
  register(new URL("./module-hooks.js", import.meta.url), { data: lookup });
  const loader = Module as unknown as { _resolveFilename: ResolveFilename };
  const original = loader._resolveFilename;
  loader._resolveFilename = function (this: unknown, request, parent, ...rest) {
    const file = parent?.filename ?? null;
    const plan = planLookup(lookup, request, file !== null && isAbsolute(file) ? pathToFileURL(file).href : undefined);
    if (plan.first !== null) return createRequire(plan.first).resolve(request);
    try {
      return original.call(this, request, parent, ...rest);
    } catch (error) {
      if (plan.last === null || !isNotFound(error)) throw error;
      try {
        return createRequire(plan.last).resolve(request);
      } catch {
        throw error;
      }
    }
  };
}
