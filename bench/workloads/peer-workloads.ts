/** What any peer can be asked to do. */
import { durationMs, perSecond, perSecondInSteps } from "../measure.ts";
import type { RemoteCounter, Peer } from "../peers/peer.ts";
import type { Workload } from "./workload.ts";

/** Between looks at the clock. */
const STEP_UNITS = 20;
const GIB = 2 ** 30;
const MS_PER_SECOND = 1_000;
const counters = new WeakMap<Peer, Promise<RemoteCounter>>();

/** One counter for all rounds: its start is measured elsewhere. */
function counterOf(peer: Peer): Promise<RemoteCounter> {
  let counter = counters.get(peer);
  if (counter === undefined) {
    counter = peer.createCounter!();
    counters.set(peer, counter);
  }
  return counter;
}

export const PEER_WORKLOADS = {
  tasksOneAtATime: async (peer, { trialMs }) => ({
    perSecond: await perSecondInSteps(trialMs!, STEP_UNITS, () => peer.runTask!()),
  }),

  tasksOutstanding: async (peer, { count, trialMs }) => ({
    perSecond: (await perSecond(trialMs!, () => peer.runTasks!(count!))) * count!,
  }),

  cancelQueued: async (peer, { count }) => ({
    eachPerSecond: (count! * MS_PER_SECOND) / (await peer.cancelQueued!(count!, "each")),
    oneSignalPerSecond: (count! * MS_PER_SECOND) / (await peer.cancelQueued!(count!, "oneSignal")),
  }),

  actorOneAtATime: async (peer, { trialMs }) => {
    const counter = await counterOf(peer);
    return { perSecond: await perSecondInSteps(trialMs!, STEP_UNITS, () => counter.increment()) };
  },

  actorPipelined: async (peer, { count, trialMs }) => {
    const counter = await counterOf(peer);
    return { perSecond: (await perSecond(trialMs!, () => counter.incrementMany(count!))) * count! };
  },

  pi: async (peer, { tasks, samplesPerTask }) => {
    let inside = 0;
    const elapsedMs = await durationMs(async () => {
      const samplings = Array.from({ length: tasks! }, (_, seed) => peer.samplePi!(samplesPerTask!, seed + 1));
      for (const sampling of await Promise.all(samplings)) inside += sampling;
    });
    const estimate = (4 * inside) / (tasks! * samplesPerTask!);
    if (Math.abs(estimate - Math.PI) > 0.01) throw new Error(`pi came out as ${estimate}`);
    return { megasamplesPerSecond: (tasks! * samplesPerTask!) / elapsedMs / 1000 };
  },

  deliverArray: async (peer, { byteLength, times }) => ({ ...(await peer.deliverArray!(byteLength!, times!)) }),

  /** The first copy, into memory that nobody has touched, does not count. */
  copyBytes: async (peer, { byteLength, times }) => {
    const bytes = new Uint8Array(byteLength!).fill(1);
    peer.copyBytes!(bytes);
    const elapsedMs = await durationMs(async () => {
      for (let time = 0; time < times!; time++) peer.copyBytes!(bytes);
    });
    return { gibPerSecond: (times! * byteLength!) / GIB / (elapsedMs / MS_PER_SECOND) };
  },

  /** So many further workers, one after another; the time of the middle one. */
  startWorkers: async (peer, { count }) => {
    const startsMs: number[] = [];
    for (let started = 0; started < count!; started++) startsMs.push(await durationMs(() => peer.startWorker!()));
    return { ms: startsMs.sort((a, b) => a - b)[count! >> 1]! };
  },

  /** An actor when idle workers are there to take it in: from its creation to the first answer. */
  actorOnWarmWorker: async (peer, { warmUpMs }) => {
    await peer.runTasks!(1000);
    // Idle means idle: what the runtime does after a burst is over by then.
    await delay(warmUpMs!);
    let counter: RemoteCounter | undefined;
    const elapsedMs = await durationMs(async () => {
      counter = await peer.createCounter!();
      await counter.increment();
    });
    await counter!.close();
    return { ms: elapsedMs };
  },

  /** So many at once, until each has answered. */
  createActors: async (peer, { count, warmUpMs }) => {
    // Those of the round before have ended, and what follows them is there.
    await delay(warmUpMs!);
    let created: RemoteCounter[] = [];
    const elapsedMs = await durationMs(async () => {
      created = await Promise.all(Array.from({ length: count! }, () => peer.createCounter!()));
      await Promise.all(created.map((counter) => counter.increment()));
    });
    await Promise.all(created.map((counter) => counter.close()));
    return { perSecond: (count! * MS_PER_SECOND) / elapsedMs };
  },

  /** Runs the collector until what nobody holds any more has been let go on all sides. */
  collectGarbage: async () => {
    for (let pass = 0; pass < 5; pass++) {
      globalThis.gc!();
      await delay(100);
    }
    const { heapUsed, external } = process.memoryUsage();
    return { heapMib: (heapUsed + external) / 2 ** 20 };
  },
} as const satisfies Record<string, Workload>;

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
