// On nodes of a cluster, where the GCS decides where actors go; see also test/conformance/waiting-actors.test.ts.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";
import { everythingFree, ISOLATIONS } from "../conformance/both-isolations.ts";
import { endPrograms, startProgram } from "../conformance/running-program.ts";

const work = ray.remote(async function work() { await new Promise((resolve) => setTimeout(resolve, 20)); });

/** In a program on a cluster of its own, whose tasks keep all processors busy. */
function whileBusy(where: string, nodes: readonly { numCpus: number }[], what: string, test: (cluster: TestCluster, isolation: string, stopWork: () => Promise<unknown>) => Promise<void>): void {
  for (const isolation of ISOLATIONS) {
    describe(`on ${where} that one program keeps busy (${isolation})`, () => {
      let cluster: TestCluster;
      before(async () => {
        cluster = await startCluster({ nodes: [...nodes] });
        await ray.init({ address: cluster.address, isolation });
      });
      afterEach(() => endPrograms());
      after(async () => {
        await everythingFree();
        await ray.shutdown();
        await cluster.stop();
      });

      it(what, async () => {
        const over = new AbortController();
        const loops = Array.from({ length: 4 }, async () => {
          while (!over.signal.aborted) await ray.get(Array.from({ length: 4 }, () => work.remote()));
        });
        const stopWork = (): Promise<unknown> => {
          over.abort();
          return Promise.all(loops);
        };
        try {
          await ray.get(work.remote());
          await test(cluster, isolation, stopWork);
        } finally {
          await stopWork();
        }
      });
    });
  }
}

whileBusy("a node", [{ numCpus: 2 }], "the actor of another one starts, and goes to a node that comes meanwhile if that has what it needs", async (cluster, isolation, stopWork) => {
  const program = startProgram(`
    await ray.init({ address: ${JSON.stringify(cluster.address)}, isolation: ${JSON.stringify(isolation)} });
    class Place { where() { return ray.getRuntimeContext().nodeId; } }
    const Remote = ray.remote(Place);
    const first = Remote.options({ numCpus: 1 }).remote();
    say(await ray.get(first.where.remote()));
    const all = Remote.options({ numCpus: 2 }).remote();
    say("asked");
    say(await ray.get(all.where.remote()));
  `);
  const [node] = cluster.nodes;
  assert.equal(await program.said(), node!.nodeId);
  assert.equal(await program.said(), "asked");
  // The first actor holds one processor of that node, so two are never free there: it may queue there, and must not stay.
  const another = await cluster.addNode({ numCpus: 2, labels: { late: "yes" } });
  await stopWork();
  assert.equal(await program.said(), another.nodeId);
  endPrograms();
});

whileBusy("two nodes", [{ numCpus: 1 }, { numCpus: 1 }], "two actors of another one start, one at each: the second does not stay where the first one has the processor for good", async (cluster, isolation) => {
  const program = startProgram(`
    await ray.init({ address: ${JSON.stringify(cluster.address)}, isolation: ${JSON.stringify(isolation)} });
    class Place { where() { return ray.getRuntimeContext().nodeId; } }
    const Remote = ray.remote(Place).options({ numCpus: 1 });
    const first = Remote.remote();
    say(await ray.get(first.where.remote()));
    const second = Remote.remote();
    say(await ray.get(second.where.remote()));
  `);
  const where = [await program.said(), await program.said()];
  assert.deepEqual(where.sort(), cluster.nodes.map(({ nodeId }) => nodeId).sort());
  endPrograms();
});
