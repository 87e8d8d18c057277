/** Many light actors at once. */
import * as ray from "mantaray";
import { durationMs } from "../measure.ts";
import type { Workload } from "./workload.ts";

const MS_PER_SECOND = 1_000;

class Counter {
  #count: number;

  constructor(start: number) {
    this.#count = start;
  }

  increment(): number {
    return ++this.#count;
  }
}

let actors: ray.ActorHandle<Counter>[] = [];

export const SHARED_ACTOR_WORKLOADS = {
  /** All are asked for at once; done when every constructor has run. */
  create: async (_peer, { count }) => {
    const Counters = ray.remote(Counter, { isolation: "shared" });
    const elapsedMs = await durationMs(async () => {
      actors = Array.from({ length: count! }, (_, start) => Counters.remote(start));
      await ray.get(actors.map((actor) => actor.ready()));
    });
    return { perSecond: (count! * MS_PER_SECOND) / elapsedMs };
  },

  /** Each is called once, before the first result is awaited. */
  callEach: async () => {
    let results: number[] = [];
    const elapsedMs = await durationMs(async () => {
      results = await ray.get(actors.map((actor) => actor.increment.remote()));
    });
    if (results.some((result, index) => result < index + 1)) throw new Error("an actor has lost its count");
    return { perSecond: (results.length * MS_PER_SECOND) / elapsedMs };
  },

  release: async () => {
    for (const actor of actors) actor.release();
    actors = [];
    return {};
  },
} as const satisfies Record<string, Workload>;
