import { Tinypool } from "tinypool";
import { builtFile } from "../built-file.ts";
import { allAtOnce, WORKERS } from "./peer.ts";
import type { Peer } from "./peer.ts";

export function openTinypool(): Peer {
  const pool = new Tinypool({
    filename: builtFile("exported-functions-worker").href,
    runtime: "worker_threads",
    minThreads: WORKERS,
    maxThreads: WORKERS,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: 64,
  });
  const runTask = () => pool.run(undefined);
  return {
    runTask,
    runTasks: (count) => allAtOnce(count, runTask),
    samplePi: (samples, seed) => pool.run({ samples, seed }, { name: "pi" }),
    close: () => pool.destroy(),
  };
}
