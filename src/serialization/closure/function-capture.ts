import { Module } from "node:module";
import { types } from "node:util";
import type { FunctionHolder } from "../graph/encoding-session.ts";
import type { CaptureSlot, FunctionRecord, ImportReference, PrivateInstances, Reference, SourceEdit } from "../graph/graph-format.ts";
import { makeArguments } from "../graph/native-objects.ts";
import { privateAccessOf } from "../graph/private-access.ts";
import { isNodeGlobal } from "../graph/well-known-objects.ts";
import { portableUrl } from "../own-package.ts";
import { CaptureError } from "./capture-error.ts";
import { classEdits } from "./class-edits.ts";
import { parseFunction } from "./function-syntax.ts";
import type { FunctionSyntax } from "./function-syntax.ts";
import { GENERATED_NAMES } from "./generated-names.ts";
import { hydratedFunction } from "./hydrated-functions.ts";
import type { HydratedFunction } from "./hydrated-functions.ts";
import { hydratedScript } from "./hydrated-scripts.ts";
import type { FunctionInspection } from "./inspector-probe.ts";
import { moduleTable } from "./module-imports.ts";
import type { ModuleTable } from "./module-imports.ts";
import type { ModulePolicy } from "./module-policy.ts";
import { loadedScript } from "./script-catalog.ts";
import type { LoadedScript } from "./script-catalog.ts";
import { displayName, endOfText, scriptPositions, slicePositions } from "./source-positions.ts";
import { findVariable, moduleStateOf, readVariable } from "./variable-lookup.ts";
import type { FoundVariable } from "./variable-lookup.ts";

/** A value that a function takes along, and where the copy finds it. */
export interface Capture {
  readonly to: CaptureSlot["to"];
  readonly name: string;
  /** For the path of an error message. */
  readonly label: string;
  readonly value: unknown;
  /** To be found by the worker itself instead of travelling. */
  readonly reference: ImportReference | (Reference & { readonly type: "requireFunction" }) | undefined;
  /** The only properties that the function reads of it, where that is known and the rest had better stay. */
  readonly onlyProperties: ReadonlySet<string> | undefined;
  readonly variable: FoundVariable | undefined;
  readonly isAssigned: boolean;
}

/** A function's source and surroundings, before what it captures is encoded. */
export interface CapturedFunction {
  /** Identifies the loaded module: functions with the same key share top-level variables. */
  readonly moduleKey: string;
  readonly url: string;
  readonly isStrict: boolean;
  readonly captures: readonly Capture[];
  readonly record: Omit<FunctionRecord, "group" | "scope" | "slots" | "unitId">;
}

/** What stands for syntax in hydrated code. */
const OF_HYDRATED_CODE: ReadonlyMap<string, string> = new Map([[GENERATED_NAMES.importMeta, "import.meta"], [GENERATED_NAMES.importer, "import()"]]);
const NEVER_CAPTURED = new Set(["undefined", "NaN", "Infinity"]);

/** Reads a function: its text, its free variables and their values. Throws CaptureError. */
export function captureFunction(
  fn: Function,
  inspection: FunctionInspection,
  holder: FunctionHolder | undefined,
  policy: ModulePolicy,
): CapturedFunction {
  const hydrated = hydratedFunction(fn);
  if (hydrated !== undefined) return captureAgain(fn, inspection, hydrated);
  const text = Function.prototype.toString.call(fn);
  const origin = originOf(inspection, text);
  const syntax = parse(text, origin.isStrict);
  const { variables } = syntax;
  rejectUnsupported(syntax);

  const captures: Capture[] = [];
  const add = (capture: Pick<Capture, "to" | "name" | "label" | "value"> & Partial<Capture>): void => {
    captures.push({
      reference: undefined,
      onlyProperties: undefined,
      variable: undefined,
      isAssigned: false,
      ...capture,
    });
  };

  const edits: SourceEdit[] = variables.importMeta.map((range) => ({ ...range, text: GENERATED_NAMES.importMeta }));
  for (const range of variables.imports) edits.push({ ...range, text: GENERATED_NAMES.importer });
  let privateInstances: PrivateInstances | null = null;
  const names = new Set(variables.names);
  if (syntax.classSyntax !== undefined) {
    const patched = classEdits(fn, text, syntax.classSyntax, (name) => isResolvable(inspection, name));
    edits.push(...patched.edits);
    ({ privateInstances } = patched);
    for (const name of patched.freeNames) names.add(name);
    for (const [name, key] of patched.memberKeys) add({ to: "local", name, label: `key of a member`, value: key });
    for (const [name, value] of patched.privateStatics) {
      add({ to: "privateStatic", name, label: `static private field '${name}'`, value });
    }
    if (syntax.classSyntax.heritage !== undefined) {
      add({ to: "heritage", name: GENERATED_NAMES.heritage, label: "extends", value: Object.getPrototypeOf(fn) });
    }
  }
  if (syntax.key !== undefined) edits.push({ ...syntax.key, text: '"m"' });
  if (syntax.form !== "expression" && variables.usesSuper) {
    if (holder === undefined) {
      throw new CaptureError("it uses `super`, which works on the object that declares it: capture that object instead");
    }
    add({
      to: "homePrototype",
      name: "super",
      label: "prototype of its object",
      value: Object.getPrototypeOf(declaringObject(fn, holder)),
    });
  }
  if (syntax.kind === "arrow" && variables.usesThis) {
    add({ to: "this", name: "this", label: "this", value: thisOfArrow(text, holder) });
  }
  if (syntax.kind === "arrow" && variables.usesArguments) {
    const found = findVariable(inspection, "arguments");
    if (found === undefined) {
      throw new CaptureError("it uses the `arguments` of the function around it: copy them into a variable first");
    }
    add({ to: "arguments", name: "arguments", label: "arguments", value: found.value });
  }

  for (const name of names) {
    if (NEVER_CAPTURED.has(name) || OF_HYDRATED_CODE.has(name)) continue;
    const found = findVariable(inspection, name);
    if (found === undefined) {
      rejectUserGlobal(name, variables.typeofChecked.has(name));
      continue;
    }
    const isUndefined = found.value === undefined && found.isModuleLevel;
    if (found.isUninitialized || (isUndefined && isDeclaredWithValue(name, origin.script.source))) {
      throw new CaptureError(
        `its variable '${name}' has no value yet: make the first call after the line that declares '${name}' has run`,
      );
    }
    add({
      to: found.isModuleLevel ? "module" : "local",
      name,
      label: `captured variable '${name}'`,
      value: found.value,
      reference: found.isModuleLevel ? referenceOf(name, found, origin, policy, text) : undefined,
      onlyProperties: isPartlyShippable(found.value) ? (variables.members.get(name) ?? undefined) : undefined,
      variable: found,
      isAssigned: variables.assigned.has(name),
    });
  }
  for (const [name, label] of OF_HYDRATED_CODE) {
    const found = variables.names.has(name) ? findVariable(inspection, name) : undefined;
    // An inner function of hydrated code: what it has is what its outer function was given.
    if (found !== undefined) add({ to: "local", name, label, value: found.value });
  }

  edits.sort((left, right) => left.start - right.start || left.end - right.end);
  return {
    moduleKey: origin.moduleKey,
    url: origin.url,
    isStrict: origin.isStrict,
    captures,
    record: {
      name: fn.name,
      text,
      edits,
      form: syntax.form,
      kind: syntax.kind === "class" || syntax.kind === "get" || syntax.kind === "set" ? syntax.kind : "function",
      line: origin.line,
      column: origin.column,
      displayFile: origin.displayFile,
      positions: origin.positions,
      usesImportMeta: variables.importMeta.length > 0,
      usesImporter: variables.imports.length > 0,
      isAsync: syntax.isAsync,
      isGenerator: syntax.isGenerator,
      privateInstances,
    },
  };
}

/**
 * V8 shows a variable before its declaration has run as undefined. A constant whose initializer cannot be undefined tells
 * the one from the other.
 */
function isDeclaredWithValue(name: string, source: string): boolean {
  const escaped = name.replaceAll("$", "\\$");
  const value = String.raw`(?:async\b|function\b|class\b|new\b|[[{"'\d\x60]|\([^)]*\)[^=\n]*=>|[\w$]+\s*=>)`;
  return new RegExp(String.raw`^(?:export\s+)?(?:class\s+${escaped}\b|const\s+${escaped}\b[^=;\n]*=\s*${value})`, "m").test(source);
}

/** A function that came from elsewhere: what it was made from is known, only the values are taken anew. */
function captureAgain(fn: Function, inspection: FunctionInspection, hydrated: HydratedFunction): CapturedFunction {
  const { record, group } = hydrated;
  const captures = record.slots.flatMap((slot): Capture[] => {
    const capture = {
      to: slot.to,
      name: slot.name,
      label: `captured variable '${slot.name}'`,
      value: undefined as unknown,
      reference: undefined,
      onlyProperties: undefined,
      variable: undefined,
      isAssigned: slot.isAssigned,
    };
    switch (slot.to) {
      case "heritage":
        return [{ ...capture, label: "extends", value: Object.getPrototypeOf(fn) }];
      case "this":
        return [{ ...capture, label: "this", value: hydrated.capturedThis }];
      case "arguments":
        return [{ ...capture, label: "arguments", value: makeArguments(...hydrated.capturedArguments) }];
      case "homePrototype":
        return [{ ...capture, label: "prototype of its object", value: Object.getPrototypeOf(hydrated.home as object) }];
      case "privateStatic":
        return [{ ...capture, value: privateAccessOf(fn)?.[slot.name]?.[0](fn) }];
      default: {
        const found = findVariable(inspection, slot.name);
        if (found === undefined) return [];
        return [{ ...capture, to: found.isModuleLevel ? "module" : "local", value: found.value, variable: found }];
      }
    }
  });
  const { group: _group, scope: _scope, slots: _slots, unitId: _unitId, ...rest } = record;
  return {
    moduleKey: moduleStateOf(inspection)?.key ?? inspection.scriptId,
    url: group.url,
    isStrict: group.isStrict,
    captures,
    record: rest,
  };
}

/** Where a function's text was written, through however many processes it came here. */
export interface FunctionSource {
  readonly script: LoadedScript;
  readonly moduleKey: string;
  readonly url: string;
  readonly isStrict: boolean;
  readonly line: number;
  readonly column: number;
  readonly displayFile: string;
  readonly positions: Int32Array | null;
}

export function originOf(inspection: FunctionInspection, text: string): FunctionSource {
  const script = loadedScript(inspection.scriptId);
  const start = startOfText(inspection, text);
  const hydrated = hydratedScript(script.rawUrl)?.originAt(start);
  if (hydrated !== undefined) {
    const { record, group, position } = hydrated;
    return {
      script,
      moduleKey: moduleStateOf(inspection)?.key ?? `${inspection.scriptId}:${group.url}`,
      url: group.url,
      isStrict: group.isStrict,
      ...position,
      displayFile: record.displayFile,
      positions: record.positions && slicePositions(record.positions, position, endOfText(position, text)),
    };
  }
  const slice = scriptPositions(script.rawUrl)?.slice(start, endOfText(start, text));
  return {
    script,
    moduleKey: inspection.scriptId,
    url: script.url,
    isStrict: isStrictScript(inspection, script),
    ...start,
    displayFile: slice?.file ?? displayName(script.url),
    positions: slice?.table ?? null,
  };
}

/** Where the text begins, given where V8 says that the function is. */
function startOfText({ line, column }: FunctionInspection, text: string): { line: number; column: number } {
  let header: string;
  try {
    header = text.slice(0, parse(text, false).locationOffset);
  } catch {
    return { line, column };
  }
  const lineCount = header.split("\n").length - 1;
  return lineCount === 0 ? { line, column: column - header.length } : { line: line - lineCount, column: 0 };
}

/** The export by which a worker finds a function of a module that it may import. */
export function exportReference(
  fn: Function,
  inspection: FunctionInspection,
  policy: ModulePolicy,
): ImportReference | undefined {
  const script = loadedScript(inspection.scriptId);
  if (!script.isFile || hydratedScript(script.rawUrl) !== undefined || !policy.isByReference(script.url)) return undefined;
  const moduleScope = inspection.scopes.find((scope) => scope.description === "Module");
  if (moduleScope === undefined) return undefined;
  const isVariable = (name: string): boolean =>
    Object.hasOwn(moduleScope.variables, name) && readVariable(moduleScope, name).value === fn;
  for (const [name, local] of tableOf(script).exports) {
    const isThis =
      local === "*default*"
        ? Object.keys(moduleScope.variables).some((key) => /(?:^\*default\*|_default)$/.test(key) && isVariable(key))
        : isVariable(local);
    if (isThis) return { type: "import", specifier: portableUrl(script.url), parentUrl: portableUrl(script.url), name };
  }
  return undefined;
}

const tables = new WeakMap<LoadedScript, ModuleTable>();
export function tableOf(script: LoadedScript): ModuleTable {
  let table = tables.get(script);
  if (table === undefined) {
    table = moduleTable(displayName(script.url), script.source);
    tables.set(script, table);
  }
  return table;
}

function parse(text: string, isStrict: boolean): FunctionSyntax {
  try {
    return parseFunction(text, isStrict || text.startsWith("class"));
  } catch (error) {
    throw new CaptureError(`its source cannot be parsed (${(error as Error).message})`);
  }
}

function rejectUnsupported(syntax: FunctionSyntax): void {
  const { variables } = syntax;
  if (variables.usesDirectEval) {
    throw new CaptureError("it calls eval(), which may use any variable around it: nobody can tell what must travel along");
  }
  if (variables.usesNewTarget && syntax.kind === "arrow") {
    throw new CaptureError("it uses the `new.target` of the function around it: copy it into a variable first");
  }
  if (variables.usesSuperOutside && syntax.kind === "arrow") {
    throw new CaptureError("it uses the `super` of the method around it: call that in a method of the class, which this can call");
  }
  const [privateName] = variables.privateNames;
  if (privateName !== undefined) {
    throw new CaptureError(
      `it uses ${privateName}, private to a class that could not be found from here: ` +
        "capture the class or an instance and call the method on it",
    );
  }
}

/** Lookups of names that only shipped code mentions. */
function isResolvable(inspection: FunctionInspection, name: string): boolean {
  return NEVER_CAPTURED.has(name) || isNodeGlobal(name) || findVariable(inspection, name) !== undefined;
}

function rejectUserGlobal(name: string, isChecked: boolean): void {
  if (isNodeGlobal(name) || isChecked || !Object.hasOwn(globalThis, name)) return;
  throw new CaptureError(
    `it uses the global variable '${name}', which this program defined and a worker does not have: ` +
      `copy it into a local variable (const ${name}_ = globalThis.${name}) or define it in a module that the function imports`,
  );
}

function referenceOf(name: string, found: FoundVariable, origin: FunctionSource, policy: ModulePolicy, text: string): Capture["reference"] {
  if (name === "require" && typeof found.value === "function" && "resolve" in found.value) {
    return { type: "requireFunction", parentUrl: origin.url, specifiers: Array.from(text.matchAll(/\brequire\(\s*(["'])([^"'\n]+)\1/g), (match) => match[2] as string) };
  }
  if (found.kind !== "Module" || !/\bimport\b/.test(origin.script.source)) return undefined;
  const imported = tableOf(origin.script).imports.get(name);
  if (imported === undefined || !policy.isImportByReference(imported.specifier, origin.url)) return undefined;
  return { type: "import", specifier: imported.specifier, parentUrl: origin.url, name: imported.name };
}

function isStrictScript(inspection: FunctionInspection, script: LoadedScript): boolean {
  if (inspection.scopes.some((scope) => scope.description === "Module")) return true;
  return /^(?:#![^\n]*\n)?(?:\s|\/\/[^\n]*\n|\/\*[^]*?\*\/)*["']use strict["']/.test(script.source);
}

/**
 * A class field's arrow function: its `this` is the instance that it was found on, provided that the class of the
 * instance, or the class itself for a static field, has this very text as that field's initializer.
 */
function thisOfArrow(text: string, holder: FunctionHolder | undefined): object {
  if (holder !== undefined && isFieldInitializer(text, holder)) return holder.object;
  throw new CaptureError(
    "it is an arrow function that uses `this` of the function around it, which V8 does not tell: " +
      "write `const self = this` outside and use `self` inside",
  );
}

function isFieldInitializer(text: string, holder: FunctionHolder): boolean {
  const classes: Function[] = [];
  if (typeof holder.object === "function") classes.push(holder.object);
  for (let object: object | null = Object.getPrototypeOf(holder.object); object; object = Object.getPrototypeOf(object)) {
    const constructor: unknown = Object.getOwnPropertyDescriptor(object, "constructor")?.value;
    if (typeof constructor === "function") classes.push(constructor);
  }
  return classes.some((candidate) => {
    const classText = Function.prototype.toString.call(candidate);
    // Compilers may move initializers into the constructor: `this.handler = () => …`.
    return /^class\b/.test(classText) && classText.includes(text) && classText.includes(String(holder.key));
  });
}

/** The object on the prototype chain of the holder that has the method as its own. */
function declaringObject(fn: Function, holder: FunctionHolder): object {
  for (let object: object | null = holder.object; object !== null; object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, holder.key);
    if (descriptor && (descriptor.value === fn || descriptor.get === fn || descriptor.set === fn)) return object;
  }
  return holder.object;
}

/**
 * Wrappers that compilers make around required modules, namespaces, and CommonJS's `module`: of these only what is used
 * travels, because the module itself cannot.
 */
function isPartlyShippable(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Object.hasOwn(value, "__esModule") || types.isModuleNamespaceObject(value)) return true;
  return value instanceof Module || Object.getOwnPropertyDescriptor(value, "default")?.get !== undefined;
}
