import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";
import { eventually, everythingFree, ISOLATIONS } from "../conformance/both-isolations.ts";

const FAR = { numCpus: 0, resources: { far: 1 } };

/** The connections that this program has opened over the network: those with workers of other nodes. */
const sockets = new Set<Socket>();
const opened = (message: unknown): void => {
  const { socket } = message as { readonly socket: Socket };
  socket.once("connect", () => { if (socket.remotePort !== undefined) sockets.add(socket); });
};
before(() => subscribe("net.client.socket", opened));
after(() => unsubscribe("net.client.socket", opened));

/** As a network does that fails: nobody says goodbye. */
function cutConnections(): number {
  const count = sockets.size;
  for (const socket of sockets) socket.resetAndDestroy();
  sockets.clear();
  return count;
}

for (const isolation of ISOLATIONS) {
  describe(`a program whose connections with workers of another node break, while all live (${isolation})`, () => {
    let cluster: TestCluster;
    beforeEach(async () => {
      cluster = await startCluster({ nodes: [{ numCpus: 1 }, { numCpus: 2, resources: { far: 8 } }] });
      await ray.init({ address: cluster.address, isolation });
    });
    afterEach(async () => {
      await everythingFree();
      await ray.shutdown();
      await cluster.stop();
    });

    it("loses no call, no result and nobody, and goes on", async () => {
      class Counter {
        #count = 0;
        add(): number { return ++this.#count; }
        async wait(all: ray.ActorHandle<Signal>): Promise<number> { return ray.get(all.pass.remote()); }
      }
      class Signal {
        #passed = 0;
        #open: () => void = () => undefined;
        readonly #opened = new Promise<void>((resolve) => { this.#open = resolve; });
        async pass(): Promise<number> {
          const passed = ++this.#passed;
          await this.#opened;
          return passed;
        }
        passed(): number { return this.#passed; }
        open(): void { this.#open(); }
      }
      // Neither may restart or run again: whatever is lost would show.
      const counter = ray.remote(Counter).options(FAR).remote();
      const signal = ray.remote(Signal).options({ numCpus: 0, maxConcurrency: 10 }).remote();
      const held = ray.remote(async (all: ray.ActorHandle<Signal>) => ray.get(all.pass.remote())).options({ ...FAR, maxRetries: 0 }).remote(signal);
      const waiting = counter.wait.remote(signal);
      await eventually("both to begin", async () => (await ray.get(signal.passed.remote())) === 2);
      const calls: ray.ObjectRef<number>[] = [];
      const echoes: ray.ObjectRef<number>[] = [];
      const echo = ray.remote((value: number) => value).options({ ...FAR, maxRetries: 0 });
      let cuts = 0;
      for (let round = 0; round < 10; round++) {
        for (let call = 0; call < 50; call++) calls.push(counter.add.remote());
        for (let task = 0; task < 10; task++) echoes.push(echo.remote(round * 10 + task));
        // While they are on their way, before the answers are here, and when nothing is.
        if (round % 3 > 0) await ray.get(calls.at(-round)!);
        cuts += cutConnections();
        if (round % 3 === 2) await ray.get([calls.at(-1)!, echoes.at(-1)!]);
      }
      assert.ok(cuts >= 10, `${cuts} cuts`);
      await ray.get(signal.open.remote());
      assert.deepEqual(await ray.get(calls), Array.from({ length: 500 }, (_, index) => index + 1));
      assert.deepEqual(await ray.get(echoes), Array.from({ length: 100 }, (_, index) => index));
      assert.deepEqual((await ray.get([held, waiting])).sort(), [1, 2]);
      await ray.kill(counter);
      await ray.kill(signal);
      assert.equal((await ray.nodes()).filter(({ alive }) => alive).length, 2);
    });
  });
}
