// What becomes of objects whose only copy is on a node that drains: others have it before it leaves, and nothing runs again for it.
import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { UNREACHABLE_MS_MAX } from "../../src/object-store/pull-state.ts";
import { eventuallyCollected } from "../conformance/garbage-collection.ts";
import { everythingFree, eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const MIB = 1024 ** 2;
const STORE_BYTES = 32 * MIB;
const LIKE_FAR = { resources: { far: 4 }, objectStoreMemory: STORE_BYTES };
const FAR = { numCpus: 0, resources: { far: 1 }, maxRetries: 0 };
/** Made on the far node, once: it says so each time that it runs. */
const made = ray.remote(function made(log: string, bytes: number, value: number) {
  appendFileSync(log, "x");
  return { array: new Uint8Array(bytes).fill(value), value };
});
/** Elsewhere, of a ref that it was given inside another value. */
const sumOf = ray.remote(async function sumOf(box: { readonly ref: ray.ObjectRef<{ array: Uint8Array; value: number }> }) {
  const { array, value } = await ray.get(box.ref);
  return array.every((one) => one === value) ? value : -1;
});
/** The same of one that it was given itself. */
const valueOf = ray.remote(({ array, value }: { array: Uint8Array; value: number }) => (array.every((one) => one === value) ? value : -1));

let cluster: TestCluster;
before(async () => { cluster = await startCluster({ nodes: [{ numCpus: 1, objectStoreMemory: STORE_BYTES }, LIKE_FAR] }); });
after(() => cluster.stop());

for (const isolation of ISOLATIONS) {
  describe(`objects of a node that drains (${isolation})`, () => {
    let folder: string;
    let log: string;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "mantaray-drained-"));
      log = join(folder, "log");
      await ray.init({ address: cluster.address, isolation });
      await everythingFree();
    });
    afterEach(async () => {
      await ray.shutdown();
      rmSync(folder, { recursive: true, force: true });
    });

    async function drainFar(): Promise<void> {
      const far = cluster.nodes.at(-1) as TestNode;
      await cluster.drainNode(far);
      await eventually("it to be gone", async () => (await ray.nodes()).every(({ nodeId, alive }) => nodeId !== far.nodeId || !alive));
    }

    it("are had from other nodes afterwards, and what has made them does not run again", async () => {
      const refs = [0, 1, 2].map((value) => made.options(FAR).remote(log, 5 * MIB, value));
      await ray.wait(refs, { numReturns: refs.length, fetchLocal: false });
      await drainFar();
      const values = await ray.get(refs);
      assert.deepEqual(values.map(({ array, value }) => [array.length, array.every((one) => one === value)]), refs.map(() => [5 * MIB, true]));
      assert.equal(readFileSync(log, "utf8"), "xxx", "each ran once");
      await cluster.addNode(LIKE_FAR);
    });

    it("are had from other nodes also where they lay on disk, and by whoever was told of their old place", async () => {
      // More than the memory of one node, less than that of two.
      const refs = Array.from({ length: 8 }, (_, value) => made.options(FAR).remote(log, 6 * MIB, value));
      await ray.wait(refs, { numReturns: refs.length, fetchLocal: false });
      const boxes = refs.map((ref) => ray.put({ ref }));
      const next = await cluster.addNode({ ...LIKE_FAR, numCpus: 1 });
      await cluster.drainNode(cluster.nodes[1] as TestNode);
      const read = boxes.map((box) => sumOf.options({ maxRetries: 0 }).remote(box));
      assert.deepEqual(await ray.get(read), refs.map((_, value) => value));
      for (const [value, ref] of refs.entries()) {
        const { array } = await ray.get(ref);
        assert.ok(array.every((one) => one === value));
      }
      assert.equal(readFileSync(log, "utf8"), "x".repeat(refs.length), "each ran once");
      assert.equal(cluster.nodes.at(-1)?.nodeId, next.nodeId);
    });

    it("are had without delay on a node that has joined since, which has never known their old place", async () => {
      const refs = [0, 1].map((value) => made.options(FAR).remote(log, 5 * MIB, value));
      await ray.wait(refs, { numReturns: refs.length, fetchLocal: false });
      const late = { numCpus: 0, resources: { late: 1 }, maxRetries: 0 };
      const boxes = refs.map((ref) => ray.put({ ref }));
      const read = [...boxes.map((box) => sumOf.options(late).remote(box)), ...refs.map((ref) => valueOf.options(late).remote(ref))];
      await drainFar();
      await cluster.addNode({ resources: { ...LIKE_FAR.resources, late: 1 }, objectStoreMemory: STORE_BYTES });
      // No more than it would take to give up a node that may still be there.
      assert.deepEqual(await ray.get(read, { timeoutMs: UNREACHABLE_MS_MAX }), [0, 1, 0, 1]);
      assert.equal(readFileSync(log, "utf8"), "xx", "each ran once");
    });

    it("move on when the node that has taken them drains in its turn, and end with their last ref", async () => {
      const ref = made.options(FAR).remote(log, 5 * MIB, 7);
      await ray.wait([ref], { fetchLocal: false });
      const first = cluster.nodes[1] as TestNode;
      const second = await cluster.addNode(LIKE_FAR);
      await cluster.drainNode(first);
      const third = await cluster.addNode(LIKE_FAR);
      await cluster.drainNode(second);
      assert.equal((await ray.get(ref)).array[0], 7);
      assert.equal(readFileSync(log, "utf8"), "x");
      ref.release();
      await eventuallyCollected("nothing to be left of it", async () => (await ray.listObjects()).total === 0);
      assert.equal(cluster.nodes.at(-1)?.nodeId, third.nodeId);
    });
  });
}

describe("draining", () => {
  it("ends also when no other node has room, and says what it has left behind", async () => {
    await using small = await startCluster({ nodes: [{ numCpus: 1, objectStoreMemory: 8 * MIB }, { resources: { far: 1 }, objectStoreMemory: 2 * STORE_BYTES }] });
    const folder = mkdtempSync(join(tmpdir(), "mantaray-drained-"));
    try {
      await ray.init({ address: small.address });
      const large = made.options(FAR).remote(join(folder, "log"), 20 * MIB, 1);
      const little = made.options(FAR).remote(join(folder, "log"), MIB, 2);
      await ray.wait([large, little], { numReturns: 2, fetchLocal: false });
      const [head, far] = small.nodes as [TestNode, TestNode];
      await small.drainNode(far);
      assert.equal((await ray.get(little)).array[0], 2);
      await assert.rejects(ray.get(large), ray.ObjectReconstructionFailedError);
      assert.match(readFileSync(join(head.sessionDir, "logs", "node.log"), "utf8"), new RegExp(`node ${far.nodeId} is gone: has been drained; no other node has 1 object of 21.0 MB that it had`));
    } finally {
      await ray.shutdown();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
