import type { ContestantProcess } from "../contestant-process.ts";
import { memoryOfTreeMib } from "../process-tree.ts";
import { peakWhile } from "../sampling.ts";
import type { Row } from "./row.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIMES = 4;
/** Of all nodes beside their objects. */
const PROCESSES_BYTES = GIB;
/** Of its stores, see node-workloads.ts. */
const STORE_OBJECTS = 2.2;
const MEMORY_SAMPLE_EVERY_MS = 20;

function transfer(key: string, title: string, receivers: number, byteLength: number): Row {
  const objectBytes = (1 + receivers) * STORE_OBJECTS * byteLength;
  return {
    key,
    group: "objects",
    title,
    figures: [
      { key: "gibPerSecond", title: "to each", unit: "GiB/s", better: "higher" },
      receivers === 1 ? { key: "peakMib", title: "peak of all memory, the sender's value included", unit: "MiB", better: "lower" } : { key: "timesOfOne", title: "time, by the time to one of them alone", unit: "×", better: "lower" },
    ],
    contestants: ["one-thread", "mantaray-process"],
    labels: { "one-thread": "bare TCP sockets between two processes", "mantaray-process": "Mantaray, between nodes" },
    baseline: "one-thread",
    roundsMax: 3,
    needs: () => ({ memoryBytes: PROCESSES_BYTES + objectBytes, sharedMemoryBytes: objectBytes }),
    measure: (peer, bench) =>
      bench.fresh(peer, async (contestant) => {
        const copy = (howOften: number): ReturnType<ContestantProcess["run"]> => contestant.run(peer === "one-thread" ? "nodes:copyOverTcp" : "nodes:transfer", { byteLength, receivers, times: howOften });
        const figures = await copy(TIMES);
        if (receivers > 1) return figures;
        // By itself: to look at the memory takes time of the processors.
        const { peak } = await peakWhile(MEMORY_SAMPLE_EVERY_MS, () => memoryOfTreeMib(contestant.pid), () => copy(1));
        return { ...figures, peakMib: peak };
      }),
  };
}

const LINK_RECEIVERS = 4;
const LINK_OBJECT_BYTES = 128 * MIB;
const LINK_MEGABITS_PER_SECOND = 400;
/** Of so slow a transfer. */
const LINK_TIMES = 2;

const OVER_LINKS: Row = {
  key: "broadcast_over_links",
  group: "objects",
  title: `An object of ${LINK_OBJECT_BYTES / MIB} MiB from one node to ${LINK_RECEIVERS} others at once, each at the end of a link of ${LINK_MEGABITS_PER_SECOND} Mbit/s (network namespaces of this machine)`,
  figures: [
    { key: "timesOfOne", title: "time, by the time to one of them alone", unit: "×", better: "lower" },
    { key: "mibPerSecond", title: "to each", unit: "MiB/s", better: "higher" },
    { key: "busyPercent", title: "time of all processors taken meanwhile, by whomever", unit: "%", better: "lower" },
  ],
  contestants: ["one-thread", "mantaray-process"],
  labels: { "one-thread": "bare TCP sockets, one sender to all", "mantaray-process": "Mantaray, between nodes" },
  baseline: "one-thread",
  roundsMax: 3,
  needs: () => ({ memoryBytes: PROCESSES_BYTES + (1 + LINK_RECEIVERS) * STORE_OBJECTS * LINK_OBJECT_BYTES, sharedMemoryBytes: 0, links: true }),
  measure: (peer, bench) =>
    bench.fresh(peer, (contestant) => contestant.run(peer === "one-thread" ? "nodes:copyOverLinks" : "nodes:transferOverLinks", { byteLength: LINK_OBJECT_BYTES, receivers: LINK_RECEIVERS, times: LINK_TIMES, megabitsPerSecond: LINK_MEGABITS_PER_SECOND })),
};

export const NODE_ROWS: readonly Row[] = [
  transfer("transfer_100_mib", "An object of 100 MiB from one node to another, on this machine", 1, 100 * MIB),
  transfer("transfer_1_gib", "An object of 1 GiB from one node to another, on this machine", 1, GIB),
  OVER_LINKS,
  transfer("broadcast_256_mib", "An object of 256 MiB from one node to four others at once, on this machine (which has to do all the copying)", 4, 256 * MIB),
];
