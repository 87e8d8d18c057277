import { initRuntime, move, shutdown, spawn } from "multithreading";
import { allAtOnce, WORKERS } from "./peer.ts";
import type { Peer } from "./peer.ts";
import { samplePi } from "./sample-pi.ts";

/** Its table of pending tasks is a ring of 65,536: a task more overwrites one, which is then never answered. */
const PENDING_MAX = 65_536;

export function openMultithreading(): Peer {
  initRuntime({ maxWorkers: WORKERS });
  const empty = () => {};
  const runTask = () => spawn(empty).join();
  return {
    runTask,
    async runTasks(count) {
      for (let left = count; left > 0; left -= PENDING_MAX) await allAtOnce(Math.min(left, PENDING_MAX), runTask);
    },
    async samplePi(samples, seed) {
      const result = await spawn(move(samples, seed), samplePi).join();
      if (!result.ok) throw result.error;
      return result.value;
    },
    close: async () => shutdown(),
  };
}
