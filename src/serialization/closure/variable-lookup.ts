import { GENERATED_NAMES } from "./generated-names.ts";
import type { FunctionInspection, InspectedScope } from "./inspector-probe.ts";

export interface FoundVariable {
  readonly value: unknown;
  /** Its declaration has not run. V8 before 12 does not say so and gives undefined. */
  readonly isUninitialized: boolean;
  /** Description of its scope. */
  readonly kind: string;
  readonly isModuleLevel: boolean;
  /** Counted from the innermost. */
  readonly scopeIndex: number;
  readonly scope: InspectedScope;
}

/** What the marker of a hydrated module holds. */
export interface ModuleState {
  readonly key: string;
}

const COMMONJS_NAMES = ["require", "exports", "module", "__filename", "__dirname"];

/** A variable as the function sees it; undefined for globals and for names that are nowhere. */
export function findVariable(inspection: FunctionInspection, name: string): FoundVariable | undefined {
  const { scopes } = inspection;
  for (let index = 0; index < scopes.length; index++) {
    const scope = scopes[index] as InspectedScope;
    if (scope.description === "Global") return declaredGlobal(scope, name, index);
    if (Object.hasOwn(scope.variables, name)) {
      return {
        ...readVariable(scope, name),
        kind: scope.description,
        isModuleLevel: isModuleScope(scopes, index),
        scopeIndex: index,
        scope,
      };
    }
  }
  return undefined;
}

/** A variable whose declaration has not run throws when it is read. */
export function readVariable(scope: InspectedScope, name: string): { value: unknown; isUninitialized: boolean } {
  try {
    return { value: scope.variables[name], isUninitialized: false };
  } catch {
    return { value: undefined, isUninitialized: true };
  }
}

export function moduleStateOf(inspection: FunctionInspection): ModuleState | undefined {
  return findVariable(inspection, GENERATED_NAMES.moduleState)?.value as ModuleState | undefined;
}

function isModuleScope(scopes: readonly InspectedScope[], index: number): boolean {
  const scope = scopes[index] as InspectedScope;
  if (scope.description === "Module" || scope.description === "Script") return true;
  if (Object.hasOwn(scope.variables, GENERATED_NAMES.moduleState)) return true;
  if (scopes.some((other) => Object.hasOwn(other.variables, GENERATED_NAMES.moduleState))) return false;
  if (!scope.description.startsWith("Closure") || scopes.some((other) => other.description === "Module")) return false;
  // CommonJS: the top level is a function's body, whose parameters may be a scope of their own.
  const outer = scopes.slice(index + 1).filter((other) => other.description !== "Global" && other.description !== "Script");
  if (outer.length === 0) return true;
  return outer.length === 1 && COMMONJS_NAMES.some((name) => Object.hasOwn((outer[0] as InspectedScope).variables, name));
}

/** `var` and functions at the top of a classic script (`node -e`, the REPL): properties of the global object, not configurable. */
function declaredGlobal(scope: InspectedScope, name: string, scopeIndex: number): FoundVariable | undefined {
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, name);
  if (descriptor === undefined || descriptor.configurable === true || !("value" in descriptor)) return undefined;
  if (name === "undefined" || name === "NaN" || name === "Infinity") return undefined;
  return { value: descriptor.value, isUninitialized: false, kind: "Global", isModuleLevel: true, scopeIndex, scope };
}
