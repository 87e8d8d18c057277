/** Memory and CPU time of a process with its children, as Linux tells them. NaN elsewhere. */
import { readdirSync, readFileSync } from "node:fs";

const KIB_PER_MIB = 1024;
/** USER_HZ: the kernel tells times to programs in hundredths of a second. */
const MS_PER_TICK = 10;

/** What the processes take of the machine's memory; pages they share count once (PSS). */
export function memoryOfTreeMib(rootPid: number): number {
  return sumOverTree(rootPid, memoryOfProcessMib);
}

/** Its part of what `memoryOfTreeMib` sums up. */
export function memoryOfProcessMib(pid: number): number {
  return kibField(`/proc/${pid}/smaps_rollup`, "Pss") / KIB_PER_MIB;
}

/** The most that the process itself ever had resident. */
export function peakMemoryMib(pid: number): number {
  try {
    return kibField(`/proc/${pid}/status`, "VmHWM") / KIB_PER_MIB;
  } catch {
    return Number.NaN;
  }
}

/** CPU time, user and system, of all threads of all processes. */
export function cpuOfTreeMs(rootPid: number): number {
  return sumOverTree(rootPid, (pid) => {
    const fields = statFields(pid);
    return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
  });
}

function sumOverTree(rootPid: number, figureOf: (pid: number) => number): number {
  let sum = Number.NaN;
  for (const pid of treeOf(rootPid)) {
    try {
      sum = (Number.isNaN(sum) ? 0 : sum) + figureOf(pid);
    } catch {
      // It ended while we looked.
    }
  }
  return sum;
}

/** With itself; empty where it cannot be known. */
export function treeOf(rootPid: number): number[] {
  let pids: number[];
  try {
    pids = readdirSync("/proc").map(Number).filter(Number.isInteger);
  } catch {
    return [];
  }
  const childrenOf = new Map<number, number[]>();
  for (const pid of pids) {
    try {
      const parent = Number(statFields(pid)[1]);
      childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), pid]);
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [rootPid];
  for (const pid of tree) tree.push(...(childrenOf.get(pid) ?? []));
  return tree;
}

/** The fields of /proc/<pid>/stat from the state on: the name before it may contain blanks. */
function statFields(pid: number): string[] {
  const line = readFileSync(`/proc/${pid}/stat`, "latin1");
  return line.slice(line.lastIndexOf(")") + 2).split(" ");
}

function kibField(path: string, field: string): number {
  const line = readFileSync(path, "latin1").split("\n").find((text) => text.startsWith(`${field}:`));
  return Number(line?.match(/\d+/)?.[0] ?? Number.NaN);
}
