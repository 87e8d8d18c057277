import { MANTARAY, POOLS } from "./row.ts";
import type { Row } from "./row.ts";

const TASKS = 8;
const SAMPLES_PER_TASK = 20_000_000;

export const COMPUTING_ROWS: readonly Row[] = [
  {
    key: "monte_carlo_pi",
    group: "computing",
    title: `Monte-Carlo pi, ${TASKS} tasks on 2 workers, against one thread`,
    figures: [{ key: "megasamplesPerSecond", title: "", unit: "M samples/s", better: "higher" }],
    contestants: ["one-thread", ...MANTARAY, ...POOLS],
    baseline: "one-thread",
    measure: async (peer, bench) => {
      const samplesPerTask = bench.isQuick ? SAMPLES_PER_TASK / 10 : SAMPLES_PER_TASK;
      return (await bench.resident(peer)).run("pi", { tasks: TASKS, samplesPerTask });
    },
  },
];
