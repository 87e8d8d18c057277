import { Worker } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { builtFile } from "../built-file.ts";
import { allAtOnce } from "./peer.ts";
import type { Peer, RemoteCounter } from "./peer.ts";

export function openComlink(): Peer {
  const workers: Worker[] = [];

  function createCounter(): RemoteCounter {
    const worker = new Worker(builtFile("comlink-worker"));
    workers.push(worker);
    const counter = Comlink.wrap<{ increment(): number }>(nodeEndpoint(worker));
    const increment = async () => counter.increment();
    return { increment, incrementMany: (count) => allAtOnce(count, increment), close: () => worker.terminate() };
  }

  return {
    createCounter: async () => createCounter(),
    startWorker: () => createCounter().increment(),
    close: () => Promise.all(workers.map((worker) => worker.terminate())),
  };
}
