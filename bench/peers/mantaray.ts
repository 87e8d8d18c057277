import * as ray from "mantaray";
import { statisticsOf } from "../measure.ts";
import { msUntilAllFailed } from "./cancelled-calls.ts";
import { WORKERS } from "./peer.ts";
import type { Delivery, Peer, PeerSettings, RemoteCounter } from "./peer.ts";
import { samplePi } from "./sample-pi.ts";

class Counter {
  #count = 0;

  increment(): number {
    return ++this.#count;
  }
}

const GETS_AGAIN = 20;

class ArrayReader {
  /** In a list, the ref itself arrives, and not its value. */
  async read([ref]: readonly [ray.ObjectRef<Float64Array>]): Promise<Delivery> {
    const firstMs = await this.#getMs(ref);
    const againMs: number[] = [];
    for (let gets = 0; gets < GETS_AGAIN; gets++) againMs.push(await this.#getMs(ref));
    return { firstMs, againMs: statisticsOf(againMs).median };
  }

  async #getMs(ref: ray.ObjectRef<Float64Array>): Promise<number> {
    const startedAt = performance.now();
    const array = await ray.get(ref);
    const elapsedMs = performance.now() - startedAt;
    if (array.at(-1) !== 1) throw new Error("the array arrived with other numbers");
    return elapsedMs;
  }
}

export async function openMantaray(isolation: "thread" | "process", settings: PeerSettings): Promise<Peer> {
  await ray.init({
    ...{ address: "local", numCpus: WORKERS, isolation, includeDashboard: false },
    ...(settings.objectStoreBytes === undefined ? {} : { objectStoreMemory: settings.objectStoreBytes }),
    ...(settings.spillFolder === undefined ? {} : { objectSpillingDirectory: settings.spillFolder }),
  });
  const empty = ray.remote(() => {});
  const sample = ray.remote(samplePi);
  /** Yields when it has its processor, and keeps that until it is cancelled. */
  const keepProcessor = ray.remote(async function* () {
    yield;
    const { signal } = ray.getRuntimeContext();
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
  });
  const CounterActor = ray.remote(Counter);
  let reader: ray.ActorHandle<ArrayReader> | undefined;
  const kept: ray.ActorHandle<Counter>[] = [];

  return {
    runTask: () => ray.get(empty.remote()),
    runTasks: (count) => ray.get(Array.from({ length: count }, () => empty.remote())),
    samplePi: (samples, seed) => ray.get(sample.remote(samples, seed)),
    async cancelQueued(count, by) {
      const keepers = Array.from({ length: WORKERS }, () => keepProcessor.remote());
      for (const keeper of keepers) await keeper.next();
      const controller = new AbortController();
      const task = by === "each" ? empty : empty.options({ signal: controller.signal });
      const refs = Array.from({ length: count }, () => task.remote());
      const calls = refs.map((ref) => ref.get());
      const cancelAll = () => (by === "each" ? Promise.all(refs.map((ref) => ray.cancel(ref))) : controller.abort());
      const elapsedMs = await msUntilAllFailed(calls, cancelAll);
      await Promise.all(keepers.map((keeper) => ray.cancel(keeper)));
      return elapsedMs;
    },
    createCounter: async () => counterOf(CounterActor.remote()),
    async startWorker() {
      // An actor has its worker to itself.
      const actor = CounterActor.remote();
      kept.push(actor);
      return ray.get(actor.increment.remote());
    },
    copyBytes: (bytes) => ray.put(bytes).release(),
    async deliverArray(byteLength, times) {
      reader ??= ray.remote(ArrayReader).remote();
      const array = new Float64Array(byteLength / Float64Array.BYTES_PER_ELEMENT).fill(1);
      const deliveries: Delivery[] = [];
      for (let time = 0; time < times; time++) {
        using ref = ray.put(array);
        deliveries.push(await ray.get(reader.read.remote([ref])));
      }
      return {
        firstMs: statisticsOf(deliveries.map(({ firstMs }) => firstMs)).median,
        againMs: statisticsOf(deliveries.map(({ againMs }) => againMs)).median,
      };
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
