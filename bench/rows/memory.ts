import { setTimeout as delay } from "node:timers/promises";
import { cpuOfTreeMs, memoryOfTreeMib, peakMemoryMib } from "../process-tree.ts";
import { MANTARAY } from "./row.ts";
import type { Row } from "./row.ts";

const MILLION = 1_000_000;
const IDLE_AFTER_MS = 1_000;
const IDLE_MS = 3_000;
const MS_PER_SECOND = 1_000;

export const MEMORY_ROWS: readonly Row[] = [
  {
    key: "million_tasks",
    group: "memory and idling",
    title: "1,000,000 empty tasks submitted at once (in a quick run: 100,000)",
    figures: [
      { key: "perSecond", title: "tasks", unit: "/s", better: "higher" },
      { key: "beforeMib", title: "memory before", unit: "MiB", better: "lower" },
      { key: "peakMib", title: "peak of the main process", unit: "MiB", better: "lower" },
      { key: "afterMib", title: "memory after collection", unit: "MiB", better: "lower" },
      { key: "heapGrowthMib", title: "growth of the main heap", unit: "MiB", better: "lower" },
    ],
    contestants: [...MANTARAY, "piscina", "poolifier"],
    baseline: "mantaray-thread",
    roundsMax: 2,
    measure: (peer, bench) =>
      bench.fresh(peer, async (contestant) => {
        const count = bench.isQuick ? MILLION / 10 : MILLION;
        // Everything that is loaded or compiled once is there before the memory is taken.
        await contestant.run("tasksOutstanding", { count: MILLION / 100 });
        const heapBefore = await contestant.run("collectGarbage");
        const beforeMib = memoryOfTreeMib(contestant.pid);
        const { perSecond } = await contestant.run("tasksOutstanding", { count });
        const peakMib = peakMemoryMib(contestant.pid);
        const heapAfter = await contestant.run("collectGarbage");
        return {
          perSecond: perSecond!,
          beforeMib,
          peakMib,
          afterMib: memoryOfTreeMib(contestant.pid),
          heapGrowthMib: heapAfter["heapMib"]! - heapBefore["heapMib"]!,
        };
      }),
  },
  {
    key: "idle_cpu",
    group: "memory and idling",
    title: "CPU time while idle, one second after a load of 20,000 tasks",
    figures: [{ key: "msPerSecond", title: "", unit: "ms/s", better: "lower" }],
    contestants: [...MANTARAY, "piscina", "poolifier"],
    baseline: "mantaray-thread",
    roundsMax: 3,
    measure: async (peer, bench) => {
      const contestant = await bench.resident(peer);
      await contestant.run("tasksOutstanding", { count: 20_000 });
      await delay(IDLE_AFTER_MS);
      const before = cpuOfTreeMs(contestant.pid);
      await delay(IDLE_MS);
      return { msPerSecond: ((cpuOfTreeMs(contestant.pid) - before) * MS_PER_SECOND) / IDLE_MS };
    },
  },
];
