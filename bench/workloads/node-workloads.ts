/** Large objects between nodes, each a process of its own on this machine, and what a bare socket does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { durationMs } from "../measure.ts";
import { runApart } from "../links.ts";
import type { Parameters, Workload } from "./workload.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const MS_PER_SECOND = 1_000;
/** As Mantaray does. */
export const SENDER_CHUNK_BYTES = 4 * 2 ** 20;
const LOOPBACK = "127.0.0.1";
const STORE_OBJECTS = 2.2;

/** Of each node, for one object of that size at a time. */
export function storeBytesFor(byteLength: number): number {
  return Math.ceil(STORE_OBJECTS * byteLength);
}

class Receiver {
  /** In a list, the ref itself arrives, and not its value. */
  async receive([ref]: readonly [ray.ObjectRef<Uint8Array>]): Promise<number> {
    return (await ray.get(ref)).at(-1)!;
  }
}

/** Writes as many bytes as it is told, to whoever connects there, from memory that was written to before. */
export const SENDER = `
  const [byteLength, chunkBytes] = process.argv.slice(1, 3).map(Number);
  const bytes = Buffer.alloc(byteLength, 1);
  const server = require("node:net").createServer((socket) => {
    let offset = 0;
    const write = () => {
      if (offset < byteLength) socket.write(bytes.subarray(offset, offset += chunkBytes), write);
    };
    write();
    write();
  });
  server.listen(0, process.argv[3], () => console.log(server.address().port));
`;

export function receiveInPlace(port: number, target: Uint8Array, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let offset = 0;
    const spare = new Uint8Array(1);
    const socket = connect({
      port, host,
      onread: {
        buffer: () => (offset < target.byteLength ? target.subarray(offset, Math.min(target.byteLength, offset + SENDER_CHUNK_BYTES)) : spare),
        callback: (byteLength: number) => {
          offset += byteLength;
          if (offset === target.byteLength) {
            socket.destroy();
            resolve();
          }
          return true;
        },
      },
    });
    socket.on("error", reject);
  });
}

export interface Times {
  /** In milliseconds, to all receivers at once. */
  readonly toAll: readonly number[];
  /** To one of them alone, by turns with the former. */
  readonly toOne: readonly number[];
  /** Of the time of all processors of the machine that it took to all, in percent, whoever had it. */
  readonly busyPercent: readonly number[];
}

function idleMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.idle, 0);
}

/** `send` resolves when so many of the receivers have it, and is preceded by `prepare`. */
export async function timesOf(times: number, receivers: number, send: (count: number) => Promise<unknown>, prepare: () => Promise<unknown> = () => Promise.resolve()): Promise<Times> {
  const toAll: number[] = [];
  const toOne: number[] = [];
  const busyPercent: number[] = [];
  for (let time = 0; time < times; time++) {
    await prepare();
    const idleBeforeMs = idleMs();
    const elapsedMs = await durationMs(() => send(receivers));
    toAll.push(elapsedMs);
    busyPercent.push(100 * (1 - (idleMs() - idleBeforeMs) / (elapsedMs * cpus().length)));
    if (receivers > 1) await prepare();
    toOne.push(receivers === 1 ? elapsedMs : await durationMs(() => send(1)));
  }
  return { toAll, toOne, busyPercent };
}

/** From the node that this process joins to as many as have a resource `receiver0` and so on. */
export async function timesInCluster(address: string, byteLength: number, receivers: number, times: number): Promise<Times> {
  await ray.init({ address, isolation: "process" });
  const actors = Array.from({ length: receivers }, (_, index) => ray.remote(Receiver).options({ numCpus: 0, resources: { [`receiver${index}`]: 1 } }).remote());
  const value = new Uint8Array(byteLength).fill(1);
  let ref = ray.put(value);
  const send = (count: number): Promise<unknown> => ray.get(actors.slice(0, count).map((actor) => actor.receive.remote([ref])));
  // The first time memory is touched that was never used before.
  await send(receivers);
  const figures = await timesOf(times, receivers, send, async () => {
    ref.release();
    // The views of the receivers go, so that the next copy comes to the same memory.
    await ray.memorySummary({ collectGarbage: true });
    ref = ray.put(value);
  });
  await ray.shutdown();
  return figures;
}

/** The best of all. */
function figuresOf(byteLength: number, { toAll, toOne, busyPercent }: Times): { gibPerSecond: number; mibPerSecond: number; timesOfOne: number; busyPercent: number } {
  const fastest = Math.min(...toAll);
  const perSecond = (byteLength * MS_PER_SECOND) / fastest;
  return { gibPerSecond: perSecond / GIB, mibPerSecond: perSecond / MIB, timesOfOne: fastest / Math.min(...toOne), busyPercent: Math.min(...busyPercent) };
}

async function overLinks(who: "cluster" | "sockets", { byteLength, receivers, times, megabitsPerSecond }: Parameters): Promise<ReturnType<typeof figuresOf>> {
  const program = fileURLToPath(new URL("over-links.js", import.meta.url));
  return figuresOf(byteLength!, JSON.parse(await runApart([process.execPath, program, who, ...[byteLength, receivers, times, megabitsPerSecond].map(String)])) as Times);
}

export const NODE_WORKLOADS = {
  /** To one receiver or to several at once, `times` each. */
  transfer: async (_peer, { byteLength, receivers, times }) => {
    await ray.shutdown();
    const objectStoreMemory = storeBytesFor(byteLength!);
    const nodes = Array.from({ length: receivers! }, (_, index) => ({ objectStoreMemory, resources: { [`receiver${index}`]: 1 } }));
    await using cluster = await startCluster({ nodes: [{ objectStoreMemory }, ...nodes] });
    return figuresOf(byteLength!, await timesInCluster(cluster.address, byteLength!, receivers!, times!));
  },

  /** The same bytes from one process through sockets of Node into this one. */
  copyOverTcp: async (_peer, { byteLength, receivers, times }) => {
    const sender = spawn(process.execPath, ["-e", SENDER, String(byteLength), String(SENDER_CHUNK_BYTES), LOOPBACK], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const port = Number(String(await once(sender.stdout, "data")));
      const targets = Array.from({ length: receivers! }, () => new Uint8Array(byteLength!).fill(2));
      const send = (count: number): Promise<unknown> => Promise.all(targets.slice(0, count).map((target) => receiveInPlace(port, target, LOOPBACK)));
      return figuresOf(byteLength!, await timesOf(times!, receivers!, send));
    } finally {
      sender.kill("SIGKILL");
    }
  },

  /** The same two between machines, as far as their network goes: each is at the end of a link of a limited rate. */
  transferOverLinks: (_peer, parameters) => overLinks("cluster", parameters),
  copyOverLinks: (_peer, parameters) => overLinks("sockets", parameters),
} as const satisfies Record<string, Workload>;
