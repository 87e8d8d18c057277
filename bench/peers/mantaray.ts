import * as ray from "mantaray";
import { WORKERS } from "./peer.ts";
import type { Peer, RemoteCounter } from "./peer.ts";
import { samplePi } from "./sample-pi.ts";

class Counter {
  #count = 0;

  increment(): number {
    return ++this.#count;
  }
}

export async function openMantaray(isolation: "thread" | "process"): Promise<Peer> {
  await ray.init({ address: "local", numCpus: WORKERS, isolation, includeDashboard: false });
  const empty = ray.remote(() => {});
  const sample = ray.remote(samplePi);
  const CounterActor = ray.remote(Counter);
  const kept: ray.ActorHandle<Counter>[] = [];

  return {
    runTask: () => ray.get(empty.remote()),
    runTasks: (count) => ray.get(Array.from({ length: count }, () => empty.remote())),
    samplePi: (samples, seed) => ray.get(sample.remote(samples, seed)),
    createCounter: async () => counterOf(CounterActor.remote()),
    async startWorker() {
      // An actor has its worker to itself.
      const actor = CounterActor.remote();
      kept.push(actor);
      return ray.get(actor.increment.remote());
    },
    close: () => ray.shutdown(),
  };
}

function counterOf(actor: ray.ActorHandle<Counter>): RemoteCounter {
  return {
    increment: () => ray.get(actor.increment.remote()),
    incrementMany: (count) => ray.get(Array.from({ length: count }, () => actor.increment.remote())),
    close: () => ray.kill(actor),
  };
}
