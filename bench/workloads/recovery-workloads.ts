/** How soon what a killed worker, node or disk has taken along is there again. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { durationMs, statisticsOf } from "../measure.ts";
import { WORKERS } from "../peers/peer.ts";
import type { Parameters, Workload } from "./workload.ts";

/** Of 160 KB each: too large for a message, so that they lie in the store of a node. */
const ARRAY_LENGTH = 20_000;
/** Room for a few of them. */
const SMALL_STORE_BYTES = 4 * 2 ** 20;
const FILLER_BYTES = 2 ** 19;

/** A worker process by SIGKILL, as the system does; a thread cannot be killed, so it exits. */
function endWorker(isProcess: boolean): never {
  if (isProcess) process.kill(process.pid, "SIGKILL");
  return process.exit(1);
}

/** Notes when its worker ended. Its second run answers how long ago that was, in ms. */
const runTwice = ray.remote(function runTwice(note: string, isProcess: boolean): number {
  if (existsSync(note)) return Date.now() - Number(readFileSync(note, "utf8"));
  writeFileSync(note, String(Date.now()));
  return endWorker(isProcess);
});

class Mortal {
  /** When it ended, in ms. */
  end(isProcess: boolean, note: string): void {
    writeFileSync(note, String(Date.now()));
    endWorker(isProcess);
  }

  now(): number {
    return Date.now();
  }
}

/** Yields when it has its processor, and keeps that until it is cancelled. */
const keepProcessor = ray.remote(async function* () {
  yield;
  const { signal } = ray.getRuntimeContext();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
});

async function withBusyWorkers<T>(count: number, use: () => Promise<T>): Promise<T> {
  const keepers = Array.from({ length: count }, () => keepProcessor.remote());
  for (const keeper of keepers) await keeper.next();
  try {
    return await use();
  } finally {
    await Promise.all(keepers.map((keeper) => ray.cancel(keeper)));
  }
}

/** The middle one of so many times; before each, all workers are there and wait. */
async function middleOf(times: number, busyWorkers: number, once: (note: string) => Promise<number>): Promise<{ ms: number }> {
  const folder = mkdtempSync(join(tmpdir(), "bench-recovery-"));
  try {
    const samples: number[] = [];
    for (let time = 0; time < times; time++) {
      await withBusyWorkers(WORKERS, () => Promise.resolve());
      samples.push(await withBusyWorkers(busyWorkers, () => once(join(folder, String(time)))));
    }
    return { ms: statisticsOf(samples).median };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Each step has the large result of the one before; all are there. */
async function chainOf(steps: number, options: ray.TaskOptions): Promise<ray.ObjectRef<Float64Array>> {
  const first = ray.remote(() => new Float64Array(ARRAY_LENGTH)).options(options);
  const pass = ray.remote((array: Float64Array) => new Float64Array(array)).options(options);
  let last = first.remote();
  for (let step = 1; step < steps; step++) last = pass.remote(last);
  await ray.wait([last]);
  return last;
}

async function recoveryMs(last: ray.ObjectRef<Float64Array>): Promise<{ ms: number }> {
  let length = 0;
  const ms = await durationMs(async () => { ({ length } = await ray.get(last)); });
  if (length !== ARRAY_LENGTH) throw new Error("the last result came back with another length");
  return { ms };
}

const isolationOf = ({ processes }: Parameters) => (processes === 1 ? "process" : "thread");

export const RECOVERY_WORKLOADS = {
  /** From the end of a task's worker to its second run. */
  task: (_peer, { processes, times, busyWorkers }) => middleOf(times!, busyWorkers!, (note) => ray.get(runTwice.remote(note, processes === 1))),

  /** From the end of an actor's worker to its next answer. */
  actor: (_peer, { processes, times, busyWorkers }) =>
    middleOf(times!, busyWorkers!, async (note) => {
      const actor = ray.remote(Mortal, { maxRestarts: 1 }).remote();
      await ray.get(actor.now.remote());
      await ray.get(actor.end.remote(processes === 1, note)).catch(() => undefined);
      const answeredMs = await ray.get(actor.now.remote());
      await ray.kill(actor);
      return answeredMs - Number(readFileSync(note, "utf8"));
    }),

  /** The disk loses what did not fit into the store. */
  lineageOnOneNode: async (_peer, parameters) => {
    await ray.shutdown();
    const folder = mkdtempSync(join(tmpdir(), "bench-recovery-"));
    await ray.init({ address: "local", numCpus: WORKERS, isolation: isolationOf(parameters), objectStoreMemory: SMALL_STORE_BYTES, objectSpillingDirectory: folder });
    try {
      const last = await chainOf(parameters["steps"]!, {});
      await ray.memorySummary({ collectGarbage: true });
      const fillers = Array.from({ length: SMALL_STORE_BYTES / FILLER_BYTES }, () => ray.put(new Uint8Array(FILLER_BYTES)));
      const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name.endsWith(".spill"));
      if (files.length === 0) throw new Error("nothing went to disk");
      for (const { parentPath, name } of files) rmSync(join(parentPath, name));
      for (const filler of fillers) filler.release();
      return await recoveryMs(last);
    } finally {
      await ray.shutdown();
      rmSync(folder, { recursive: true });
    }
  },

  /** A node is killed; there is another one for the work. */
  lineageInCluster: async (_peer, parameters) => {
    await ray.shutdown();
    const worker = { numCpus: WORKERS, resources: { disk: 1 } };
    await using cluster = await startCluster({ nodes: [{ numCpus: 0 }, worker] });
    await ray.init({ address: cluster.address, isolation: isolationOf(parameters) });
    try {
      const onDisk = { resources: { disk: 0.1 } };
      const last = await chainOf(parameters["steps"]!, onDisk);
      const [, first] = cluster.nodes;
      await cluster.addNode(worker);
      await cluster.killNode(first!);
      return await recoveryMs(last);
    } finally {
      await ray.shutdown();
    }
  },
} as const satisfies Record<string, Workload>;
