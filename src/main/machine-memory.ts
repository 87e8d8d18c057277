import { readFileSync } from "node:fs";
import { join } from "node:path";
import { InvalidArgumentError } from "../base/mod.ts";
import type { MemoryReading } from "../node-manager/mod.ts";

const THRESHOLD_DEFAULT = 0.95;
const EVERY_MS_DEFAULT = 250;
const CGROUP_ROOT = "/sys/fs/cgroup";

/** When work is ended for want of memory. */
export interface MemoryGuardConfig {
  readonly threshold: number;
  /** 0: never. */
  readonly everyMs: number;
  /** Of the private memory of all processes of the node together; null: what the machine or container has. */
  readonly limitBytes: number | null;
}

/** From MANTARAY_MEMORY_USAGE_THRESHOLD, MANTARAY_MEMORY_MONITOR_REFRESH_MS and MANTARAY_MEMORY_LIMIT_BYTES. @throws InvalidArgumentError. */
export function memoryGuardConfig(environment: NodeJS.ProcessEnv): MemoryGuardConfig {
  const number = (name: string, isValid: (value: number) => boolean, expected: string): number | null => {
    const text = environment[name];
    if (text === undefined || text === "") return null;
    if (!isValid(Number(text))) throw new InvalidArgumentError(`the environment variable ${name} takes ${expected}, but got '${text}'`);
    return Number(text);
  };
  return {
    threshold: number("MANTARAY_MEMORY_USAGE_THRESHOLD", (value) => value > 0 && value <= 1, "a number above 0 and up to 1, the fraction of the memory above which work is ended") ?? THRESHOLD_DEFAULT,
    everyMs: number("MANTARAY_MEMORY_MONITOR_REFRESH_MS", (value) => Number.isSafeInteger(value) && value >= 0, "a whole number of milliseconds, 0 to end no work for want of memory") ?? EVERY_MS_DEFAULT,
    limitBytes: number("MANTARAY_MEMORY_LIMIT_BYTES", (value) => Number.isSafeInteger(value) && value > 0, "a whole number of bytes above 0"),
  };
}

/** What of the memory that this node may use is in use; null where the system does not tell, which is everywhere but on Linux. */
export function readMemory({ limitBytes }: MemoryGuardConfig, pids: readonly number[]): MemoryReading | null {
  if (limitBytes === null) return fullest([machineMemory(), containerMemory()]);
  const used = pids.map(processMemory);
  if (used.every((bytes) => bytes === null)) return null;
  return { usedBytes: used.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0), totalBytes: limitBytes, where: "this node (MANTARAY_MEMORY_LIMIT_BYTES)" };
}

/** Memory that is a process's own, so without the object store. */
export function processMemory(pid: number): number | null {
  return kibibytes(`/proc/${pid}/status`, "RssAnon");
}

function machineMemory(): MemoryReading | null {
  const totalBytes = kibibytes("/proc/meminfo", "MemTotal");
  const availableBytes = kibibytes("/proc/meminfo", "MemAvailable");
  return totalBytes === null || availableBytes === null ? null : { usedBytes: totalBytes - availableBytes, totalBytes, where: "this machine" };
}

/** Of the limits that a container or service has, the one that is nearest. */
function containerMemory(): MemoryReading | null {
  const groups = contents("/proc/self/cgroup");
  if (groups === null) return null;
  const found: (MemoryReading | null)[] = [];
  for (const line of groups.split("\n")) {
    const [, kinds, path] = line.split(":");
    if (path === undefined) continue;
    // Inside of a container its own group is often shown as the root.
    if (kinds === "") for (const folder of upFrom(CGROUP_ROOT, path)) found.push(groupMemory(folder, "memory.max", "memory.current", "inactive_file"));
    else if (kinds?.split(",").includes("memory") === true) for (const folder of upFrom(join(CGROUP_ROOT, "memory"), path)) found.push(groupMemory(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
  }
  return fullest(found);
}

function upFrom(root: string, path: string): string[] {
  const names = path.split("/").filter((name) => name !== "");
  return Array.from({ length: names.length + 1 }, (_, count) => join(root, ...names.slice(0, count)));
}

/** Files that were read long ago are given back when memory is wanted. */
function groupMemory(folder: string, limitFile: string, usageFile: string, inactiveName: string): MemoryReading | null {
  const totalBytes = Number(contents(join(folder, limitFile)) ?? Number.NaN);
  const usageBytes = Number(contents(join(folder, usageFile)) ?? Number.NaN);
  const machineBytes = kibibytes("/proc/meminfo", "MemTotal") ?? Infinity;
  if (!(totalBytes > 0 && totalBytes < machineBytes) || Number.isNaN(usageBytes)) return null;
  const inactiveBytes = Number(new RegExp(`^${inactiveName} (\\d+)$`, "m").exec(contents(join(folder, "memory.stat")) ?? "")?.[1] ?? 0);
  return { usedBytes: usageBytes - inactiveBytes, totalBytes, where: "this container" };
}

function fullest(readings: readonly (MemoryReading | null)[]): MemoryReading | null {
  let found: MemoryReading | null = null;
  for (const reading of readings) if (reading !== null && (found === null || reading.usedBytes / reading.totalBytes > found.usedBytes / found.totalBytes)) found = reading;
  return found;
}

function kibibytes(path: string, name: string): number | null {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(contents(path) ?? "")?.[1];
  return found === undefined ? null : Number(found) * 1024;
}

function contents(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}
