import { CALLS_PER_SECOND, MANTARAY, POOLS } from "./row.ts";
import type { Row } from "./row.ts";

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
];
