import { Script } from "node:vm";
import { GENERATED_NAMES } from "../closure/generated-names.ts";
import { registerHydratedScript } from "../closure/hydrated-scripts.ts";
import type { HydratedScript } from "../closure/hydrated-scripts.ts";
import { IMPORT_AS_FILE, prepareDynamicImport } from "./dynamic-import.ts";
import { registerPrivateAccess } from "./private-access.ts";
import { rebuilding } from "./private-instances.ts";
import type { FunctionRecord, Graph } from "./graph-format.ts";

type Setters = Readonly<Record<string, (value: unknown) => void>>;

/** The part of a graph that is code. */
export type CodeTables = Pick<Graph, "functions" | "groups" | "scopes">;

/** One function of a hydrated module: its variables can be set, before and after it is made. */
export interface FunctionTemplate {
  readonly set: Setters;
  /** Called with the `this` and the `arguments` that an arrow function captured. */
  make(this: unknown, ...capturedArguments: unknown[]): unknown;
}
export interface HydratedModules {
  /** By index of the function's record. */
  readonly templates: readonly FunctionTemplate[];
  /** By index of the group: its top-level variables. */
  readonly moduleSetters: readonly Setters[];
  /** By index of the shared scope. */
  readonly scopeSetters: readonly Setters[];
}

const FUNCTIONS = "__mantaray_functions";
const SCOPES = "__mantaray_scopes";
const VALUE = "__mantaray_value";
const PARAMETERS = [GENERATED_NAMES.moduleState, GENERATED_NAMES.registerPrivate, GENERATED_NAMES.rebuilding, FUNCTIONS, SCOPES].join(",");
/** What stands around a function's text. */
const FORMS: Readonly<Record<FunctionRecord["form"], readonly [before: string, after: string]>> = { expression: ["(", "\n)"], method: ["({", "\n})"], classMember: ["(class{", "\n})"] };

/**
 * Makes one script for each module that functions come from. Its top-level variables are shared by all of them; inside,
 * each function has a scope of its own for what it captured from enclosing functions. The function's text stands there
 * as it was written, so that lines and columns lead back to the source.
 */
export function instantiateModules(graph: CodeTables): HydratedModules {
  const templates: FunctionTemplate[] = [];
  const scopeSetters: Setters[] = [];
  const moduleSetters = graph.groups.map((group, groupIndex) => {
    const { url, script } = registerHydratedScript(group.url);
    const code = moduleCode(graph, groupIndex, script);
    // Each thread compiles the expression for itself: 2 % of what its first actor takes.
    if (code.includes("import") && /\bimport\s*\(/.test(code)) prepareDynamicImport();
    const compiled = new Script(code, {
      filename: url,
      importModuleDynamically: IMPORT_AS_FILE,
    });
    const instantiate = compiled.runInThisContext() as (...parts: unknown[]) => Setters;
    return instantiate({ key: url }, registerPrivateAccess, rebuilding, templates, scopeSetters);
  });
  return { templates, moduleSetters, scopeSetters };
}

function moduleCode(graph: CodeTables, groupIndex: number, script: HydratedScript): string {
  const group = graph.groups[groupIndex] as Graph["groups"][number];
  const code = new CodeText();
  const own: { readonly record: FunctionRecord; readonly index: number }[] = [];
  const moduleNames = new Set<string>();
  graph.functions.forEach((record, index) => {
    if (record.group !== groupIndex) return;
    own.push({ record, index });
    for (const slot of record.slots) if (slot.to === "module") moduleNames.add(slot.name);
  });
  code.append(`(function(${PARAMETERS}){${group.isStrict ? '"use strict";' : ""}`);
  code.append(declarations(moduleNames));

  const emitScope = (scopeIndex: number): void => {
    for (const { record, index } of own) if (record.scope === scopeIndex) emitFunction(code, record, index, graph, script);
    graph.scopes.forEach((scope, index) => {
      if (scope.group !== groupIndex || scope.parent !== scopeIndex) return;
      const names = new Set(scope.names);
      code.append(`(function(){${declarations(names)}${SCOPES}[${index}]={${setters(names)}};`);
      emitScope(index);
      code.append("})();");
    });
  };
  emitScope(-1);
  // Variables that no closure mentions are not kept: the marker of the module has to be.
  code.append(`return{${setters(moduleNames)}${moduleNames.size > 0 ? "," : ""}"*":()=>${GENERATED_NAMES.moduleState}}})`);
  return code.text;
}

function emitFunction(code: CodeText, record: FunctionRecord, index: number, graph: CodeTables, script: HydratedScript): void {
  const names = new Set<string>();
  for (const slot of record.slots) if (slot.to === "local" || slot.to === "heritage") names.add(slot.name);
  if (record.usesImportMeta) names.add(GENERATED_NAMES.importMeta);
  if (record.usesImporter) names.add(GENERATED_NAMES.importer);
  // Each function around it takes V8 10 µs: there is one only for variables of its own.
  const [enter, leave] = names.size === 0 ? ["", ""] : [`(function(){${declarations(names)}return`, "})()"];
  const [before, after] = FORMS[record.form];
  code.append(`${FUNCTIONS}[${index}]=${enter}{set:{${setters(names)}},make:(function(){return${before}`);
  const start = code.position;
  code.append(editedText(record));
  script.place(record, graph.groups[record.group] as Graph["groups"][number], start, code.position);
  code.append(`${after}})}${leave};`);
}

function editedText(record: FunctionRecord): string {
  let text = "";
  let position = 0;
  for (const edit of record.edits) {
    text += record.text.slice(position, edit.start) + edit.text;
    position = edit.end;
  }
  return text + record.text.slice(position);
}

function declarations(names: ReadonlySet<string>): string {
  return names.size === 0 ? "" : `let ${[...names].join(",")};`;
}

function setters(names: ReadonlySet<string>): string {
  let text = "";
  for (const name of names) text += `${text === "" ? "" : ","}${name}(${VALUE}){${name}=${VALUE}}`;
  return text;
}

/** Text that knows where it ends. */
class CodeText {
  text = "";
  #line = 0;
  #lineStart = 0;

  get position(): { line: number; column: number } {
    return { line: this.#line, column: this.text.length - this.#lineStart };
  }

  append(part: string): void {
    const start = this.text.length;
    this.text += part;
    for (let at = part.indexOf("\n"); at >= 0; at = part.indexOf("\n", at + 1)) {
      this.#line++;
      this.#lineStart = start + at + 1;
    }
  }
}
