import { setMaxListeners } from "node:events";
import { Piscina } from "piscina";
import { builtFile } from "../built-file.ts";
import { msUntilAllFailed } from "./cancelled-calls.ts";
import { allAtOnce, WORKERS } from "./peer.ts";
import type { Peer } from "./peer.ts";

const TASKS_AT_WORKER = 64;

export function openPiscina(): Peer {
  const pool = new Piscina({
    filename: builtFile("exported-functions-worker").href,
    minThreads: WORKERS,
    maxThreads: WORKERS,
    idleTimeout: Number.POSITIVE_INFINITY,
    concurrentTasksPerWorker: TASKS_AT_WORKER,
  });
  const runTask = () => pool.run(undefined);
  return {
    runTask,
    runTasks: (count) => allAtOnce(count, runTask),
    samplePi: (samples, seed) => pool.run({ samples, seed }, { name: "pi" }),
    async cancelQueued(count, by) {
      const gate = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const keepers = Array.from({ length: WORKERS * TASKS_AT_WORKER }, () => pool.run(gate, { name: "waitAtGate" }));
      const controllers = Array.from({ length: by === "each" ? count : 1 }, () => new AbortController());
      for (const { signal } of controllers) setMaxListeners(0, signal);
      const calls = Array.from({ length: count }, (_, call) => pool.run(undefined, { signal: controllers[call % controllers.length]!.signal }));
      const elapsedMs = await msUntilAllFailed(calls, () => controllers.forEach((controller) => controller.abort()));
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
      await Promise.all(keepers);
      return elapsedMs;
    },
    close: () => pool.destroy(),
  };
}
