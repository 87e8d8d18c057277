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

    it("gets a result or an error of everything that was on its way, and goes on", async () => {
      class Counter {
        #count = 0;
        add(): number { return ++this.#count; }
        never(): Promise<number> { return new Promise(() => {}); }
      }
      const lasting = ray.remote(Counter).options(FAR).remote();
      const restarting = ray.remote(Counter).options({ ...FAR, maxRestarts: 1 }).remote();
      assert.deepEqual(await ray.get([lasting.add.remote(), restarting.add.remote()]), [1, 1]);
      const calls = [lasting.never.remote(), restarting.never.remote()];
      const mayNotRunAgain = ray.remote(() => new Promise<number>(() => {})).options({ ...FAR, maxRetries: 0 }).remote();
      class Runs {
        #count = 0;
        begin(): number { return ++this.#count; }
        count(): number { return this.#count; }
      }
      const runs = ray.remote(Runs).options({ numCpus: 0 }).remote();
      const runsAgain = ray.remote(async (all: ray.ActorHandle<Runs>) => ((await ray.get(all.begin.remote())) > 1 ? "again" : new Promise<string>(() => {}))).options({ ...FAR, maxRetries: 1 }).remote(runs);
      await eventually("it to begin", async () => (await ray.get(runs.count.remote())) === 1);
      await eventually("all connections to be there", () => sockets.size > 0);
      assert.ok(cutConnections() > 0);
      await assert.rejects(ray.get(calls[0]!), ray.ActorDiedError);
      await assert.rejects(ray.get(calls[1]!), ray.ActorUnavailableError);
      await assert.rejects(ray.get(mayNotRunAgain), ray.WorkerCrashedError);
      assert.equal(await ray.get(runsAgain), "again");
      assert.equal(await ray.get(restarting.add.remote()), 1, "it has started again");
      await ray.kill(restarting);
      assert.equal((await ray.nodes()).filter(({ alive }) => alive).length, 2);
    });
  });
}
