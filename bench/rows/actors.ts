import { memoryOfTreeMib } from "../process-tree.ts";
import { peakWhile } from "../sampling.ts";
import { CALLS_PER_SECOND, MANTARAY } from "./row.ts";
import type { Row } from "./row.ts";

const PIPELINED_CALLS = 10_000;
const SHARED_ACTORS = 100_000;
const SHARED_ACTORS_MEMORY_BYTES = 2 ** 30;
const MEMORY_SAMPLE_EVERY_MS = 200;
const KIB_PER_MIB = 1024;

const common = {
  group: "actors",
  figures: [CALLS_PER_SECOND],
  contestants: [...MANTARAY, "comlink"],
  baseline: "mantaray-thread",
} as const;

export const ACTOR_ROWS: readonly Row[] = [
  {
    ...common,
    key: "actor_calls_one_at_a_time",
    title: "Calls on a counter, one at a time",
    measure: async (peer, bench) => (await bench.resident(peer)).run("actorOneAtATime", { trialMs: bench.trialMs }),
  },
  {
    ...common,
    key: "actor_calls_pipelined",
    title: `Calls on a counter, ${PIPELINED_CALLS.toLocaleString("en-US")} outstanding`,
    measure: async (peer, bench) => (await bench.resident(peer)).run("actorPipelined", { count: PIPELINED_CALLS, trialMs: bench.trialMs }),
  },
  {
    key: "shared_actors",
    group: "actors",
    title: `${SHARED_ACTORS.toLocaleString("en-US")} shared actors at once (in a quick run: ${(SHARED_ACTORS / 10).toLocaleString("en-US")})`,
    figures: [
      { key: "createdPerSecond", title: "created", unit: "/s", better: "higher" },
      { key: "callsPerSecond", title: "each called once", unit: "/s", better: "higher" },
      { key: "peakMib", title: "peak of all memory", unit: "MiB", better: "lower" },
      { key: "kibEach", title: "memory for each, after collection", unit: "KiB", better: "lower" },
    ],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    needs: () => ({ memoryBytes: SHARED_ACTORS_MEMORY_BYTES, sharedMemoryBytes: 0 }),
    roundsMax: 3,
    measure: (peer, bench) =>
      bench.fresh(peer, async (contestant) => {
        const count = bench.isQuick ? SHARED_ACTORS / 10 : SHARED_ACTORS;
        // Workers, code and everything that is loaded once are there before the memory is taken.
        await contestant.run("shared-actors:create", { count: SHARED_ACTORS / 100 });
        await contestant.run("shared-actors:callEach");
        await contestant.run("shared-actors:release");
        await contestant.run("collectGarbage");
        const beforeMib = memoryOfTreeMib(contestant.pid);
        const { result, peak } = await peakWhile(MEMORY_SAMPLE_EVERY_MS, () => memoryOfTreeMib(contestant.pid), async () => {
          const created = await contestant.run("shared-actors:create", { count });
          const called = await contestant.run("shared-actors:callEach");
          return { createdPerSecond: created["perSecond"]!, callsPerSecond: called["perSecond"]! };
        });
        await contestant.run("collectGarbage");
        return { ...result, peakMib: peak, kibEach: ((memoryOfTreeMib(contestant.pid) - beforeMib) * KIB_PER_MIB) / count };
      }),
  },
];
