import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContestantProcess } from "../contestant-process.ts";
import type { PeerId } from "../peers/registry.ts";
import { memoryOfTreeMib } from "../process-tree.ts";
import { bytesInFolder, comesTrue, peakWhile } from "../sampling.ts";
import { CALLS_PER_SECOND, MANTARAY } from "./row.ts";
import type { Bench, Figure, Row } from "./row.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const MEMORY_EVERY_MS = 250;
const SPILL_EVERY_MS = 20;
const EMPTY_MS_MAX = 10_000;
/** Processes and what they have beside objects. */
const PROCESSES_BYTES = GIB;

const group = "objects";
const GIB_PER_SECOND: Figure = { key: "gibPerSecond", title: "", unit: "GiB/s", better: "higher" };

function delivery(key: string, title: string, byteLength: number, times: number): Row {
  return {
    key,
    group,
    title: `Another worker gets a Float64Array of ${title}`,
    figures: [
      { key: "firstMs", title: "the first time", unit: "ms", better: "lower" },
      { key: "againMs", title: "the same one again", unit: "ms", better: "lower" },
    ],
    contestants: [...MANTARAY, "one-thread", "bare-worker", "child-process"],
    labels: { "one-thread": "structuredClone in one thread", "bare-worker": "postMessage to a worker_thread", "child-process": "child_process IPC" },
    baseline: "mantaray-process",
    needs: () => ({ memoryBytes: PROCESSES_BYTES + 20 * byteLength, sharedMemoryBytes: 4 * byteLength }),
    measure: async (peer, bench) => (await bench.resident(peer)).run("deliverArray", { byteLength, times }),
  };
}

const PUT_BYTES = 1024;
const PUTS = 100_000;

/** A process of its own with a store of this size, and a folder for what does not fit. */
async function withStore<T>(peer: PeerId, bench: Bench, objectStoreBytes: number, use: (contestant: ContestantProcess, spillFolder: string) => Promise<T>): Promise<T> {
  const spillFolder = await mkdtemp(join(tmpdir(), "bench-spill-"));
  try {
    return await bench.fresh(peer, (contestant) => use(contestant, spillFolder), { objectStoreBytes, spillFolder });
  } finally {
    await rm(spillFolder, { recursive: true, force: true });
  }
}

const STREAM_STORE_BYTES = 2 * GIB;
const STREAM_OBJECT_BYTES = 50 * MIB;

function putAndDrop(key: string, title: string, workload: string): Row {
  return {
    key,
    group,
    title: `50 GiB put by 2 workers into a store of 2 GiB, 50 MiB at a time (in a quick run: 4 GiB), ${title}`,
    figures: [
      { ...GIB_PER_SECOND, title: "rate" },
      { key: "peakMib", title: "peak memory of all processes", unit: "MiB", better: "lower" },
      { key: "spilledMib", title: "spilled at most at once", unit: "MiB", better: "lower" },
    ],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    roundsMax: 1,
    needs: () => ({ memoryBytes: PROCESSES_BYTES + STREAM_STORE_BYTES, sharedMemoryBytes: STREAM_STORE_BYTES }),
    measure: (peer, bench) =>
      withStore(peer, bench, STREAM_STORE_BYTES, async (contestant, spillFolder) => {
        const times = Math.ceil(((bench.isQuick ? 4 : 50) * GIB) / STREAM_OBJECT_BYTES);
        const run = () => contestant.run(`store:${workload}`, { byteLength: STREAM_OBJECT_BYTES, times });
        const memory = () => peakWhile(MEMORY_EVERY_MS, () => memoryOfTreeMib(contestant.pid), run);
        const { result, peak: spilledBytes } = await peakWhile(SPILL_EVERY_MS, () => bytesInFolder(spillFolder), memory);
        return { gibPerSecond: result.result["gibPerSecond"]!, peakMib: result.peak, spilledMib: spilledBytes / MIB };
      }),
  };
}

const SPILL_OBJECT_BYTES = 4 * MIB;
const spillSizes = (isQuick: boolean) => ({ storeBytes: (isQuick ? 15 : 75) * MIB, totalBytes: (isQuick ? 160 : 800) * MIB });

const LARGE_PUTS = 5;
const largePutBytes = (isQuick: boolean) => (isQuick ? GIB / 4 : GIB);

export const OBJECT_ROWS: readonly Row[] = [
  delivery("get_100_mib", "100 MiB", 100 * MIB, 5),
  delivery("get_1_mib", "1 MiB", MIB, 100),
  {
    key: "put_1_kib",
    group,
    title: "put of 1 KiB, released at once",
    figures: [CALLS_PER_SECOND],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("store:putSmall", { byteLength: PUT_BYTES, times: bench.isQuick ? PUTS / 10 : PUTS }),
  },
  {
    key: "put_1_gib",
    group,
    title: "put of 1 GiB (in a quick run: 256 MiB) into memory that was used before, against a mere copy",
    figures: [GIB_PER_SECOND],
    contestants: ["one-thread", ...MANTARAY],
    labels: { "one-thread": "memcpy (Uint8Array.set)" },
    baseline: "one-thread",
    roundsMax: 3,
    needs: (isQuick) => ({ memoryBytes: PROCESSES_BYTES + 3 * largePutBytes(isQuick), sharedMemoryBytes: 2 * largePutBytes(isQuick) }),
    measure: (peer, bench) => bench.fresh(peer, (contestant) => contestant.run("copyBytes", { byteLength: largePutBytes(bench.isQuick), times: LARGE_PUTS })),
  },
  putAndDrop("put_50_gib_released", "each released at once", "putAndRelease"),
  putAndDrop("put_50_gib_collected", "each left to the garbage collector", "putAndForget"),
  {
    key: "spill_and_restore",
    group,
    title: "800 MiB through a store of 75 MiB (in a quick run: 160 through 15), held, read back and compared",
    figures: [
      { key: "seconds", title: "time", unit: "s", better: "lower" },
      { key: "spilledMib", title: "spilled at most at once", unit: "MiB", better: "lower" },
      { key: "leftMib", title: "left on disk when all is released", unit: "MiB", better: "lower" },
    ],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    roundsMax: 2,
    needs: (isQuick) => ({ memoryBytes: PROCESSES_BYTES, sharedMemoryBytes: spillSizes(isQuick).storeBytes, diskBytes: 2 * spillSizes(isQuick).totalBytes }),
    measure: (peer, bench) => {
      const { storeBytes, totalBytes } = spillSizes(bench.isQuick);
      return withStore(peer, bench, storeBytes, async (contestant, spillFolder) => {
        const run = () => contestant.run("store:putAllThenReadAll", { byteLength: SPILL_OBJECT_BYTES, times: totalBytes / SPILL_OBJECT_BYTES });
        const { result, peak } = await peakWhile(SPILL_EVERY_MS, () => bytesInFolder(spillFolder), run);
        // Files are removed soon after their objects, not in the same moment.
        await comesTrue(EMPTY_MS_MAX, SPILL_EVERY_MS, () => bytesInFolder(spillFolder) < MIB);
        return { seconds: result["seconds"]!, spilledMib: peak / MIB, leftMib: bytesInFolder(spillFolder) / MIB };
      });
    },
  },
];
