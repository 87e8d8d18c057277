/** Tasks, calls and actors between nodes, each a process of its own on this machine, and what a bare socket does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import * as ray from "mantaray";
import { startCluster, type TestNodeOptions } from "mantaray/testing";
import { durationMs, perSecond } from "../measure.ts";
import { comesTrue } from "../sampling.ts";
import type { Parameters, Workload } from "./workload.ts";

const MS_PER_SECOND = 1_000;
const CALLS_BETWEEN_CLOCKS = 20;
const FREE_MS_MAX = 10_000;
const FREE_LOOK_EVERY_MS = 10;
/** About what an empty call takes on the wire. */
const MESSAGE_BYTES = 32;
/** Of the nodes that work is sent to; the program joins the head, which has none. */
const CPUS_ELSEWHERE = 2;

class Counter {
  #count = 0;

  increment(): number {
    return ++this.#count;
  }
}

/** Sends back what comes. */
const ECHO = `
  const server = require("node:net").createServer((socket) => socket.setNoDelay(true).on("data", (bytes) => socket.write(bytes)));
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

async function inCluster<T>({ processes }: Parameters, others: readonly TestNodeOptions[], use: () => Promise<T>): Promise<T> {
  await ray.shutdown();
  await using cluster = await startCluster({ nodes: [{ numCpus: 0 }, ...others] });
  await ray.init({ address: cluster.address, isolation: processes === 1 ? "process" : "thread" });
  try {
    return await use();
  } finally {
    await ray.shutdown();
  }
}

/** The rate of a trial, after another to warm up: both sides compile their code as they go. */
async function rate(trialMs: number, unitsPerCall: number, call: () => Promise<unknown>): Promise<{ perSecond: number }> {
  await perSecond(trialMs, call);
  return { perSecond: (await perSecond(trialMs, call)) * unitsPerCall };
}

function oneByOne(call: () => Promise<unknown>): () => Promise<void> {
  return async () => {
    for (let calls = 0; calls < CALLS_BETWEEN_CLOCKS; calls++) await call();
  };
}

export const CLUSTER_WORKLOADS = {
  /** `outstanding` 1: one at a time. */
  tasks: async (_peer, parameters) =>
    inCluster(parameters, [{ numCpus: CPUS_ELSEWHERE }], async () => {
      const { outstanding, trialMs } = parameters;
      const empty = ray.remote(() => {});
      if (outstanding === 1) return rate(trialMs!, CALLS_BETWEEN_CLOCKS, oneByOne(() => ray.get(empty.remote())));
      return rate(trialMs!, outstanding!, () => ray.get(Array.from({ length: outstanding! }, () => empty.remote())));
    }),

  calls: async (_peer, parameters) =>
    inCluster(parameters, [{ numCpus: CPUS_ELSEWHERE }], async () => {
      const { outstanding, trialMs } = parameters;
      const counter = ray.remote(Counter).options({ numCpus: 1 }).remote();
      if (outstanding === 1) return rate(trialMs!, CALLS_BETWEEN_CLOCKS, oneByOne(() => ray.get(counter.increment.remote())));
      return rate(trialMs!, outstanding!, () => ray.get(Array.from({ length: outstanding! }, () => counter.increment.remote())));
    }),

  /** A message there and one back between two processes, one at a time. */
  echo: async (_peer, { trialMs }) => {
    const server = spawn(process.execPath, ["-e", ECHO], { stdio: ["ignore", "pipe", "inherit"] });
    const socket = connect({ host: "127.0.0.1", port: Number(String(await once(server.stdout, "data"))) });
    try {
      socket.setNoDelay(true);
      let answered = (): void => {};
      socket.on("data", () => answered());
      const message = Buffer.alloc(MESSAGE_BYTES);
      const send = () =>
        new Promise<void>((resolve) => {
          answered = resolve;
          socket.write(message);
        });
      return await rate(trialMs!, CALLS_BETWEEN_CLOCKS, oneByOne(send));
    } finally {
      socket.destroy();
      server.kill("SIGKILL");
    }
  },

  /** All are asked for at once; done when every constructor has run. Their workers are there: each has run a task. */
  createActors: async (_peer, parameters) => {
    const { count, nodes } = parameters;
    const perNode = Math.ceil(count! / nodes!);
    return inCluster(parameters, Array.from({ length: nodes! }, () => ({ numCpus: perNode })), async () => {
      const hold = ray.remote(async function* () {
        yield;
        const { signal } = ray.getRuntimeContext();
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
      });
      const Counters = ray.remote(Counter).options({ numCpus: 1 });
      const held = Array.from({ length: count! }, () => hold.remote());
      await Promise.all(held.map((stream) => stream.next()));
      await Promise.all(held.map((stream) => ray.cancel(stream)));
      // Leases that nobody uses end after a while, and their processors are free then.
      const areFree = async (): Promise<boolean> => (await ray.availableResources())["CPU"] === perNode * nodes!;
      if (!(await comesTrue(FREE_MS_MAX, FREE_LOOK_EVERY_MS, areFree))) throw new Error("processors are still taken");
      const actors: ray.ActorHandle<Counter>[] = [];
      const elapsedMs = await durationMs(() => {
        for (let index = 0; index < count!; index++) actors.push(Counters.remote());
        return ray.get(actors.map((actor) => actor.ready()));
      });
      // They are there as long as their handles.
      for (const actor of actors) actor.release();
      return { perSecond: (count! * MS_PER_SECOND) / elapsedMs };
    });
  },
} as const satisfies Record<string, Workload>;
