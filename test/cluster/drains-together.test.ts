// Two nodes of a cluster drain at the same time: what they have goes to those that stay, not from one to the other and down with it.
import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster, type TestNode } from "mantaray/testing";
import { everythingFree, eventually, ISOLATIONS } from "../conformance/both-isolations.ts";
import { eventuallyCollected } from "../conformance/garbage-collection.ts";

const MIB = 1024 ** 2;
const STORE_BYTES = 48 * MIB;
const HEAD = { numCpus: 1, objectStoreMemory: STORE_BYTES };
const LIKE_FAR = { resources: { far: 8 }, objectStoreMemory: STORE_BYTES };
/** On that node, or on another one when it takes nothing any more. */
const farOn = ({ nodeId }: TestNode) => ({ numCpus: 0, resources: { far: 1 }, schedulingStrategy: { type: "nodeAffinity" as const, nodeId, soft: true } });
/** Made once: it says so each time that it runs. */
const made = ray.remote(function made(log: string, bytes: number, value: number) {
  appendFileSync(log, "x");
  return new Uint8Array(bytes).fill(value);
}, { maxRetries: 0 });
const isAll = (array: Uint8Array, value: number): boolean => array.every((one) => one === value);
/** By itself, so that nothing of them is left to whoever waits for their end. */
async function areWhatWasMade(refs: readonly ray.ObjectRef<Uint8Array>[], bytes: number): Promise<void> {
  const arrays = await ray.get([...refs]);
  for (const [value, array] of arrays.entries()) assert.ok(array.length === bytes && isAll(array, value));
}
/** Elsewhere, of a ref that it was given inside another value. */
const readIn = ray.remote(async function readIn(box: { readonly ref: ray.ObjectRef<Uint8Array>; readonly value: number }) { return isAll(await ray.get(box.ref), box.value); }, { maxRetries: 0 });
const held = ray.remote(async function held(begun: string, end: string) {
  appendFileSync(begun, "x");
  while (!existsSync(end)) await new Promise((resolve) => setTimeout(resolve, 10));
  return ray.getRuntimeContext().nodeId;
}, { maxRetries: 0 });
class Counter {
  #count = 0;
  constructor(log: string) { appendFileSync(log, `${ray.getRuntimeContext().nodeId}\n`); }
  add(): readonly [nodeId: string, count: number] { return [ray.getRuntimeContext().nodeId, ++this.#count]; }
  async hold(begun: string, end: string): Promise<string> {
    appendFileSync(begun, "x");
    while (!existsSync(end)) await new Promise((resolve) => setTimeout(resolve, 10));
    return ray.getRuntimeContext().nodeId;
  }
}

for (const isolation of ISOLATIONS) {
  describe(`two nodes that drain at once (${isolation})`, () => {
    let cluster: TestCluster;
    let folder: string;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "mantaray-drains-"));
      cluster = await startCluster({ nodes: [HEAD, LIKE_FAR, LIKE_FAR] });
      await ray.init({ address: cluster.address, isolation });
    });
    afterEach(async () => {
      await ray.shutdown();
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    const path = (name: string): string => join(folder, name);
    const contents = (name: string): string => readFileSync(path(name), "utf8");
    const areDraining = (nodes: readonly TestNode[]): Promise<void> => eventually("both to drain", async () => {
      const draining = new Set((await ray.nodes()).filter((node) => node.draining).map(({ nodeId }) => nodeId));
      return nodes.every(({ nodeId }) => draining.has(nodeId));
    });

    it("do what they have begun, and give their objects and actors to those that stay", async () => {
      const leaving = cluster.nodes.slice(1) as [TestNode, TestNode];
      const values = [0, 1, 2, 3, 4, 5];
      const refs = values.map((value) => made.options(farOn(leaving[value % 2] as TestNode)).remote(path("made"), 3 * MIB, value));
      await ray.wait(refs, { numReturns: refs.length, fetchLocal: false });
      const boxes = refs.map((ref, value) => ray.put({ ref, value }));
      const actors = leaving.map((node, index) => ray.remote(Counter).options({ ...farOn(node), maxRestarts: 1 }).remote(path(`actor${index}`)));
      assert.deepEqual(await ray.get(actors.map((actor) => actor.add.remote())), leaving.map(({ nodeId }) => [nodeId, 1]));
      const tasks = leaving.map((node, index) => held.options(farOn(node)).remote(path(`task${index}`), path("end")));
      // They move when these have ended: then both nodes drain.
      const calls = actors.map((actor, index) => actor.hold.remote(path(`call${index}`), path("end")));
      await eventually("all to begin", () => ["task0", "task1", "call0", "call1"].every((name) => existsSync(path(name))));
      const stays = await cluster.addNode(LIKE_FAR);
      const left = Promise.all(leaving.map((node) => cluster.drainNode(node)));
      await areDraining(leaving);
      const later = actors.map((actor) => actor.add.remote());
      writeFileSync(path("end"), "");
      assert.deepEqual([await ray.get(tasks), await ray.get(calls)], [leaving.map(({ nodeId }) => nodeId), leaving.map(({ nodeId }) => nodeId)]);
      assert.deepEqual(await ray.get(later), leaving.map(() => [stays.nodeId, 1]));
      await left;
      assert.deepEqual(cluster.nodes.map(({ nodeId }) => nodeId), [cluster.nodes[0]?.nodeId, stays.nodeId]);
      assert.deepEqual(await ray.get(boxes.map((box) => readIn.remote(box))), values.map(() => true));
      await areWhatWasMade(refs, 3 * MIB);
      assert.equal(contents("made"), "x".repeat(values.length), "each ran once");
      for (const [index, { nodeId }] of leaving.entries()) {
        assert.deepEqual([contents(`task${index}`), contents(`call${index}`)], ["x", "x"]);
        assert.deepEqual(contents(`actor${index}`).trim().split("\n"), [nodeId, stays.nodeId], "it has not gone to the other one");
      }
      for (const actor of actors) ray.kill(actor);
      await everythingFree();
    });

    it("give each object to one that stays, also what one was about to take from the other", async () => {
      const [, first, second] = cluster.nodes as [TestNode, TestNode, TestNode];
      const values = Array.from({ length: 14 }, (_, value) => value);
      const refs = values.map((value) => made.options(farOn(first)).remote(path("made"), 2 * MIB, value));
      await ray.wait(refs, { numReturns: refs.length, fetchLocal: false });
      const stays = await cluster.addNode({ ...LIKE_FAR, numCpus: 1 });
      // The second may have taken some, and be about to take others.
      await Promise.all([cluster.drainNode(first), cluster.drainNode(second)]);
      assert.deepEqual(cluster.nodes.map(({ nodeId }) => nodeId), [cluster.nodes[0]?.nodeId, stays.nodeId]);
      await areWhatWasMade(refs, 2 * MIB);
      assert.equal(contents("made"), "x".repeat(values.length), "each ran once");
      for (const ref of refs) ref.release();
      await eventuallyCollected("nothing to be left of them", async () => (await ray.listObjects()).total === 0);
    });
  });
}
