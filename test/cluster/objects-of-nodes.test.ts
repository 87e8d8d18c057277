import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { eventually, everythingFree, ISOLATIONS } from "../conformance/both-isolations.ts";

const LENGTH = 2_000_000;
const OBJECT_BYTES = 8 * LENGTH;
const ON_LEFT = { numCpus: 0, resources: { left: 0.01 } };
const ON_RIGHT = { numCpus: 0, resources: { right: 0.01 } };

/** 16 MB, no two parts of which are alike. */
const make = ray.remote((seed: number, length: number): Float64Array => Float64Array.from({ length }, (_, index) => index * seed));
const sum = ray.remote((...arrays: readonly Float64Array[]): number => arrays.reduce((total, array) => total + array.reduce((a, b) => a + b, 0), 0));
const sumOf = (seed: number, length: number): number => (seed * length * (length - 1)) / 2;

const MEMORY = { objectStoreMemory: 128 * 1024 ** 2 };
const LEFT = { numCpus: 1, resources: { left: 1 }, ...MEMORY };

let cluster: TestCluster;
before(async () => { cluster = await startCluster({ nodes: [{ numCpus: 2, ...MEMORY }, LEFT, { numCpus: 1, resources: { right: 1 }, ...MEMORY }] }); });
after(() => cluster.stop());

async function leftNode(): Promise<TestNode> {
  const info = (await ray.nodes()).find(({ alive, resources }) => alive && resources["left"] === 1);
  return cluster.nodes.find(({ nodeId }) => nodeId === info?.nodeId) as TestNode;
}

/** On the program's node. */
async function bytesUsed(): Promise<number> {
  return (await ray.listObjects()).store.usedBytes;
}

async function untilNothingIsLeft(): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const summary = await ray.memorySummary({ collectGarbage: true });
    if (/^0 objects/m.test(summary)) return;
    assert.ok(attempt < 200, summary);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const isolation of ISOLATIONS) {
  describe(`large objects in a cluster (${isolation})`, () => {
    beforeEach(async () => {
      await ray.init({ address: cluster.address, isolation });
      // Also of what the program before had.
      await everythingFree();
    });
    afterEach(() => ray.shutdown());

    it("bring the tasks to them that read them, while there is room, and come ahead of who waits for them", async () => {
      // What the program before had goes first: the bytes are counted.
      await eventually("the store to be empty", async () => (await bytesUsed()) < OBJECT_BYTES);
      const where = ray.remote((...arrays: readonly Float64Array[]): string => `${ray.getRuntimeContext().nodeId} ${arrays.length}`);
      const head = cluster.nodes[0]?.nodeId;
      const { nodeId: left } = await leftNode();
      const onLeft = make.options(ON_LEFT).remote(3, LENGTH);
      await ray.wait([onLeft], { fetchLocal: false });
      assert.equal(await ray.get(where.remote(onLeft)), `${left} 1`);
      const own = [ray.put(new Float64Array(LENGTH)), ray.put(new Float64Array(LENGTH))] as const;
      assert.equal(await ray.get(where.remote(onLeft, ...own)), `${head} 3`, "most of it is at home");
      assert.equal(await ray.get(where.remote()), `${head} 0`);

      const soon = make.options(ON_LEFT).remote(5, LENGTH);
      await ray.wait([soon], { fetchLocal: false });
      const used = await bytesUsed();
      await ray.wait([soon]);
      await eventually("a copy to come ahead", async () => (await bytesUsed()) >= used + OBJECT_BYTES);
      assert.equal((await ray.get(soon))[2], 10);
      // Until here none of them may go: the bytes are counted.
      for (const ref of [onLeft, ...own]) ref.release();
    });

    it("are read wherever they were made", async () => {
      const [left, right, own] = [make.options(ON_LEFT).remote(3, LENGTH), make.options(ON_RIGHT).remote(5, LENGTH), ray.put(Float64Array.from({ length: LENGTH }, (_, index) => index * 7))];
      const arrays = await ray.get([left, right, own]);
      assert.deepEqual(arrays.map((array) => array[LENGTH - 1]), [3, 5, 7].map((seed) => seed * (LENGTH - 1)));
      const expected = sumOf(15, LENGTH);
      assert.deepEqual(await ray.get([ON_LEFT, ON_RIGHT, {}].map((where) => sum.options(where).remote(left, right, own))), [expected, expected, expected]);
    });

    it("pass between actors and tasks of several nodes, and inside of values", async () => {
      class Keeper {
        #kept: { readonly ref: ray.ObjectRef<Float64Array> } | null = null;
        keep(box: { readonly ref: ray.ObjectRef<Float64Array> }): void { this.#kept = box; }
        async last(): Promise<number> { return (await ray.get(this.#kept!.ref)).at(-1)!; }
        give(): { readonly ref: ray.ObjectRef<Float64Array> } { return this.#kept!; }
        make(): Float64Array { return new Float64Array(300_000).fill(4); }
      }
      const keeper = ray.remote(Keeper).options(ON_LEFT).remote();
      let ref: ray.ObjectRef<Float64Array> | null = make.options(ON_RIGHT).remote(2, LENGTH);
      await ray.get(keeper.keep.remote({ ref }));
      ref.release();
      ref = null;
      assert.equal(await ray.get(keeper.last.remote()), 2 * (LENGTH - 1));
      const { ref: given } = await ray.get(keeper.give.remote());
      assert.equal((await ray.get(given)).length, LENGTH);
      assert.equal(await ray.get(sum.options(ON_RIGHT).remote(keeper.make.remote() as unknown as Float64Array)), 1_200_000);
    });

    it("leave nothing on any node when their refs are gone", async () => {
      const refs = [make.options(ON_LEFT).remote(3, LENGTH), make.options(ON_RIGHT).remote(5, LENGTH), ray.put(new Float64Array(LENGTH))];
      await ray.get([ON_LEFT, ON_RIGHT, {}].map((where) => sum.options(where).remote(...(refs as unknown as Float64Array[]))));
      for (const ref of refs) ref.release();
      await untilNothingIsLeft();
    });

    it("are lost with their node, which is said at once", async () => {
      const lost = make.options(ON_LEFT).options({ maxRetries: 0 }).remote(3, LENGTH);
      await ray.wait([lost], { fetchLocal: false });
      await cluster.killNode(await leftNode());
      await assert.rejects(ray.get(lost), ray.ObjectLostError);
      await assert.rejects(ray.get(sum.options(ON_RIGHT).options({ maxRetries: 0 }).remote(lost)), (error: Error) => error instanceof ray.ObjectLostError || error.cause instanceof ray.ObjectLostError);
      await cluster.addNode(LEFT);
    });

    it("of more bytes than a node's store pass through it one after the other", async () => {
      for (let round = 1; round <= 12; round++) {
        const result = make.options(ON_LEFT).remote(round, LENGTH);
        assert.equal(await ray.get(sum.options(ON_RIGHT).remote(result)), sumOf(round, LENGTH));
      }
    });
  });
}
