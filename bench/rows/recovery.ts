import { MANTARAY } from "./row.ts";
import type { Figure, Row } from "./row.ts";

const STEPS = 20;
const TIMES = 9;
const TIMES_QUICK = 3;
const MS: Figure = { key: "ms", title: "", unit: "ms", better: "lower" };

function recovery(key: string, title: string, workload: string, parameters: Record<string, number>): Row {
  return {
    key: `recovery_${key}`,
    group: "recovery",
    title,
    figures: [MS],
    contestants: MANTARAY,
    baseline: "mantaray-thread",
    measure: (peer, bench) => bench.fresh(peer, (contestant) => contestant.run(`recovery:${workload}`, { ...parameters, times: bench.isQuick ? TIMES_QUICK : TIMES, processes: peer === "mantaray-process" ? 1 : 0 })),
  };
}

export const RECOVERY_ROWS: readonly Row[] = [
  recovery("task", "A task whose worker is killed: until it runs again, while another worker waits", "task", { busyWorkers: 0 }),
  recovery("task_busy", "The same while the other worker is busy, so that a new one has to start", "task", { busyWorkers: 1 }),
  recovery("actor", "An actor whose worker is killed: until it answers again, while other workers wait", "actor", { busyWorkers: 0 }),
  recovery("actor_busy", "The same while all workers are busy, so that a new one has to start", "actor", { busyWorkers: 2 }),
  recovery("lineage", `A chain of ${STEPS} empty tasks with large results, all lost with the disk: until the last result is there again`, "lineageOnOneNode", { steps: STEPS }),
  recovery("lineage_cluster", "The same, lost with their node, which is killed: until the last result is there again, made on another node", "lineageInCluster", { steps: STEPS }),
];
