import { closeSync, constants, ftruncateSync, mkdirSync, openSync, statfsSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { makeOwnedFolder, SHARED_MEMORY_ROOT } from "./owned-folders.ts";

const ARENA_FOLDER_NAME = "arena";
const PRIVATE_FOLDER_MODE = 0o700;
const PRIVATE_FILE_MODE = 0o600;

export interface ArenaFolder {
  readonly folder: string;
  /** Why it is not the first choice, in words for the user; null if it is. */
  readonly note: string | null;
  /** What its file system can still give; infinite if that has no limit. */
  readonly bytesAvailable: number;
}

/**
 * Makes the folder for the files of the arena: in memory if there is room for `bytesWanted`, else in the session's folder, from
 * where files are mapped all the same, but are written to a disk in the end. If neither has the room, it is the larger one.
 */
export function chooseArenaFolder(sessionName: string, sessionDir: string, bytesWanted: number, sharedMemoryRoot: string = SHARED_MEMORY_ROOT): ArenaFolder {
  const inMemory = join(sharedMemoryRoot, sessionName);
  let bytesInMemory = -1;
  let obstacle: string | null = attempt(() => (bytesInMemory = bytesAvailableIn(sharedMemoryRoot)), sharedMemoryRoot);
  if (obstacle === null && bytesInMemory >= bytesWanted) {
    obstacle = attempt(() => makeOwnedFolder(inMemory), inMemory);
    if (obstacle === null) return { folder: inMemory, note: null, bytesAvailable: bytesInMemory };
    bytesInMemory = -1;
  }
  obstacle ??= `${sharedMemoryRoot} has ${inMebibytes(bytesInMemory)} free of the ${inMebibytes(bytesWanted)} wanted (in a container, --shm-size sets it)`;

  makeOwnedFolder(sessionDir);
  const bytesInSession = bytesAvailableIn(sessionDir);
  if (bytesInSession < bytesWanted && bytesInMemory > bytesInSession && attempt(() => makeOwnedFolder(inMemory), inMemory) === null) {
    return { folder: inMemory, note: `There is less shared memory for objects than wanted: ${obstacle}.`, bytesAvailable: bytesInMemory };
  }
  const folder = join(sessionDir, ARENA_FOLDER_NAME);
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  const shortage = bytesInSession < bytesWanted ? `, where ${inMebibytes(bytesInSession)} are free` : "";
  return { folder, note: `Shared objects are kept in files in ${folder}${shortage}, which can be slower than memory: ${obstacle}.`, bytesAvailable: bytesInSession };
}

/** What kept it from succeeding, or null. */
function attempt(action: () => void, path: string): string | null {
  try {
    action();
    return null;
  } catch (error) {
    return `${path} cannot be used (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
  }
}

function bytesAvailableIn(folder: string): number {
  const { bavail, bsize, blocks } = statfsSync(folder);
  // A file system in memory that was mounted without a limit has no blocks.
  return blocks === 0 ? Infinity : bavail * bsize;
}

function inMebibytes(bytes: number): string {
  return `${Math.floor(bytes / 2 ** 20)} MiB`;
}

/** Makes a file of zeros that takes up no memory yet, and returns its descriptor. */
export function createSegmentFile(path: string, byteLength: number): number {
  const fileDescriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, PRIVATE_FILE_MODE);
  try {
    ftruncateSync(fileDescriptor, byteLength);
    return fileDescriptor;
  } catch (error) {
    closeSync(fileDescriptor);
    unlinkSync(path);
    throw error;
  }
}

/** Opens a segment that another thread or process has made, to read and to write. */
export function openSegmentFile(path: string): number {
  return openSync(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
}
