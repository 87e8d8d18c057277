import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { SeededRandom } from "../../bench/soak/seeded-random.ts";
import { everythingFree } from "../conformance/both-isolations.ts";
import { killHead } from "./head-kill.ts";
import { Killer, type KillCounts } from "./killer.ts";
import { chainsOfLargeResults, type LoadSize, nestedTasks, numberedCalls, streamsAndBorrowedRefs } from "./loads.ts";

export interface ChaosSetting {
  readonly nodes: number;
  readonly isolation: "thread" | "process";
  readonly seed: number;
  readonly size: LoadSize;
  /** Rounds begin for so long; the last one is finished. */
  readonly ms: number;
  readonly log: (line: string) => void;
}

export interface ChaosCounts extends KillCounts {
  rounds: number;
  tasks: number;
  calls: number;
  values: number;
  largeResults: number;
  /** After the head was killed: until each pending call had ended, and from then until nothing was left of any node; in ms. */
  callsEndedMs: number;
  nothingLeftMs: number;
}

const NODE = { numCpus: 2, objectStoreMemory: 64 * 2 ** 20 };

/**
 * Runs all loads at once, again and again, on a cluster whose processes are killed and stopped at random. Rejects when a result is
 * wrong or an error, or not every processor is free at the end. Then it kills the head: each pending call must end with an error of the runtime, and
 * nothing be left.
 */
export async function chaos({ nodes, isolation, seed, size, ms, log }: ChaosSetting): Promise<ChaosCounts> {
  const cluster = await startCluster({ nodes: Array.from({ length: nodes }, () => NODE) });
  try {
    await ray.init({ address: cluster.address, isolation });
    const killer = new Killer(cluster, NODE, new SeededRandom(seed), log);
    const counts = { rounds: 0, tasks: 0, calls: 0, values: 0, largeResults: 0 };
    killer.start();
    try {
      for (const endMs = performance.now() + ms; performance.now() < endMs; ) {
        const [tasks, calls, values, largeResults] = await Promise.all([nestedTasks(size), numberedCalls(size), streamsAndBorrowedRefs(size), chainsOfLargeResults(size)]);
        counts.rounds++;
        counts.tasks += tasks;
        counts.calls += calls;
        counts.values += values;
        counts.largeResults += largeResults;
        log(`round ${counts.rounds} is right: ${JSON.stringify({ ...counts, ...killer.counts })}`);
      }
    } finally {
      await killer.stop();
    }
    await everythingFree().catch(async (error: Error) => { throw new Error(`${error.message}, but only ${JSON.stringify(await ray.availableResources())} are`); });
    const { callsEndedMs, nothingLeftMs } = await killHead(cluster, size.actors);
    return { ...counts, ...killer.counts, callsEndedMs: Math.round(callsEndedMs), nothingLeftMs: Math.round(nothingLeftMs) };
  } finally {
    await ray.shutdown();
    await cluster.stop();
  }
}
