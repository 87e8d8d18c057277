import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Peer } from "./peer.ts";
import { builtFile } from "../built-file.ts";

export function openBareWorkers(): Peer {
  const workers: Worker[] = [];
  return {
    async startWorker() {
      const worker = new Worker(builtFile("bare-worker-thread"));
      workers.push(worker);
      const reply = once(worker, "message");
      worker.postMessage(1);
      return reply;
    },
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  };
}
