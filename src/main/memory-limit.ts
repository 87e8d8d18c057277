import v8 from "node:v8";
import type { ResourceLimits, Worker } from "node:worker_threads";
import type { Clock, WorkerId } from "../base/mod.ts";
import { onViewMade, runGarbageCollector } from "../object-store/mod.ts";
import { processMemory } from "./machine-memory.ts";

const MEBIBYTE = 1024 ** 2;
/** How often memory is looked at, inside and from outside. */
const LOOK_EVERY_MS = 100;
/** V8's heap of a worker that does nothing, which is not counted; V8 is told so much more. */
const OWN_HEAP_BYTES = 24 * MEBIBYTE;
/** New objects are collected apart from old ones, in a part of the heap of at most this. */
const YOUNG_HEAP_BYTES_MAX = 16 * MEBIBYTE;
/** Buffers that nobody holds any more and that V8 has not collected yet: from outside they look like those in use. */
const GARBAGE_BYTES = 64 * MEBIBYTE;
/** Memory of a process that does nothing. */
const OWN_PROCESS_BYTES = 64 * MEBIBYTE;

/** V8's limits for a thread or process that may use so much. */
function heapLimits(limitBytes: number): { readonly oldMebibytes: number; readonly youngMebibytes: number } {
  return {
    oldMebibytes: Math.ceil((limitBytes + OWN_HEAP_BYTES) / MEBIBYTE),
    youngMebibytes: Math.ceil(Math.min(YOUNG_HEAP_BYTES_MAX, limitBytes / 4 + MEBIBYTE) / MEBIBYTE),
  };
}

export function threadLimits(limitBytes: number): ResourceLimits {
  const { oldMebibytes, youngMebibytes } = heapLimits(limitBytes);
  return { maxOldGenerationSizeMb: oldMebibytes, maxYoungGenerationSizeMb: youngMebibytes };
}

/** The heap of a thread without a limit of its own, new objects included, below which these get less of it than V8 would give them. */
const SMALL_HEAP_BYTES = 512 * MEBIBYTE;
const SMALL_HEAP_YOUNG_MEBIBYTES = 24;

/**
 * Of a thread without a limit. Where its heap is full, Node gives it 16 MiB to end in. V8 may move a third of what it keeps for new objects
 * there at once: in a small heap that is more, and Node 24 then ends the whole process (6 of 80 threads with 96 MB did so, with this none of 96).
 */
export function limitsOfFreeThread(): ResourceLimits {
  return v8.getHeapStatistics().heap_size_limit <= SMALL_HEAP_BYTES ? { maxYoungGenerationSizeMb: SMALL_HEAP_YOUNG_MEBIBYTES } : {};
}

/** Behind the options of the program itself, so that these count. */
export function processLimits(limitBytes: number): string[] {
  const { oldMebibytes, youngMebibytes } = heapLimits(limitBytes);
  return [`--max-old-space-size=${oldMebibytes}`, `--max-semi-space-size=${youngMebibytes}`];
}

// ------------------------------------------------------------------ inside a worker

/** Shared between a thread with a limit and whoever started it. */
const GAUGE_LENGTH = 2;
/** Bytes in the thread's account that are not its own: views of the object store. As it was at its last look. */
const FOREIGN = 0;
/** Of those, what was added since. */
const VIEWS_ADDED = 1;

export function createMemoryGauge(): SharedArrayBuffer {
  return new SharedArrayBuffer(GAUGE_LENGTH * Float64Array.BYTES_PER_ELEMENT);
}

/**
 * Looks at this worker's own memory whenever its event loop turns: its heap, and its buffers and typed arrays, without views of the
 * object store. What is garbage does not count: it is collected before a limit is called exceeded.
 */
export function guardMemory(limitBytes: number, gaugeMemory: SharedArrayBuffer | null, exceeded: (usedBytes: number) => void): void {
  const gauge = gaugeMemory === null ? null : new Float64Array(gaugeMemory);
  if (gauge !== null) onViewMade((byteLength) => { gauge[VIEWS_ADDED] = (gauge[VIEWS_ADDED] as number) + byteLength; });
  const used = (): number => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage();
    if (gauge !== null) {
      gauge[FOREIGN] = external - arrayBuffers;
      gauge[VIEWS_ADDED] = 0;
    }
    return heapUsed + arrayBuffers;
  };
  const ownBytes = used();
  const timer = setInterval(() => {
    if (used() - ownBytes <= limitBytes) return;
    runGarbageCollector();
    const usedBytes = used() - ownBytes;
    if (usedBytes <= limitBytes) return;
    clearInterval(timer);
    exceeded(usedBytes);
  }, LOOK_EVERY_MS);
  timer.unref();
}

// ------------------------------------------------------------------ from outside

/** What can be said of a worker's memory while it is busy with one computation; null when nothing can. */
export type MemoryProbe = () => number | null | Promise<number | null>;

/**
 * Buffers and typed arrays of a thread. Node 22.16 and later can ask V8 in the middle of a computation; before, only the thread
 * itself can tell, between two.
 */
export function threadProbe(worker: Worker, gaugeMemory: SharedArrayBuffer): MemoryProbe {
  const gauge = new Float64Array(gaugeMemory);
  const { getHeapStatistics } = worker as { getHeapStatistics?: () => Promise<{ external_memory: number }> };
  if (getHeapStatistics === undefined) return () => null;
  return async () => {
    try {
      const { external_memory: external } = await getHeapStatistics.call(worker);
      return external - (gauge[FOREIGN] as number) - (gauge[VIEWS_ADDED] as number);
    } catch {
      return null; // It has ended.
    }
  };
}

/** Memory that is a process's own, so without the object store; known on Linux only. */
export function processProbe(pid: number): MemoryProbe {
  return () => {
    const bytes = processMemory(pid);
    return bytes === null ? null : bytes - OWN_PROCESS_BYTES;
  };
}

interface Watched {
  readonly limitBytes: number;
  readonly probe: MemoryProbe;
  isAsked: boolean;
  looksOver: number;
}

/** Looks at the workers with limits from outside, as those that are busy cannot look themselves. No worker with a limit, no timer. */
export class MemoryWatch {
  readonly #clock: Clock;
  readonly #exceeded: (workerId: WorkerId, usedBytes: number) => void;
  readonly #watched = new Map<WorkerId, Watched>();
  #isLookDue = false;

  constructor(clock: Clock, exceeded: (workerId: WorkerId, usedBytes: number) => void) {
    this.#clock = clock;
    this.#exceeded = exceeded;
  }

  add(workerId: WorkerId, limitBytes: number, probe: MemoryProbe): void {
    this.#watched.set(workerId, { limitBytes, probe, isAsked: false, looksOver: 0 });
    this.#lookSoon();
  }

  remove(workerId: WorkerId): void {
    this.#watched.delete(workerId);
  }

  #lookSoon(): void {
    if (this.#watched.size === 0 || this.#isLookDue) return;
    this.#isLookDue = true;
    this.#clock.after(LOOK_EVERY_MS, () => {
      this.#isLookDue = false;
      for (const [workerId, watched] of this.#watched) if (!watched.isAsked) void this.#look(workerId, watched);
      this.#lookSoon();
    });
  }

  async #look(workerId: WorkerId, watched: Watched): Promise<void> {
    watched.isAsked = true;
    const usedBytes = await watched.probe();
    watched.isAsked = false;
    if (usedBytes === null || this.#watched.get(workerId) !== watched) return;
    // One look may come just before a collection.
    watched.looksOver = usedBytes > watched.limitBytes + GARBAGE_BYTES ? watched.looksOver + 1 : 0;
    if (watched.looksOver < 2) return;
    this.#watched.delete(workerId);
    this.#exceeded(workerId, usedBytes);
  }
}
