import { portableUrl } from "../own-package.ts";
import { inspectorProbe } from "../closure/inspector-probe.ts";
import type { ModulePolicy } from "../closure/module-policy.ts";
import { tableOf } from "../closure/function-capture.ts";
import { loadedScript } from "../closure/script-catalog.ts";
import type { Reference } from "./graph-format.ts";
import { wellKnownReference } from "./well-known-objects.ts";

/**
 * The module of a namespace object that a variable holds (`const lib = await import("./lib.ts")`). V8 does not tell, but
 * the functions that it exports tell where they were loaded from.
 */
export function namespaceReference(namespace: object, policy: ModulePolicy): Reference | undefined {
  const exported = namespace as Record<string, unknown>;
  const defaultExport = exported["default"];
  if ((typeof defaultExport === "object" && defaultExport !== null) || typeof defaultExport === "function") {
    const builtin = wellKnownReference(defaultExport);
    if (builtin?.type === "builtin" && builtin.path.length === 0) {
      return { type: "import", specifier: builtin.module, parentUrl: import.meta.url, name: "*" };
    }
  }
  const names = Object.keys(namespace);
  const functions = names.flatMap((name) => (typeof exported[name] === "function" ? [exported[name]] : []));
  const scriptIds = new Set(inspectorProbe().inspect(functions as Function[]).map((inspection) => inspection.scriptId));
  for (const scriptId of scriptIds) {
    if (scriptId === "") continue;
    const script = loadedScript(scriptId);
    if (!script.isFile || !policy.isByReference(script.url)) continue;
    const exportsOfScript = tableOf(script).exports;
    // A module that re-exports what others declare is not found by its functions.
    if (names.length === exportsOfScript.size && names.every((name) => exportsOfScript.has(name))) {
      return { type: "import", specifier: portableUrl(script.url), parentUrl: portableUrl(script.url), name: "*" };
    }
  }
  return undefined;
}
