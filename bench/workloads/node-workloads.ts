/** Large objects between nodes, each a process of its own on this machine, and what a bare socket does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import * as ray from "mantaray";
import { startCluster } from "mantaray/testing";
import { durationMs } from "../measure.ts";
import type { Workload } from "./workload.ts";

const GIB = 2 ** 30;
const MS_PER_SECOND = 1_000;
/** As Mantaray does. */
const CHUNK_BYTES = 4 * 2 ** 20;
const STORE_OBJECTS = 2.2;

class Receiver {
  /** In a list, the ref itself arrives, and not its value. */
  async receive([ref]: readonly [ray.ObjectRef<Uint8Array>]): Promise<number> {
    return (await ray.get(ref)).at(-1)!;
  }
}

/** Writes as many bytes as it is told, to whoever connects, from memory that was written to before. */
const SENDER = `
  const [byteLength, chunkBytes] = process.argv.slice(1).map(Number);
  const bytes = Buffer.alloc(byteLength, 1);
  const server = require("node:net").createServer((socket) => {
    let offset = 0;
    const write = () => {
      if (offset < byteLength) socket.write(bytes.subarray(offset, offset += chunkBytes), write);
    };
    write();
    write();
  });
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

function receiveInPlace(port: number, target: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    let offset = 0;
    const spare = new Uint8Array(1);
    const socket = connect({
      port, host: "127.0.0.1",
      onread: {
        buffer: () => (offset < target.byteLength ? target.subarray(offset, Math.min(target.byteLength, offset + CHUNK_BYTES)) : spare),
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

interface Times {
  /** In milliseconds, to all receivers at once. */
  readonly toAll: readonly number[];
  /** To one of them alone, by turns with the former. */
  readonly toOne: readonly number[];
}

/** The best of all. */
function figuresOf(byteLength: number, { toAll, toOne }: Times): { gibPerSecond: number; timesOfOne: number } {
  const fastest = Math.min(...toAll);
  return { gibPerSecond: (byteLength * MS_PER_SECOND) / GIB / fastest, timesOfOne: fastest / Math.min(...toOne) };
}

export const NODE_WORKLOADS = {
  /** To one receiver or to several at once, `times` each. */
  transfer: async (_peer, { byteLength, receivers, times }) => {
    await ray.shutdown();
    const objectStoreMemory = Math.ceil(STORE_OBJECTS * byteLength!);
    const nodes = Array.from({ length: receivers! }, (_, index) => ({ objectStoreMemory, resources: { [`receiver${index}`]: 1 } }));
    await using cluster = await startCluster({ nodes: [{ objectStoreMemory }, ...nodes] });
    await ray.init({ address: cluster.address, isolation: "process" });
    const actors = nodes.map((_, index) => ray.remote(Receiver).options({ numCpus: 0, resources: { [`receiver${index}`]: 1 } }).remote());
    const value = new Uint8Array(byteLength!).fill(1);
    const millisecondsTo = async (some: typeof actors): Promise<number> => {
      const ref = ray.put(value);
      const elapsedMs = await durationMs(() => ray.get(some.map((actor) => actor.receive.remote([ref]))));
      ref.release();
      // The views of the receivers go, so that the next copy comes to the same memory.
      await ray.memorySummary({ collectGarbage: true });
      return elapsedMs;
    };
    // The first time memory is touched that was never used before.
    await millisecondsTo(actors);
    const toAll: number[] = [];
    const toOne: number[] = [];
    for (let time = 0; time < times!; time++) {
      toAll.push(await millisecondsTo(actors));
      toOne.push(receivers === 1 ? toAll.at(-1)! : await millisecondsTo(actors.slice(0, 1)));
    }
    await ray.shutdown();
    return figuresOf(byteLength!, { toAll, toOne });
  },

  /** The same bytes from one process through sockets of Node into this one. */
  copyOverTcp: async (_peer, { byteLength, receivers, times }) => {
    const sender = spawn(process.execPath, ["-e", SENDER, String(byteLength), String(CHUNK_BYTES)], { stdio: ["ignore", "pipe", "inherit"] });
    try {
      const port = Number(String(await once(sender.stdout, "data")));
      const targets = Array.from({ length: receivers! }, () => new Uint8Array(byteLength!).fill(2));
      const millisecondsTo = (some: typeof targets): Promise<number> => durationMs(() => Promise.all(some.map((target) => receiveInPlace(port, target))));
      const toAll: number[] = [];
      const toOne: number[] = [];
      for (let time = 0; time < times!; time++) {
        toAll.push(await millisecondsTo(targets));
        toOne.push(receivers === 1 ? toAll.at(-1)! : await millisecondsTo(targets.slice(0, 1)));
      }
      return figuresOf(byteLength!, { toAll, toOne });
    } finally {
      sender.kill("SIGKILL");
    }
  },
} as const satisfies Record<string, Workload>;
