import { fileURLToPath } from "node:url";
import workerpool from "workerpool";
import { builtFile } from "../built-file.ts";
import { allAtOnce, WORKERS } from "./peer.ts";
import type { Peer } from "./peer.ts";

export function openWorkerpool(): Peer {
  const pool = workerpool.pool(fileURLToPath(builtFile("workerpool-worker")), {
    workerType: "thread",
    minWorkers: WORKERS,
    maxWorkers: WORKERS,
  });
  const runTask = async () => pool.exec("empty", []);
  return {
    runTask,
    runTasks: (count) => allAtOnce(count, runTask),
    samplePi: async (samples, seed) => pool.exec("samplePi", [samples, seed]),
    close: async () => pool.terminate(true),
  };
}
