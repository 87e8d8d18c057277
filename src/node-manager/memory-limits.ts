import type { WorkerDeath, WorkerKind } from "../protocol/mod.ts";

const MEBIBYTE = 1024 ** 2;

/** A worker's end as its callers are told of it, where it had a limit. `usedBytes`: what it used when it was ended for that. */
export function deathWithinLimit(kind: WorkerKind, usedBytes: number | null, death: WorkerDeath): WorkerDeath {
  const { memoryLimitBytes } = kind;
  if (memoryLimitBytes === null || (usedBytes === null && death.isHeapExhausted !== true)) return death;
  const limit = `${size(memoryLimitBytes)} (memory: ${memoryLimitBytes})`;
  const what = usedBytes === null ? `filled the heap of its limit of ${limit}` : `used ${size(usedBytes, Math.ceil)}, more than its limit of ${limit}, and was ended`;
  return { reason: `${what}; raise 'memory', or keep less in memory at once`, pid: death.pid, isRetryable: false, isOutOfMemory: true };
}

/** What was used is rounded up, so that it is never told to equal the limit. */
function size(bytes: number, rounded = Math.round): string {
  const mebibytes = bytes / MEBIBYTE;
  return `${mebibytes < 10 ? rounded(mebibytes * 10) / 10 : rounded(mebibytes)} MiB`;
}
