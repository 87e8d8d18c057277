import { memoryOfTreeMib } from "../process-tree.ts";
import { CALLS_PER_SECOND, MANTARAY, POOLS } from "./row.ts";
import type { Row } from "./row.ts";

const FURTHER_WORKERS = 8;
/** The runtime may have warm workers already; what follows them is started for us. */
const FIRST_WORKERS = 4;
/** After a burst of tasks, until workers count as idle. */
const WARM_UP_MS = 500;
const ACTORS_AT_ONCE = 8;
const SHARED_ACTORS_AT_ONCE = 1_000;

export const STARTING_ROWS: readonly Row[] = [
  {
    key: "start_to_first_result",
    group: "starting",
    title: "From `node app.mjs` to the first result",
    figures: [
      { key: "ms", title: "time", unit: "ms", better: "lower" },
      { key: "memoryMib", title: "memory by then", unit: "MiB", better: "lower" },
    ],
    contestants: ["one-thread", ...MANTARAY, ...POOLS, "comlink"],
    labels: { "one-thread": "bare node, no worker" },
    baseline: "mantaray-thread",
    measure: (peer, bench) => bench.firstResult(`start-${peer}`),
  },
  {
    key: "further_worker",
    group: "starting",
    title: "A further worker: to the first message from it, and memory each",
    figures: [
      { key: "ms", title: "time", unit: "ms", better: "lower" },
      { key: "memoryMib", title: "memory each", unit: "MiB", better: "lower" },
    ],
    contestants: ["bare-worker", ...MANTARAY, "comlink"],
    baseline: "bare-worker",
    measure: (peer, bench) =>
      bench.fresh(peer, async (contestant) => {
        await contestant.run("startWorkers", { count: FIRST_WORKERS });
        const beforeMib = memoryOfTreeMib(contestant.pid);
        const { ms } = await contestant.run("startWorkers", { count: FURTHER_WORKERS });
        return { ms: ms!, memoryMib: (memoryOfTreeMib(contestant.pid) - beforeMib) / FURTHER_WORKERS };
      }),
  },
  {
    key: "actor_on_warm_worker",
    group: "starting",
    title: "An actor where a warm worker waits: from its creation to its first answer",
    figures: [{ key: "ms", title: "", unit: "ms", better: "lower" }],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("actorOnWarmWorker", { warmUpMs: WARM_UP_MS }),
  },
  {
    key: "actors_created",
    group: "starting",
    title: `${ACTORS_AT_ONCE} actors created at once, with a worker each: until all have answered`,
    figures: [CALLS_PER_SECOND],
    contestants: [...MANTARAY, "comlink"],
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("createActors", { count: ACTORS_AT_ONCE, warmUpMs: WARM_UP_MS }),
  },
  {
    key: "shared_actors_created",
    group: "starting",
    title: `${SHARED_ACTORS_AT_ONCE.toLocaleString("en-US")} shared actors created at once: until all are there`,
    figures: [CALLS_PER_SECOND],
    contestants: MANTARAY,
    labels: { "mantaray-thread": "Mantaray (shared, in threads)", "mantaray-process": "Mantaray (shared, in processes)" },
    baseline: "mantaray-thread",
    measure: async (peer, bench) => {
      const contestant = await bench.resident(peer);
      const created = await contestant.run("shared-actors:create", { count: SHARED_ACTORS_AT_ONCE });
      await contestant.run("shared-actors:release");
      return created;
    },
  },
];
