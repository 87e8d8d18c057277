import type { Row } from "./row.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const TIMES = 4;
/** Of all nodes beside their objects. */
const PROCESSES_BYTES = GIB;
/** Of its stores, see node-workloads.ts. */
const STORE_OBJECTS = 2.2;

function transfer(key: string, title: string, receivers: number, byteLength: number): Row {
  const objectBytes = (1 + receivers) * STORE_OBJECTS * byteLength;
  return {
    key,
    group: "objects",
    title,
    figures: [{ key: "gibPerSecond", title: "to each", unit: "GiB/s", better: "higher" }],
    contestants: ["one-thread", "mantaray-process"],
    labels: { "one-thread": "bare TCP sockets between two processes", "mantaray-process": "Mantaray, between nodes" },
    baseline: "one-thread",
    roundsMax: 3,
    needs: () => ({ memoryBytes: PROCESSES_BYTES + objectBytes, sharedMemoryBytes: objectBytes }),
    measure: (peer, bench) => bench.fresh(peer, (contestant) => contestant.run(peer === "one-thread" ? "nodes:copyOverTcp" : "nodes:transfer", { byteLength, receivers, times: TIMES })),
  };
}

export const NODE_ROWS: readonly Row[] = [
  transfer("transfer_100_mib", "An object of 100 MiB from one node to another, on this machine", 1, 100 * MIB),
  transfer("transfer_1_gib", "An object of 1 GiB from one node to another, on this machine", 1, GIB),
  transfer("broadcast_256_mib", "An object of 256 MiB from one node to four others at once, on this machine (which has to do all the copying)", 4, 256 * MIB),
];
