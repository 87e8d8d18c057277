import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { everythingFree, eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const inGroup = (placementGroup: ray.PlacementGroup, bundleIndex = -1, captureChildTasks = false) => ({ schedulingStrategy: { type: "placementGroup" as const, placementGroup, bundleIndex, captureChildTasks } });
const nodesOf = async (group: ray.PlacementGroup): Promise<readonly (string | undefined)[]> => (await ray.placementGroupTable(group)).bundlesToNodeId;

for (const isolation of ISOLATIONS) {
  describe(`placement groups on three nodes (${isolation})`, () => {
    let cluster: TestCluster;
    before(async () => {
      cluster = await startCluster({ nodes: [{ numCpus: 2 }, { numCpus: 2 }, { numCpus: 2 }] });
      await ray.init({ address: cluster.address, isolation });
    });
    after(async () => {
      await everythingFree();
      await ray.shutdown();
      await cluster.stop();
    });
    const where = ray.remote(function where() { return ray.getRuntimeContext().nodeId; });
    class Place {
      node() { return ray.getRuntimeContext().nodeId; }
    }
    const ActorPlace = ray.remote(Place, { numCpus: 1, maxRestarts: -1, maxTaskRetries: -1 });

    it("lie on nodes as their strategy says", async () => {
      for (const [strategy, count] of [["PACK", 1], ["STRICT_PACK", 1], ["SPREAD", 2], ["STRICT_SPREAD", 2]] as const) {
        const group = ray.placementGroup([{ CPU: 1 }, { CPU: 1 }], { strategy });
        await ray.get(group.ready());
        const { size } = new Set(await nodesOf(group));
        await ray.removePlacementGroup(group);
        assert.equal(size, count, strategy);
      }
    });

    it("count as taken as soon as they are there, and as free as soon as they are removed", async () => {
      const slow = ray.remote(async function slow() { await new Promise(() => setInterval(() => undefined, 1_000)); }, { maxRetries: -1 });
      for (let round = 0; round < 10; round++) {
        const group = ray.placementGroup([{ CPU: 2 }, { CPU: 1 }], { strategy: "STRICT_SPREAD" });
        await ray.get(group.ready());
        assert.equal((await ray.availableResources()).CPU, 3, `round ${round}`);
        slow.options(inGroup(group, round % 2)).remote();
        await ray.removePlacementGroup(group);
        assert.equal((await ray.availableResources()).CPU, 6, `round ${round}`);
      }
    });

    it("bring tasks and actors to the nodes of their bundles, and end them wherever they are", async () => {
      const group = ray.placementGroup([{ CPU: 2 }, { CPU: 2 }, { CPU: 2 }], { strategy: "STRICT_SPREAD" });
      await ray.get(group.ready());
      const nodes = await nodesOf(group);
      assert.equal(new Set(nodes).size, 3);
      assert.deepEqual(await ray.get([0, 1, 2].map((index) => where.options(inGroup(group, index)).remote())), nodes);
      const anywhere = await ray.get(Array.from({ length: 12 }, () => where.options({ ...inGroup(group), numCpus: 2 }).remote()));
      for (const node of anywhere) assert.ok(nodes.includes(node));
      const actors = [0, 1, 2].map((index) => ActorPlace.options(inGroup(group, index)).remote());
      assert.deepEqual(await ray.get(actors.map((actor) => actor.node.remote())), nodes);
      const captured = ray.remote(async function captured() { return [ray.getRuntimeContext().nodeId, ...await ray.get([where.remote(), where.remote()])]; });
      for (const node of await ray.get(captured.options(inGroup(group, 1, true)).remote())) assert.ok(nodes.includes(node));
      const code = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "no error", (error: { code: unknown }) => error.code);
      const forever = ray.remote(async function forever() { await new Promise(() => setInterval(() => undefined, 1_000)); }, { maxRetries: -1 });
      const running = [0, 1, 2].map((index) => forever.options(inGroup(group, index)).remote());
      await ray.removePlacementGroup(group);
      const ended = await Promise.all([...running.map((ref) => code(ray.get(ref))), ...actors.map((actor) => code(ray.get(actor.node.remote())))]);
      assert.deepEqual(new Set(ended), new Set(["ERR_MANTARAY_PLACEMENT_GROUP_REMOVED"]));
    });

    it("wait for each other, and none holds a part while it waits", async () => {
      const groups = Array.from({ length: 8 }, () => ray.placementGroup([{ CPU: 1 }, { CPU: 1 }, { CPU: 1 }], { strategy: "STRICT_SPREAD" }));
      const use = groups.map(async (group) => {
        await ray.get(group.ready());
        const nodes = await ray.get([0, 1, 2].map((index) => where.options(inGroup(group, index)).remote()));
        await ray.removePlacementGroup(group);
        return new Set(nodes).size;
      });
      assert.deepEqual(await Promise.all(use), groups.map(() => 3));
    });

    it("move the bundles of a node that dies, with what runs in them, and leave the others", async () => {
      const extra: TestNode = await cluster.addNode({ numCpus: 2, resources: { spare: 1 } });
      const group = ray.placementGroup([{ CPU: 1 }, { CPU: 1, spare: 1 }], { strategy: "SPREAD" });
      await ray.get(group.ready());
      const [first, second] = await nodesOf(group);
      assert.equal(second, extra.nodeId);
      const [stays, moves] = [0, 1].map((index) => ActorPlace.options(inGroup(group, index)).remote()) as [ray.ActorHandle<Place>, ray.ActorHandle<Place>];
      assert.deepEqual(await ray.get([stays.node.remote(), moves.node.remote()]), [first, second]);
      await cluster.killNode(extra);
      await eventually("the bundle to look for a place", async () => (await ray.placementGroupTable(group)).state === "RESCHEDULING");
      assert.equal(await ray.get(stays.node.remote()), first);
      const waiting = where.options({ ...inGroup(group, 1), numCpus: 0 }).remote();
      const next = await cluster.addNode({ numCpus: 2, resources: { spare: 1 } });
      assert.equal(await ray.get(moves.node.remote()), next.nodeId);
      assert.equal(await ray.get(waiting), next.nodeId);
      assert.deepEqual(await nodesOf(group), [first, next.nodeId]);
      await ray.removePlacementGroup(group);
      await cluster.removeNode(next);
    });
  });
}
