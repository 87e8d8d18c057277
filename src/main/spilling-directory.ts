import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { InvalidArgumentError } from "../base/mod.ts";

/**
 * The folder for objects that do not fit, which is there then. Found wrong at the start: later it would be the store that cannot be used.
 *
 * @throws InvalidArgumentError when it cannot be made, or not be written to.
 */
export function spillingDirectory(given: string): string {
  // A program may go to another folder later.
  const folder = resolve(given);
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new InvalidArgumentError(`objects cannot be spilled to ${folder} (${(error as Error).message}): pass a folder that can be made and written to as objectSpillingDirectory, or with --object-spilling-directory`);
  }
  return folder;
}

/** One by one: told to make them all, Node tries for ever where the system lets nobody make any, as in /proc. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" && dirname(folder) !== folder) {
      makeFolder(dirname(folder));
      mkdirSync(folder);
    } else if (!statSync(folder).isDirectory()) {
      throw error;
    }
  }
}
