import { closeSync, constants, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import type { WorkerId } from "../base/mod.ts";
import { BEGUN_TABLE_BYTES, begunIn } from "../core-worker/mod.ts";
import { loadNativeMemory } from "../object-store/mod.ts";
import type { WorkerDeath } from "../protocol/mod.ts";

/**
 * Files that a worker maps and its node reads once the worker has ended, by whatever end: a folder for each worker, in it a file for each
 * owner that has sent it several tasks at once. A worker that cannot map files has none.
 */
const FOLDER_NAME = "begun";
/** Of one worker, 32 KiB each: for later owners nothing is noted. */
const TABLES_MAX = 64;
const PRIVATE_FOLDER_MODE = 0o700;
const PRIVATE_FILE_MODE = 0o600;

function folderOf(sessionDir: string, workerId: WorkerId): string {
  return join(sessionDir, FOLDER_NAME, workerId);
}

/** For the worker: makes a table for each owner, up to a number. They are mapped as long as the worker lives. */
export function begunTablesOf(sessionDir: string, workerId: WorkerId): (ownerId: WorkerId) => Float64Array | null {
  let count = 0;
  return (ownerId) => (count++ < TABLES_MAX ? createBegunTable(sessionDir, workerId, ownerId) : null);
}

function createBegunTable(sessionDir: string, workerId: WorkerId, ownerId: WorkerId): Float64Array | null {
  const { memory } = loadNativeMemory();
  if (memory === null) return null;
  const folder = folderOf(sessionDir, workerId);
  const path = join(folder, ownerId);
  try {
    // One by one: a worker that outlives its runtime by a moment must not bring back the session's folder, which has been removed.
    for (const one of [dirname(folder), folder]) makeFolder(one);
    const descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, PRIVATE_FILE_MODE);
    try {
      ftruncateSync(descriptor, BEGUN_TABLE_BYTES);
      if (memory.reserve(descriptor, 0, BEGUN_TABLE_BYTES)) return new Float64Array(memory.view(memory.map(descriptor, BEGUN_TABLE_BYTES), BEGUN_TABLE_BYTES));
    } finally {
      closeSync(descriptor);
    }
  } catch {
    // The disk is full, or the folder is gone with the runtime.
  }
  rmSync(path, { force: true });
  return null;
}

/** In one that is there. Another worker may make it at the same time. */
function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: PRIVATE_FOLDER_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** For the node, when the worker has ended: what it had begun, as far as that was noted. Removes the files. */
export function withBegunTasks(sessionDir: string, workerId: WorkerId, death: WorkerDeath): WorkerDeath {
  const folder = folderOf(sessionDir, workerId);
  const begun = new Map<WorkerId, ReadonlySet<number>>();
  try {
    for (const ownerId of readdirSync(folder)) {
      const { buffer, byteOffset, byteLength } = readFileSync(join(folder, ownerId));
      if (byteLength !== BEGUN_TABLE_BYTES) continue;
      const noted = begunIn(new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength)));
      if (noted !== null) begun.set(ownerId, noted);
    }
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // There are none.
  }
  return begun.size === 0 ? death : { ...death, begun };
}
