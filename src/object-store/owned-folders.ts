import { closeSync, existsSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync, writeSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { threadId } from "node:worker_threads";
import { loadNativeMemory } from "./native-memory.ts";

/** Where Linux has a file system in memory for all programs. */
export const SHARED_MEMORY_ROOT = "/dev/shm";
const RUNTIME_FOLDER_NAME = /^mantaray-(\d+)-[0-9a-f]+$/;
const OWNER_FILE_NAME = "owner.json";
const OWNER_FILE_BYTES_MAX = 10_000;
const PRIVATE_FOLDER_MODE = 0o700;
/** How long a process that ends tries to remove a folder of its own, and what it waits between two attempts. */
const REMOVAL_MS_MAX = 1_000;
const REMOVAL_PAUSE_MS = 2;
const PRIVATE_FILE_MODE = 0o600;

/**
 * What tells a process from all others, as far as the system lets one know; null where it does not. A process id alone would not
 * do: it is used again, and a container that shares the folder has processes of its own with the same ids.
 */
interface FolderOwner {
  readonly hostName: string;
  readonly bootId: string | null;
  readonly processNamespace: string | null;
  readonly processId: number;
  /** When the process started, in the kernel's ticks since the machine did. */
  readonly startTicks: string | null;
  /** Whether it keeps this file locked for as long as it lives. */
  readonly isLocked: boolean;
}

/** Folder → the descriptor that holds its lock. */
const heldLocks = new Map<string, number>();

/**
 * Makes a folder that only this user may enter, and notes in it who needs it: this process, or the thread if that ends earlier.
 * A folder that has such a note keeps it.
 */
export function makeOwnedFolder(folder: string): void {
  for (const [earlier, fileDescriptor] of heldLocks) {
    if (existsSync(earlier)) continue;
    heldLocks.delete(earlier);
    closeSync(fileDescriptor);
  }
  mkdirSync(folder, { recursive: true, mode: PRIVATE_FOLDER_MODE });
  if (!isOurFolder(folder)) throw new Error(`${folder} belongs to another user, or is no folder. Remove it, or choose another place for temporary files.`);
  const path = join(folder, OWNER_FILE_NAME);
  if (existsSync(path)) return;
  // Renamed when it is complete and locked, so that nobody takes the folder for an abandoned one meanwhile.
  const unfinished = `${path}.${process.pid}.${threadId}`;
  const fileDescriptor = openSync(unfinished, "wx", PRIVATE_FILE_MODE);
  const isLocked = attemptLock(fileDescriptor) === true;
  const owner: FolderOwner = { ...surroundings(), processId: process.pid, startTicks: startTicksOf(process.pid), isLocked };
  writeSync(fileDescriptor, JSON.stringify(owner));
  renameSync(unfinished, path);
  if (isLocked) heldLocks.set(folder, fileDescriptor);
  else closeSync(fileDescriptor);
}

/**
 * Removes the folders that runtimes of this user have left behind: a process that is killed cannot clean up. Whatever may still
 * be needed by anybody stays, so a folder without a note does, and one of another machine.
 */
export function removeStaleFolders(roots: readonly string[] = [SHARED_MEMORY_ROOT, tmpdir()]): void {
  for (const root of new Set(roots)) {
    for (const name of attempt(() => readdirSync(root)) ?? []) {
      if (RUNTIME_FOLDER_NAME.test(name)) attempt(() => removeIfStale(join(root, name), name));
    }
  }
}

function removeIfStale(folder: string, name: string): void {
  if (!isOurFolder(folder)) return;
  const path = join(folder, OWNER_FILE_NAME);
  const owner = readOwner(path);
  if (owner === null || owner.processId !== Number(RUNTIME_FOLDER_NAME.exec(name)![1]) || owner.hostName !== hostname()) return;
  const state = stateOf(owner);
  if (state === "alive") return;
  if (!owner.isLocked) {
    if (state === "dead") removeFolder(folder);
    return;
  }
  const fileDescriptor = openSync(path, "r+");
  try {
    // The lock is as good as knowing the process, also across containers; null where this process cannot ask for it.
    if (attemptLock(fileDescriptor) ?? state === "dead") removeFolder(folder);
  } finally {
    closeSync(fileDescriptor);
  }
}

/** Whether the process that a folder was made for lives; "unknown" also where there is no note of it. */
export function stateOfFolderOwner(folder: string): "alive" | "dead" | "unknown" {
  const owner = attempt(() => readOwner(join(folder, OWNER_FILE_NAME)));
  return owner === null || owner.hostName !== hostname() ? "unknown" : stateOf(owner);
}

/**
 * Removes it at the end of its process, also while threads still make files in it: Node's own retries do not look for new ones. What is
 * there after all attempts stays for whoever starts next (`removeStaleFolders`): a program must not end otherwise for it.
 */
export function removeOwnFolder(folder: string): void {
  const deadlineMs = performance.now() + REMOVAL_MS_MAX;
  do {
    if (attempt(() => rmSync(folder, { recursive: true, force: true })) !== null && !existsSync(folder)) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)), 0, 0, REMOVAL_PAUSE_MS);
  } while (performance.now() < deadlineMs);
}

/** Leaves the note until last: if this is interrupted, somebody else can go on. */
function removeFolder(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name !== OWNER_FILE_NAME) rmSync(join(folder, name), { recursive: true, force: true });
  }
  rmSync(folder, { recursive: true, force: true });
}

function readOwner(path: string): FolderOwner | null {
  const { size } = lstatSync(path);
  if (size > OWNER_FILE_BYTES_MAX) return null;
  const owner = JSON.parse(readFileSync(path, "utf8")) as FolderOwner;
  return Number.isSafeInteger(owner.processId) && owner.processId > 0 ? owner : null;
}

/** "unknown" is a process of another container, or one whose start cannot be read. */
function stateOf(owner: FolderOwner): "alive" | "dead" | "unknown" {
  const here = surroundings();
  if (owner.bootId !== here.bootId) return owner.bootId === null || here.bootId === null ? "unknown" : "dead";
  if (owner.processNamespace !== here.processNamespace) return "unknown";
  try {
    process.kill(owner.processId, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return "dead";
  }
  const startTicks = startTicksOf(owner.processId);
  if (startTicks === null || owner.startTicks === null) return "unknown";
  return startTicks === owner.startTicks ? "alive" : "dead";
}

function surroundings(): Pick<FolderOwner, "hostName" | "bootId" | "processNamespace"> {
  return {
    hostName: hostname(),
    bootId: attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    processNamespace: attempt(() => readlinkSync("/proc/self/ns/pid")),
  };
}

/** Differs from what any process was started at: it has ended, and only its parent has not noticed. */
const ENDED = "ended";

/** Tells a process from a later one with its id; null where the system does not say. */
export function startTicksOf(processId: number): string | null {
  const line = attempt(() => readFileSync(`/proc/${processId}/stat`, "utf8"));
  if (line === null) return null;
  // The second field is the program's name, which may contain blanks and brackets; the start is the 22nd.
  const [state, ...fields] = line.slice(line.lastIndexOf(")") + 2).split(" ");
  return state === "Z" ? ENDED : (fields[18] ?? null);
}

function isOurFolder(path: string): boolean {
  const status = lstatSync(path);
  return status.isDirectory() && (process.getuid === undefined || status.uid === process.getuid());
}

/** Null if locks cannot be had here. */
function attemptLock(fileDescriptor: number): boolean | null {
  return attempt(() => loadNativeMemory().memory?.lock(fileDescriptor) ?? null);
}

function attempt<T>(action: () => T): T | null {
  try {
    return action();
  } catch {
    return null;
  }
}
