import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { ISOLATIONS } from "../conformance/both-isolations.ts";

const LENGTH = 2_000_000;
const ON_LEFT = { numCpus: 0, resources: { left: 0.5 } };
/** They need the only processor there. */
const ON_RIGHT = { numCpus: 1, resources: { right: 0.01 } };

const make = ray.remote((seed: number, length: number): Float64Array => new Float64Array(length).fill(seed));
const sum = ray.remote((...arrays: readonly Float64Array[]): number => arrays.reduce((total, array) => total + array.reduce((a, b) => a + b, 0), 0));

async function start(isolation: ray.Isolation): Promise<{ cluster: TestCluster; left: TestNode }> {
  const memory = { objectStoreMemory: 128 * 1024 ** 2 };
  const cluster = await startCluster({ nodes: [{ numCpus: 1, ...memory }, { numCpus: 1, resources: { left: 1 }, ...memory }, { numCpus: 1, resources: { right: 1 }, labels: { side: "right" }, objectStoreMemory: 64 * 1024 ** 2 }] });
  await ray.init({ address: cluster.address, isolation });
  const leftId = (await ray.nodes()).find(({ resources }) => resources["left"] === 1)?.nodeId;
  return { cluster, left: cluster.nodes.find(({ nodeId }) => nodeId === leftId) as TestNode };
}

for (const isolation of ISOLATIONS) {
  describe(`large arguments on other nodes (${isolation})`, () => {
    let cluster: TestCluster;
    let left: TestNode;
    before(async () => ({ cluster, left } = await start(isolation)));
    after(async () => {
      await ray.shutdown();
      await cluster.stop();
    });

    it("take no processor while they are on their way", async () => {
      const ping = ray.remote(() => "here").options(ON_RIGHT);
      assert.equal(await ray.get(ping.remote()), "here", "a worker is there");
      const array = make.options(ON_LEFT).remote(2, LENGTH);
      await ray.wait([array], { fetchLocal: false });
      process.kill(left.pid, "SIGSTOP");
      try {
        const waiting = sum.options(ON_RIGHT).remote(array);
        for (let count = 0; count < 20; count++) assert.equal(await ray.get(ping.remote()), "here");
        assert.deepEqual(await ray.wait([waiting], { timeoutMs: 0 }), [[], [waiting]]);
        process.kill(left.pid, "SIGCONT");
        assert.equal(await ray.get(waiting), 2 * LENGTH);
      } finally {
        process.kill(left.pid, "SIGCONT");
      }
    });

    it("keep nobody waiting who does not want to: get() ends in time, or when it is aborted, also for many", async () => {
      const arrays = [2, 3].map((seed) => make.options(ON_LEFT).remote(seed, LENGTH));
      await ray.wait(arrays, { numReturns: 2, fetchLocal: false });
      const reader = ray.remote(async (box: { readonly ref: ray.ObjectRef<Float64Array> }) => ray.get(box.ref, { timeoutMs: 50 }).then(({ length }) => length, (error: Error) => error.name));
      process.kill(left.pid, "SIGSTOP");
      try {
        await assert.rejects(ray.get(arrays[0]!, { timeoutMs: 50 }), ray.GetTimeoutError);
        await assert.rejects(ray.get(arrays, { timeoutMs: 50 }), /gave up after 50 ms: 2 of 2 objects/);
        await assert.rejects(ray.get(arrays, { signal: AbortSignal.timeout(50) }), { name: "TimeoutError" });
        assert.equal(await ray.get(reader.options({ resources: { right: 0.01 } }).remote({ ref: arrays[0]! })), "GetTimeoutError");
      } finally {
        process.kill(left.pid, "SIGCONT");
      }
      assert.deepEqual((await ray.get(arrays)).map((array) => array[LENGTH - 1]), [2, 3]);
    });

    it("of many tasks pass through a node that holds a few of them", async () => {
      const seeds = Array.from({ length: 20 }, (_, index) => index + 1);
      const sums = seeds.map((seed) => sum.options(ON_RIGHT).remote(make.options(ON_LEFT).remote(seed, LENGTH), ray.put(new Float64Array(300_000).fill(seed))));
      assert.deepEqual(await ray.get(sums), seeds.map((seed) => seed * (LENGTH + 300_000)));
    });

    it("reach tasks wherever these are told to run", async () => {
      const array = make.options(ON_LEFT).remote(5, LENGTH);
      const right = (await ray.nodes()).find(({ resources }) => resources["right"] === 1)!.nodeId;
      const group = ray.placementGroup([{ CPU: 1 }, { CPU: 1 }], { strategy: "STRICT_SPREAD" });
      await ray.get(group.ready());
      const wheres: ray.TaskOptions[] = [
        { schedulingStrategy: "SPREAD", numCpus: 0 }, { schedulingStrategy: { type: "nodeAffinity", nodeId: right, soft: false }, numCpus: 0 }, { labelSelector: { side: "right" }, numCpus: 0 },
        ...[0, 1].map((bundleIndex): ray.TaskOptions => ({ schedulingStrategy: { type: "placementGroup", placementGroup: group, bundleIndex } })),
      ];
      const own = ray.put(new Float64Array(300_000).fill(1));
      assert.deepEqual(await ray.get(wheres.map((where) => sum.options(where).remote(array, own))), wheres.map(() => 5 * LENGTH + 300_000));
      await ray.removePlacementGroup(group);
    });

    it("that are larger than the node's store fail the task with what is wrong", async () => {
      const array = make.options(ON_LEFT).remote(1, 10_000_000);
      await assert.rejects(ray.get(sum.options({ ...ON_RIGHT, maxRetries: 0 }).remote(array)), (error: Error) => error instanceof ray.ObjectStoreFullError || error.cause instanceof ray.ObjectStoreFullError);
    });

    it("of one task and another may be the same; cancelled tasks need them no more", async () => {
      const array = make.options(ON_LEFT).remote(3, LENGTH);
      const sums = Array.from({ length: 40 }, () => sum.options(ON_RIGHT).remote(array, array));
      for (const ref of sums.slice(20)) await ray.cancel(ref);
      assert.deepEqual(await ray.get(sums.slice(0, 20)), new Array(20).fill(6 * LENGTH));
      for (const ref of sums.slice(20)) await ray.get(ref).catch((error: unknown) => assert.ok(error instanceof ray.TaskCancelledError));
    });

    it("that are lost with their node are what the task fails with", async () => {
      const array = make.options({ ...ON_LEFT, maxRetries: 0 }).remote(3, LENGTH);
      await ray.wait([array], { fetchLocal: false });
      process.kill(left.pid, "SIGSTOP");
      const waiting = sum.options({ ...ON_RIGHT, maxRetries: 0 }).remote(array);
      await cluster.killNode(left);
      await assert.rejects(ray.get(waiting), (error: Error) => error instanceof ray.ObjectLostError || error.cause instanceof ray.ObjectLostError);
    });
  });
}
