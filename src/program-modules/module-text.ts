import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import type { Loader } from "esbuild";

/** How a file is loaded: as an ES module, as CommonJS, or as what modules read. */
export type ModuleKind = "module" | "commonjs" | "data";

const LOADERS: Readonly<Record<string, Loader>> = {
  ".js": "js", ".mjs": "js", ".cjs": "js", ".jsx": "jsx", ".ts": "ts", ".mts": "ts", ".cts": "ts", ".tsx": "tsx",
};

/** Undefined for what is no source of JavaScript. */
export function loaderOf(path: string): Loader | undefined {
  return LOADERS[extname(path)];
}

/** By the rules of Node, and of compilers where a file has import or export in spite of them. */
export function moduleKindOf(path: string, source: string): ModuleKind {
  switch (extname(path)) {
    case ".mjs":
    case ".mts":
      return "module";
    case ".cjs":
      return "commonjs";
  }
  const loader = loaderOf(path);
  if (loader === undefined) return "data";
  // TypeScript's own words for CommonJS.
  if (loader !== "js" && /^\s*export\s*=|^\s*(?:export\s+)?import\s+\w+\s*=\s*require\(/m.test(source)) return "commonjs";
  if (hasModuleSyntax(path, source)) return "module";
  return extname(path) !== ".cts" && packageTypeOf(path) === "module" ? "module" : "commonjs";
}

let oxc: typeof import("oxc-parser") | undefined;

export function hasModuleSyntax(path: string, source: string): boolean {
  if (!/\b(?:import|export)\b/.test(source)) return false;
  oxc ??= createRequire(import.meta.url)("oxc-parser") as typeof import("oxc-parser");
  return oxc.parseSync(path, source).module.hasModuleSyntax;
}

function packageTypeOf(path: string): string | undefined {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file)) return (JSON.parse(readFileSync(file, "utf8")) as { type?: string }).type;
    if (folder === dirname(folder)) return undefined;
  }
}

/**
 * What packed modules are called, so that Node needs no package.json to know what they are, and `require` finds those of CommonJS by
 * the names that programs use.
 */
export function packedName(path: string, kind: ModuleKind): string {
  if (kind === "data") return path;
  if (kind === "module") return path.endsWith(".mjs") ? path : `${path}.mjs`;
  const ending = extname(path);
  if (ending === ".js" || ending === ".cjs") return path;
  const named = path.slice(0, -ending.length) + (ending === ".cts" ? ".cjs" : ".js");
  return existsSync(named) ? `${path}.cjs` : named;
}

/** Of what is required: compilers make CommonJS of it, whatever it is written in. */
export function requiredKindOf(path: string, source: string): ModuleKind {
  return loaderOf(path) === undefined || /\.m[jt]s$/.test(path) ? moduleKindOf(path, source) : "commonjs";
}

/** Replaces what `require` and `import()` name, where that lies elsewhere now. */
export function redirect(text: string, targets: ReadonlyMap<string, string>): string {
  if (targets.size === 0) return text;
  return text.replace(/(\b(?:require\w*(?:\.resolve)?|import)\(\s*)(["'])([^"'\n]+)\2/g, (all, before: string, quote: string, specifier: string) => {
    const target = targets.get(specifier);
    return target === undefined ? all : `${before}${quote}${target}${quote}`;
  });
}

/** What an ES module requires by a function of its own (`createRequire`), which bundlers do not look at. */
export function requiredByHand(source: string): string[] {
  if (!source.includes("createRequire")) return [];
  return Array.from(source.matchAll(/\brequire\w*\(\s*(["'])([^"'\n]+)\1/g), (match) => match[2] as string);
}

/** Files beside the module: `new URL("./words.txt", import.meta.url)`. */
export function assetsOf(source: string): string[] {
  return Array.from(source.matchAll(/\bnew URL\(\s*(["'`])(\.[^"'`$\n]*)\1\s*,\s*import\.meta\.url\s*\)/g), (match) => match[2] as string);
}
