import { createRequire } from "node:module";
import type * as Acorn from "acorn";
import { loadAcorn } from "./function-syntax.ts";

export interface ImportedName {
  readonly specifier: string;
  /** "default", "*" for the namespace, or the export's name. */
  readonly name: string;
}
export interface ModuleTable {
  /** By local name. */
  readonly imports: ReadonlyMap<string, ImportedName>;
  /** Local name by exported name; only of what the module declares itself. */
  readonly exports: ReadonlyMap<string, string>;
  /** Everything that evaluating the module loads first. */
  readonly specifiers: readonly string[];
  readonly isModule: boolean;
}

const EMPTY: ModuleTable = { imports: new Map(), exports: new Map(), specifiers: [], isModule: false };
/** How V8 names the variable of an `export default` without a name of its own. */
const DEFAULT_EXPORT_VARIABLE = "*default*";

/** The imports and exports of a source file. JavaScript is read by acorn, TypeScript by oxc, which costs more to load. */
export function moduleTable(fileName: string, source: string): ModuleTable {
  if (!/\b(?:import|export)\b/.test(source)) return { ...EMPTY, specifiers: requiredSpecifiers(source) };
  if (!/\.[cm]?tsx?$/.test(fileName)) {
    try {
      return acornTable(source);
    } catch {
      // JSX, decorators, TypeScript without its extension: oxc reads these.
    }
  }
  return oxcTable(fileName, source);
}

function acornTable(source: string): ModuleTable {
  const program = loadAcorn().parse(source, {
    ecmaVersion: "latest",
    sourceType: "module",
    allowHashBang: true,
    allowReturnOutsideFunction: true,
    checkPrivateFields: false,
  });
  const imports = new Map<string, ImportedName>();
  const exports = new Map<string, string>();
  const specifiers: string[] = [];
  let isModule = false;
  for (const node of program.body) {
    switch (node.type) {
      case "ImportDeclaration": {
        isModule = true;
        const specifier = String(node.source.value);
        specifiers.push(specifier);
        for (const item of node.specifiers) {
          let name = "*";
          if (item.type === "ImportDefaultSpecifier") name = "default";
          else if (item.type === "ImportSpecifier") name = nameOf(item.imported);
          imports.set(item.local.name, { specifier, name });
        }
        break;
      }
      case "ExportNamedDeclaration":
        isModule = true;
        if (node.source) {
          specifiers.push(String(node.source.value));
          break;
        }
        for (const item of node.specifiers) exports.set(nameOf(item.exported), nameOf(item.local));
        for (const name of declaredNames(node.declaration)) exports.set(name, name);
        break;
      case "ExportDefaultDeclaration": {
        isModule = true;
        const { declaration } = node;
        const isNamed =
          (declaration.type === "FunctionDeclaration" || declaration.type === "ClassDeclaration") && declaration.id;
        exports.set("default", isNamed ? isNamed.name : DEFAULT_EXPORT_VARIABLE);
        break;
      }
      case "ExportAllDeclaration":
        isModule = true;
        specifiers.push(String(node.source.value));
        break;
      default:
    }
  }
  return { imports, exports, specifiers: [...specifiers, ...requiredSpecifiers(source)], isModule };
}

function nameOf(node: Acorn.Identifier | Acorn.Literal): string {
  return node.type === "Identifier" ? node.name : String(node.value);
}

function declaredNames(declaration: Acorn.Declaration | null | undefined): string[] {
  if (!declaration) return [];
  if (declaration.type !== "VariableDeclaration") return [declaration.id.name];
  // Destructured exports are never functions of the module itself that have a name to find them by.
  return declaration.declarations.flatMap((declarator) => (declarator.id.type === "Identifier" ? [declarator.id.name] : []));
}

type OxcParser = typeof import("oxc-parser");
let oxc: OxcParser | undefined;

function oxcTable(fileName: string, source: string): ModuleTable {
  oxc ??= createRequire(import.meta.url)("oxc-parser") as OxcParser;
  const record = oxc.parseSync(fileName, source).module;
  const imports = new Map<string, ImportedName>();
  const exports = new Map<string, string>();
  const specifiers: string[] = [];
  for (const statement of record.staticImports) {
    const specifier = statement.moduleRequest.value;
    if (statement.entries.length === 0 || statement.entries.some((entry) => !entry.isType)) specifiers.push(specifier);
    for (const entry of statement.entries) {
      if (entry.isType) continue;
      const { kind, name } = entry.importName;
      imports.set(entry.localName.value, {
        specifier,
        name: kind === "Default" ? "default" : kind === "NamespaceObject" ? "*" : (name ?? "default"),
      });
    }
  }
  for (const statement of record.staticExports) {
    for (const entry of statement.entries) {
      if (entry.isType) continue;
      if (entry.moduleRequest) {
        specifiers.push(entry.moduleRequest.value);
        continue;
      }
      const exportName = entry.exportName.kind === "Default" ? "default" : entry.exportName.name;
      if (exportName) exports.set(exportName, entry.localName.name ?? DEFAULT_EXPORT_VARIABLE);
    }
  }
  return { imports, exports, specifiers: [...specifiers, ...requiredSpecifiers(source)], isModule: record.hasModuleSyntax };
}

function requiredSpecifiers(source: string): string[] {
  return Array.from(source.matchAll(/\brequire\(\s*["'](\.[^"']*)["']\s*\)/g), (match) => match[1] as string);
}
