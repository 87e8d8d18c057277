/** Whether this machine has what a row takes. */
import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { whyNoLinks } from "./links.ts";
import type { MachineNeeds } from "./rows/row.ts";

const GIB = 2 ** 30;
const SHARED_MEMORY_ROOT = "/dev/shm";

/** Undefined if nothing is. */
export function whatIsLacking({ memoryBytes, sharedMemoryBytes, diskBytes = 0, links = false }: MachineNeeds): string | undefined {
  const resources: readonly (readonly [name: string, needed: number, available: number])[] = [
    ["memory", memoryBytes, process.availableMemory()],
    [`shared memory (${SHARED_MEMORY_ROOT})`, sharedMemoryBytes, bytesFreeIn(SHARED_MEMORY_ROOT)],
    [`disk (${tmpdir()})`, diskBytes, bytesFreeIn(tmpdir())],
  ];
  const lacking = resources.filter(([, needed, available]) => available < needed);
  if (lacking.length === 0) return links ? whyNoLinks() : undefined;
  return lacking.map(([name, needed, available]) => `it takes ${inGib(needed)} of ${name}, of which ${inGib(available)} are free`).join("; ");
}

function bytesFreeIn(folder: string): number {
  try {
    const { bavail, bsize, blocks } = statfsSync(folder);
    // A file system in memory that was mounted without a limit has no blocks.
    return blocks === 0 ? Infinity : bavail * bsize;
  } catch {
    return 0;
  }
}

function inGib(bytes: number): string {
  return `${(bytes / GIB).toFixed(1)} GiB`;
}
