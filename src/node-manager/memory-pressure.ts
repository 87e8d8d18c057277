import type { WorkerId } from "../base/mod.ts";

const MEBIBYTE = 1024 ** 2;
const GIBIBYTE = 1024 ** 3;
/** About what a process takes that does nothing: to end one that has no more would help little. */
const WORTH_ENDING_BYTES = 64 * MEBIBYTE;
/** Processes that a message names. */
const NAMED_MAX = 5;

/** A worker at work, as it is judged when memory is short. */
export interface Working {
  readonly workerId: WorkerId;
  /** Of its process, which may be others' too. */
  readonly pid: number | null;
  /** Whom it works for: the owner of its newest task, or the job of its actor. */
  readonly group: string;
  /** What runs there may run again: tasks that have retries, an actor that may restart. */
  readonly isRetriable: boolean;
  readonly isActor: boolean;
  /** Larger for work that began later. */
  readonly began: number;
}

export interface Candidate extends Working {
  /** Of its process, if it has one for itself; null where that cannot be known. */
  readonly usedBytes: number | null;
}

/** What of a machine's memory is in use. */
export interface MemoryReading {
  readonly usedBytes: number;
  readonly totalBytes: number;
  /** Whose limit it is, in words: "this machine". */
  readonly where: string;
}

export interface ProcessMemory {
  readonly pid: number;
  /** What it is, in words. */
  readonly what: string;
  readonly usedBytes: number;
}

/**
 * Pure. Of the work that may run again the newest, of the owner who has most of it: who has come last and least loses least, and no owner loses its last
 * while another has more. Only when there is none, the newest of the rest. Null when nothing runs.
 */
export function chooseToEnd(working: readonly Candidate[]): Candidate | null {
  const worth = working.filter(({ usedBytes }) => usedBytes === null || usedBytes >= WORTH_ENDING_BYTES);
  const all = worth.length > 0 ? worth : working;
  const retriable = all.filter(({ isRetriable }) => isRetriable);
  const groups = new Map<string, Candidate[]>();
  for (const candidate of retriable.length > 0 ? retriable : all) {
    const group = groups.get(candidate.group);
    if (group === undefined) groups.set(candidate.group, [candidate]);
    else group.push(candidate);
  }
  let chosen: Candidate[] = [];
  for (const group of groups.values()) {
    group.sort((a, b) => b.began - a.began);
    if (group.length > chosen.length || (group.length === chosen.length && beganLast(group) > beganLast(chosen))) chosen = group;
  }
  return chosen[0] ?? null;
}

function beganLast([newest]: readonly Candidate[]): number {
  return newest?.began ?? 0;
}

/** A clause that follows "the worker …". */
export function describeShortage({ usedBytes, totalBytes, where }: MemoryReading, threshold: number, processes: readonly ProcessMemory[]): string {
  const largest = [...processes].sort((a, b) => b.usedBytes - a.usedBytes).slice(0, NAMED_MAX).map((one) => `${one.what} (pid ${one.pid}) ${size(one.usedBytes)}`);
  const by = largest.length === 0 ? "" : `; most has ${largest.join(", ")}`;
  return `was ended because memory runs short: ${size(usedBytes)} of the ${size(totalBytes)} of ${where} were in use, more than ${percent(threshold)}${by}`;
}

function percent(fraction: number): string {
  return `${Math.round(fraction * 1000) / 10} %`;
}

function size(bytes: number): string {
  return bytes >= GIBIBYTE ? `${(bytes / GIBIBYTE).toFixed(1)} GiB` : `${Math.round(bytes / MEBIBYTE)} MiB`;
}
