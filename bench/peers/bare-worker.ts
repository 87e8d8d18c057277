import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Peer } from "./peer.ts";
import { builtFile } from "../built-file.ts";
import { deliverTo } from "./delivery.ts";

export function openBareWorkers(): Peer {
  const workers: Worker[] = [];
  const start = (name: string): Worker => {
    const worker = new Worker(builtFile(name));
    workers.push(worker);
    return worker;
  };
  let receiver: Worker | undefined;

  return {
    async startWorker() {
      const worker = start("bare-worker-thread");
      const reply = once(worker, "message");
      worker.postMessage(1);
      return reply;
    },
    deliverArray(byteLength, times) {
      const worker = (receiver ??= start("array-receiver"));
      return deliverTo({ send: (message) => worker.postMessage(message), reply: async () => (await once(worker, "message"))[0] as number }, byteLength, times);
    },
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  };
}
