import { constants, Script } from "node:vm";

/** Scripts that import with Node's own loader, relative to the file that their name says. */
export const IMPORT_AS_FILE = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;

let isPrepared = false;

/**
 * Node 20 and 22 call this way of importing experimental, at the first import. A user who never asked for it should not
 * read that, so the first import happens here and is of no consequence.
 */
export function prepareDynamicImport(): void {
  if (isPrepared) return;
  isPrepared = true;
  const { emitWarning } = process;
  process.emitWarning = () => undefined;
  try {
    const script = new Script('import("node:module")', { importModuleDynamically: IMPORT_AS_FILE });
    script.runInThisContext();
  } finally {
    process.emitWarning = emitWarning;
  }
}
