import { fileURLToPath } from "node:url";
import { FixedThreadPool, WorkerChoiceStrategies } from "poolifier";
import { builtFile } from "../built-file.ts";
import { allAtOnce, WORKERS } from "./peer.ts";
import type { Peer } from "./peer.ts";

export function openPoolifier(): Peer {
  const pool = new FixedThreadPool<{ samples: number; seed: number } | undefined, number>(
    WORKERS,
    fileURLToPath(builtFile("poolifier-worker")),
    { workerChoiceStrategy: WorkerChoiceStrategies.LEAST_USED, enableEvents: false },
  );
  const runTask = () => pool.execute();
  return {
    runTask,
    runTasks: (count) => allAtOnce(count, runTask),
    samplePi: (samples, seed) => pool.execute({ samples, seed }, "samplePi"),
    close: () => pool.destroy(),
  };
}
