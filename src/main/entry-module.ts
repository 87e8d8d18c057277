import { realpathSync } from "node:fs";
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
