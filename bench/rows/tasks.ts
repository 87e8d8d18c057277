import { CALLS_PER_SECOND, MANTARAY, POOLS } from "./row.ts";
import type { Row } from "./row.ts";

const CANCELLED_TASKS = 10_000;
const contestants = [...MANTARAY, ...POOLS];

function outstanding(count: number): Row {
  const written = count.toLocaleString("en-US");
  return {
    key: `tasks_${count}_outstanding`,
    group: "tasks",
    title: `Empty tasks, ${written} outstanding`,
    figures: [CALLS_PER_SECOND],
    contestants,
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("tasksOutstanding", { count, trialMs: bench.trialMs }),
  };
}

export const TASK_ROWS: readonly Row[] = [
  {
    key: "tasks_one_at_a_time",
    group: "tasks",
    title: "Empty tasks, one at a time",
    figures: [CALLS_PER_SECOND],
    contestants,
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("tasksOneAtATime", { trialMs: bench.trialMs }),
  },
  outstanding(10_000),
  outstanding(100_000),
  {
    key: "cancel_queued",
    group: "tasks",
    title: `cancel of ${CANCELLED_TASKS.toLocaleString("en-US")} tasks that wait for busy workers, until all have failed`,
    figures: [
      { ...CALLS_PER_SECOND, key: "eachPerSecond", title: "each by itself" },
      { ...CALLS_PER_SECOND, key: "oneSignalPerSecond", title: "all by one signal" },
    ],
    contestants: [...MANTARAY, "piscina"],
    labels: { piscina: "Piscina (AbortSignal)" },
    baseline: "mantaray-thread",
    measure: async (peer, bench) => (await bench.resident(peer)).run("cancelQueued", { count: CANCELLED_TASKS }),
  },
];
