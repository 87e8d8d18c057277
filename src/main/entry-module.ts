import { realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** The module that this process was started with, as a URL; null for `node -e`, the REPL and stdin. */
export function entryModuleUrl(): string | null {
  const path = process.argv[1];
  if (path === undefined) return null;
  try {
    return pathToFileURL(realpathSync(path)).href;
  } catch {
    return null;
  }
}

/** What the driver preloads (`--import tsx`, `--require …`), so that workers can load TypeScript as it does. */
export function preloadedLoaders(): string[] {
  const loaders: string[] = [];
  const args = process.execArgv;
  for (let index = 0; index < args.length; index++) {
    const match = /^(?:--import|--loader|--experimental-loader)(?:=(.*))?$/.exec(args[index] as string);
    if (match === null) continue;
    const specifier = match[1] ?? args[++index];
    if (specifier !== undefined) loaders.push(specifier);
  }
  return loaders;
}

/** The same as URLs, for workers of a program that was started in another folder. */
export function resolvedLoaders(loaders: readonly string[] = preloadedLoaders()): string[] {
  return loaders.map((specifier) => (URL.canParse(specifier) ? specifier : resolved(specifier)));
}

/** Options of this process that say how to run, not what: memory limits, helper threads, experimental features. For worker processes. */
export function inheritedNodeOptions(): string[] {
  return process.execArgv.filter((option) => /^--(?:max-|stack-size|expose-gc|harmony|experimental-(?!loader)|no-experimental-|no-warnings|disable-warning|enable-source-maps|v8-pool-size)/.test(option.replaceAll("_", "-")));
}

/** Loads the driver's loaders into this thread or process, once, when first asked. */
export function loadOnce(loaders: readonly string[]): () => Promise<void> {
  let loading: Promise<void> | null = null;
  return () => (loading ??= Promise.all(loaders.map((specifier) => load(specifier))).then(() => undefined));
}

async function load(specifier: string): Promise<void> {
  const url = URL.canParse(specifier) ? specifier : resolved(specifier);
  // tsx's own preload does nothing in the worker threads of Node 20; its API works everywhere.
  const tsx = /^(.*\/tsx\/dist\/)[^/]*$/.exec(url);
  if (tsx === null) {
    await import(url);
    return;
  }
  const esm = (await import(`${tsx[1]}esm/api/index.mjs`)) as { register(): unknown };
  esm.register();
  const cjs = (await import(`${tsx[1]}cjs/api/index.mjs`)) as { register(): unknown };
  cjs.register();
}

/** As the driver's command line meant it: from the folder in which it was started. */
function resolved(specifier: string): string {
  const from = createRequire(join(process.cwd(), "noop.js"));
  return pathToFileURL(from.resolve(specifier)).href;
}
