import { CALLS_PER_SECOND, MANTARAY } from "./row.ts";
import type { Row } from "./row.ts";

const PIPELINED_CALLS = 10_000;

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
];
