import type { Peer, PeerSettings } from "./peer.ts";

export interface PeerEntry {
  readonly label: string;
  /** The npm package whose version the report names. */
  readonly packageName?: string;
  /** What was chosen where there is a choice, and why. */
  readonly settings: string;
  /** Below it the peer does not load. */
  readonly nodeMajorMin?: number;
  open(settings: PeerSettings): Promise<Peer>;
}

/**
 * Every peer with the settings that served it best, over all rows, in a comparison of its own options
 * (on Node 20 and with two workers).
 */
export const PEERS = {
  "mantaray-thread": {
    label: "Mantaray (thread)",
    settings: "init({ numCpus: 2 })",
    open: async (settings) => (await import("./mantaray.ts")).openMantaray("thread", settings),
  },
  "mantaray-process": {
    label: "Mantaray (process)",
    settings: 'init({ numCpus: 2, isolation: "process" })',
    open: async (settings) => (await import("./mantaray.ts")).openMantaray("process", settings),
  },
  "one-thread": {
    label: "one thread",
    settings: "the same function, called",
    open: async () => (await import("./one-thread.ts")).openOneThread(),
  },
  "bare-worker": {
    label: "bare worker_threads",
    settings: "new Worker(file), a message each way",
    open: async () => (await import("./bare-worker.ts")).openBareWorkers(),
  },
  "child-process": {
    label: "child_process",
    settings: 'fork(file, { serialization: "advanced" }), a message each way',
    open: async () => (await import("./child-process.ts")).openChildProcess(),
  },
  piscina: {
    label: "Piscina",
    packageName: "piscina",
    settings:
      "two threads kept alive, concurrentTasksPerWorker 64 (pipelined about twice as fast as 1, one at a time the same); recordTiming off made no difference",
    open: async () => (await import("./piscina.ts")).openPiscina(),
  },
  tinypool: {
    label: "Tinypool",
    packageName: "tinypool",
    settings: "two threads kept alive, concurrentTasksPerWorker 64 (pipelined two to three times as fast as 1), atomics (without them pipelined a little faster, one at a time slower) and the queue (an array, slow past some 50,000 tasks) as by default",
    open: async () => (await import("./tinypool.ts")).openTinypool(),
  },
  workerpool: {
    label: "workerpool",
    packageName: "workerpool",
    settings: "two threads with a worker script (faster than sending the function's text), the queue (an array, slow past some 50,000 tasks) as by default",
    open: async () => (await import("./workerpool.ts")).openWorkerpool(),
  },
  poolifier: {
    label: "Poolifier",
    packageName: "poolifier",
    settings: "FixedThreadPool of two, no task queue (faster than with one), LEAST_USED, events off",
    open: async () => (await import("./poolifier.ts")).openPoolifier(),
  },
  multithreading: {
    label: "multithreading",
    packageName: "multithreading",
    nodeMajorMin: 22,
    settings: "initRuntime({ maxWorkers: 2 }); it keeps at most 65,536 tasks, so that more are submitted in that many at a time",
    open: async () => (await import("./multithreading.ts")).openMultithreading(),
  },
  comlink: {
    label: "Comlink",
    packageName: "comlink",
    settings: "an object exposed in a worker_thread through Comlink's node adapter",
    open: async () => (await import("./comlink.ts")).openComlink(),
  },
} as const satisfies Record<string, PeerEntry>;

export type PeerId = keyof typeof PEERS;

export function runsOnThisNode(peer: PeerId): boolean {
  const { nodeMajorMin = 0 }: PeerEntry = PEERS[peer];
  return Number.parseInt(process.versions.node, 10) >= nodeMajorMin;
}
