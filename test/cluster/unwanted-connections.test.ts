import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { after, before, describe, it, mock } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { treeOf } from "../../bench/process-tree.ts";
import { eventually, ISOLATIONS, type WorkerIsolation } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram } from "../conformance/running-program.ts";

const FAULTS = "MANTARAY_TESTING_FAULTS";
const skip = process.platform === "linux" ? false : "counts what is open in /proc";

/** As a socket gives it, before the first frame: how many bytes the frame has. */
function withLength(byteLength: number, ...rest: Uint8Array[]): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(byteLength);
  return Buffer.concat([prefix, ...rest]);
}

/** The first bytes of a true handshake, and no more. */
const HALF_A_HANDSHAKE = withLength(60, Buffer.from("MRAY\x01"));

const GARBAGE: Readonly<Record<string, Buffer>> = {
  "random bytes": Buffer.concat([withLength(100), randomBytes(64 * 1024)]),
  "a request of the web": Buffer.from("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
  "a frame of 4 GiB": withLength(0xffff_fff0, randomBytes(1000)),
  "a goodbye": withLength(0xffff_ffff, Buffer.alloc(4)),
  "nothing at all": Buffer.alloc(0),
};

async function connected(address: string): Promise<Socket> {
  const socket = connect(Number(address.split(":")[1]), "127.0.0.1");
  // Whoever is refused may find the connection reset.
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

/** Ends of connections between these ports that a process still has: Linux gives them an inode as long. */
function isOpenAt(nodePort: number, ownPort: number): boolean {
  return ["tcp", "tcp6"].flatMap((table) => readFileSync(`/proc/net/${table}`, "utf8").trim().split("\n").slice(1)).some((line) => {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/);
    return [local, remote].map((end) => Number.parseInt(end!.split(":")[1]!, 16)).join() === `${nodePort},${ownPort}` && inode !== "0";
  });
}

/** TCP ports of this machine on which one of these processes, or a child of theirs, listens. */
function portsOf(pids: readonly number[]): number[] {
  const inodes = new Set(pids.flatMap(treeOf).flatMap((pid) => {
    try {
      return readdirSync(`/proc/${pid}/fd`).map((fd) => /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
    } catch {
      return []; // It has ended, or closed one of them.
    }
  }));
  const listening = readFileSync("/proc/net/tcp", "utf8").trim().split("\n").slice(1).map((line) => line.trim().split(/\s+/)).filter(([, , , state, , , , , , inode]) => state === "0A" && inodes.has(inode));
  return listening.map(([, local]) => Number.parseInt(local!.split(":")[1]!, 16));
}

const logOf = ({ sessionDir }: TestNode): string => readFileSync(join(sessionDir, "logs/node.log"), "utf8");

class Counter {
  #count = 0;
  next(): number { return ++this.#count; }
}

describe("a cluster", () => {
  let cluster: TestCluster;
  before(async () => { cluster = await startCluster({ nodes: [{ numCpus: 2 }, { numCpus: 1, resources: { far: 1 } }] }); });
  after(async () => {
    await endPrograms();
    await cluster.stop();
  });

  it("lets in nobody who sends garbage, notes it, and goes on", { skip }, async () => {
    await ray.init({ address: cluster.address });
    const far = ray.remote(() => "works").options({ resources: { far: 1 } });
    assert.equal(await ray.get(far.remote()), "works");
    const addresses = (await ray.nodes()).map(({ nodeId, address }) => [cluster.nodes.find((node) => node.nodeId === nodeId) as TestNode, address] as const);
    const ports: (readonly [node: number, own: number])[] = [];
    const opened = async (address: string): Promise<Socket> => {
      const socket = await connected(address);
      ports.push([socket.remotePort as number, socket.localPort as number]);
      return socket;
    };
    const halves = await Promise.all(addresses.map(([, address]) => opened(address)));
    for (const half of halves) half.write(HALF_A_HANDSHAKE);
    await eventually("those to be open", () => ports.every(([node, own]) => isOpenAt(node, own)));
    for (const [node, address] of addresses) {
      for (const [what, bytes] of Object.entries(GARBAGE)) {
        const refusedBefore = logOf(node).split("was not let in").length;
        const socket = await opened(address);
        const closed = new Promise<void>((resolve) => { socket.once("close", () => resolve()); });
        if (bytes.length === 0) socket.end();
        else socket.write(bytes);
        socket.resume();
        await closed;
        await eventually(`a note of ${what}`, () => logOf(node).split("was not let in").length > refusedBefore);
      }
    }
    assert.equal(await ray.get(far.remote()), "works");
    for (const half of halves) half.destroy();
    await eventually("nothing of it to be open", () => !ports.some(([node, own]) => isOpenAt(node, own)));
    assert.equal((await ray.nodes()).filter(({ alive }) => alive).length, 2);
    await ray.shutdown();
  });

  for (const isolation of ISOLATIONS) {
    it(`closes what garbage comes over, also where workers and objects are reached, and says nothing of it to programs (${isolation})`, { skip }, async () => {
      await ray.init({ address: cluster.address, isolation });
      const outputs = [process.stdout, process.stderr].map((stream) => mock.method(stream, "write"));
      try {
        class Holder {
          readonly large = ray.put(new Uint8Array(300_000).fill(5));
          async read(refs: readonly ray.ObjectRef<Uint8Array>[]): Promise<number> { return (await ray.get(refs[0]!))[7]!; }
        }
        const holder = ray.remote(Holder).options({ numCpus: 0, resources: { far: 0.5 } }).remote();
        const read = (): Promise<number> => ray.get(holder.read.remote([ray.put(new Uint8Array(300_000).fill(6))]));
        assert.equal(await read(), 6);
        const known = [...(await ray.nodes()).map(({ address }) => Number(address.split(":")[1]))];
        const others = portsOf(cluster.nodes.map(({ pid }) => pid)).filter((port) => !known.includes(port));
        assert.ok(others.length >= known.length + 1, `where objects are had of each node, and the worker: ${others.length} ports`);
        const halves = await Promise.all(others.map((port) => connected(`127.0.0.1:${port}`)));
        for (const half of halves) half.write(HALF_A_HANDSHAKE);
        await Promise.all(others.flatMap((port) => Object.values(GARBAGE).map(async (bytes) => {
          const socket = await connected(`127.0.0.1:${port}`);
          const closed = new Promise<void>((resolve) => { socket.once("close", () => resolve()); });
          if (bytes.length === 0) socket.end();
          else socket.write(bytes);
          socket.resume();
          await closed;
        })));
        assert.equal(await read(), 6);
        for (const half of halves) half.destroy();
        assert.equal((await ray.nodes()).filter(({ alive }) => alive).length, 2);
        await ray.kill(holder);
      } finally {
        for (const { mock: output } of outputs) output.restore();
        await ray.shutdown();
      }
      const said = outputs.flatMap(({ mock: output }) => output.calls.map((call) => String(call.arguments[0])));
      assert.deepEqual(said.filter((text) => /handshake|refused|not let in|\bport\b/.test(text)), []);
    });

    it(`has everything back of a program whose connection breaks, whichever message was its last (${isolation})`, async () => {
      // Another program goes on all the while.
      const other = startProgram(`
        await ray.init({ address: ${JSON.stringify(cluster.address)}, namespace: "cut", isolation: "${isolation}" });
        const far = ray.remote(() => "works").options({ resources: { far: 0.5 } });
        for (let name = await hear(); name !== null; name = await hear()) {
          const works = await ray.get(far.remote());
          const passingEnd = () => ray.getActor("passing " + name).then(() => null, (error) => error.name);
          let passing;
          while ((passing = await passingEnd()) === null) await new Promise((resolve) => setTimeout(resolve, 5));
          const lasting = await ray.getActor(name).then((actor) => ray.get(actor.next.remote()).finally(() => ray.kill(actor)), (error) => error.name);
          say([works, passing, lasting]);
        }
        const isFree = async () => JSON.stringify(await ray.availableResources()) === JSON.stringify(await ray.clusterResources());
        while (!(await isFree()) || !/^0 objects/m.test(await ray.memorySummary())) await new Promise((resolve) => setTimeout(resolve, 5));
        say("nothing is held");
      `);
      // Each program starts workers of its own, which takes longest: processes, and after fewer messages.
      const step = isolation === "thread" ? 1 : 4;
      const outcomes: string[] = [];
      for (let last = 1; outcomes.at(-1) !== "done"; last += step) {
        process.env[FAULTS] = `kind=*:drop=1:after=${last - 1}:times=1`;
        const name = `last-${last}`;
        const reached = await reachedBy(cluster.address, name, isolation).finally(() => { delete process.env[FAULTS]; });
        outcomes.push(reached);
        other.tell(name);
        const [works, passing, lasting] = await other.said();
        assert.deepEqual([works, passing], ["works", "ActorNotFoundError"], `after message ${last}`);
        // Its call may have come there, and the answer not.
        if (reached === "nothing") assert.ok(["ActorNotFoundError", 1, 2].includes(lasting), `${lasting} after message ${last}`);
        else assert.equal(lasting, 2, `after message ${last}: ${reached}`);
      }
      assert.ok(outcomes.length > 8 / step && outcomes.includes("nothing") && outcomes.includes("a detached actor"), String(outcomes));
      other.tell(null);
      assert.equal(await other.said(), "nothing is held");
      other.kill("SIGKILL");
      await other.ended;
    });
  }
});

/** How far a program comes that has one of everything that is held for it. */
async function reachedBy(address: string, name: string, isolation: WorkerIsolation): Promise<string> {
  let reached = "nothing";
  try {
    await ray.init({ address, namespace: "cut", isolation });
    const lasting = ray.remote(Counter).options({ name, lifetime: "detached", numCpus: 0 }).remote();
    assert.equal(await ray.get(lasting.next.remote()), 1);
    reached = "a detached actor";
    const passing = ray.remote(Counter).options({ name: `passing ${name}`, resources: { far: 0.1 } }).remote();
    const large = ray.put(new Uint8Array(200_000).fill(7));
    const nested = ray.remote(async (refs: readonly ray.ObjectRef<Uint8Array>[]) => (await ray.get(refs[0] as ray.ObjectRef<Uint8Array>))[5]).options({ resources: { far: 0.1 } });
    assert.deepEqual(await ray.get([nested.remote([large]), passing.next.remote()]), [7, 1]);
    reached = "done";
  } catch (error) {
    assert.ok(error instanceof ray.RuntimeStateError, String(error));
  } finally {
    await ray.shutdown();
  }
  return reached;
}
