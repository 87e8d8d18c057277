import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import * as ray from "mantaray";
import { startCluster, type TestCluster } from "mantaray/testing";
import { isRunning, sharedMemoryOf } from "../cli/command.ts";
import { everythingFree, eventually, ISOLATIONS } from "../conformance/both-isolations.ts";

const LIKE_FAR = { resources: { far: 4 }, labels: { zone: "far" } };
const FAR = { numCpus: 0, resources: { far: 1 } };
const where = ray.remote(function where() { return ray.getRuntimeContext().nodeId; });
/** Says that it has begun, and ends when it is told to. */
const held = ray.remote(async function held(begun: string, end: string) {
  const { existsSync: exists, writeFileSync: write, appendFileSync: append } = await import("node:fs");
  if (!exists(begun)) write(begun, "");
  append(begun, "x");
  while (!exists(end)) await new Promise((resolve) => setTimeout(resolve, 10));
  return ray.getRuntimeContext().nodeId;
});

/** Its head, and a node that each test lets go when another one has taken its place. */
let cluster: TestCluster;
before(async () => { cluster = await startCluster({ nodes: [{ numCpus: 1 }, LIKE_FAR] }); });
after(() => cluster.stop());

for (const isolation of ISOLATIONS) {
  describe(`a node that drains (${isolation})`, () => {
    let folder: string;
    beforeEach(async () => {
      folder = mkdtempSync(join(tmpdir(), "mantaray-drain-"));
      await ray.init({ address: cluster.address, isolation });
      await everythingFree();
    });
    afterEach(async () => {
      await ray.shutdown();
      rmSync(folder, { recursive: true, force: true });
    });
    const path = (name: string): string => join(folder, name);
    const begun = (name: string): Promise<void> => eventually(`${name} to begin`, () => existsSync(path(name)));
    const draining = (nodeId: string): Promise<void> => eventually("it to drain", async () => (await ray.nodes()).some((node) => node.nodeId === nodeId && node.draining));

    it("does what it has begun, starts nothing new, and leaves", async () => {
      const [, node] = cluster.nodes;
      const running = held.options(FAR).remote(path("a"), path("end"));
      await begun("a");
      const leaving = cluster.drainNode(node!);
      await draining(node!.nodeId);
      const next = await cluster.addNode(LIKE_FAR);
      assert.equal(await ray.get(where.options(FAR).remote()), next.nodeId);
      writeFileSync(path("end"), "");
      assert.equal(await ray.get(running), node!.nodeId);
      await leaving;
      assert.equal(readFileSync(path("a"), "utf8"), "x", "it ran once");
      assert.deepEqual([isRunning(node!.pid), existsSync(node!.sessionDir), sharedMemoryOf(node!.pid)], [false, false, []]);
      assert.deepEqual((await ray.nodes()).filter(({ alive }) => alive).map(({ nodeId }) => nodeId).sort(), [cluster.nodes[0]!.nodeId, next.nodeId].sort());
      await everythingFree();
    });

    it("ends at its deadline, which costs its tasks no retry and its actors no restart", async () => {
      const [, node] = cluster.nodes;
      const task = held.options({ ...FAR, maxRetries: 1 }).remote(path("task"), path("end"));
      class Holder {
        async hold(name: string, end: string): Promise<string> {
          const { existsSync: exists, writeFileSync: write } = await import("node:fs");
          write(name, "");
          while (!exists(end)) await new Promise((resolve) => setTimeout(resolve, 10));
          return ray.getRuntimeContext().nodeId;
        }
      }
      const holder = ray.remote(Holder).options({ ...FAR, maxRestarts: 1, maxTaskRetries: 1 }).remote();
      const call = holder.hold.remote(path("call"), path("end"));
      const lasting = ray.remote(Holder).options(FAR).remote();
      const lost = lasting.hold.remote(path("lost"), path("end"));
      await Promise.all(["task", "call", "lost"].map(begun));
      const next = await cluster.addNode(LIKE_FAR);
      await cluster.drainNode(node!, { deadlineMs: 50 });
      writeFileSync(path("end"), "");
      assert.deepEqual(await ray.get([task, call]), [next.nodeId, next.nodeId]);
      await assert.rejects(ray.get(lost), (error: Error) => error instanceof ray.ActorDiedError && error.message.includes("was drained, and had work left at its deadline"));
      // Its only restart is left.
      const third = await cluster.addNode(LIKE_FAR);
      await cluster.killNode(next);
      await eventually("it to restart", async () => (await ray.get(holder.hold.remote(path("again"), path("end")))) === third.nodeId);
    });

    it("ends at its deadline as often as may be for what may run again, and fails what has begun and may run only once", async () => {
      class Holder {
        async hold(begun: string): Promise<void> {
          const { appendFileSync: append } = await import("node:fs");
          append(begun, "x");
          await new Promise(() => undefined);
        }
      }
      const [, first] = cluster.nodes;
      const again = held.options({ ...FAR, maxRetries: 1 }).remote(path("again"), path("end"));
      const once = held.options({ ...FAR, maxRetries: 0 }).remote(path("once"), path("end"));
      const holder = ray.remote(Holder).options({ ...FAR, maxRestarts: 1 }).remote();
      const call = holder.hold.remote(path("call"));
      await Promise.all(["again", "once", "call"].map(begun));
      const failures = Promise.all([
        assert.rejects(ray.get(once), (error: Error) => error instanceof ray.NodeDiedError && error.message.includes(`held() was on node ${first!.nodeId}`) && /was drained, and had work left at its deadline; .* begun, and with maxRetries 0 it never runs again: allow it retries \(maxRetries\)/.test(error.message)),
        assert.rejects(ray.get(call), (error: Error) => error instanceof ray.ActorUnavailableError && /was drained, and had work left at its deadline/.test(error.message)),
      ]);
      for (let runs = 2; runs <= 3; runs++) {
        const next = await cluster.addNode(LIKE_FAR);
        await cluster.drainNode(cluster.nodes[1]!, { deadlineMs: 50 });
        await eventually("it to run again", () => readFileSync(path("again"), "utf8").length === runs);
        assert.equal(cluster.nodes[1]!.nodeId, next.nodeId);
      }
      writeFileSync(path("end"), "");
      assert.equal(await ray.get(again), cluster.nodes[1]!.nodeId);
      await failures;
      assert.deepEqual([readFileSync(path("once"), "utf8"), readFileSync(path("call"), "utf8")], ["x", "x"]);
      ray.kill(holder);
      await everythingFree();
    });

    it("lets actors that may restart go elsewhere, with no call lost or run twice", async () => {
      const [, node] = cluster.nodes;
      class Counter {
        #count = 0;
        readonly #first: string;
        constructor(first: string) { this.#first = first; }
        add(): readonly [string, string, number] { return [this.#first, ray.getRuntimeContext().nodeId, ++this.#count]; }
      }
      const options = [{ ...FAR, maxRestarts: 1 }, ...(isolation === "thread" ? [{ maxRestarts: 1, isolation: "shared" as const, labelSelector: { zone: "far" } }] : [])];
      const counters = options.map((one) => ray.remote(Counter).options(one).remote("kept"));
      for (const counter of counters) assert.deepEqual(await ray.get(counter.add.remote()), ["kept", node!.nodeId, 1]);
      const next = await cluster.addNode(LIKE_FAR);
      const drained = new AbortController();
      const calls = counters.map(async (counter) => {
        const results: (readonly [string, string, number])[] = [];
        while (!drained.signal.aborted) results.push(...(await ray.get(Array.from({ length: 20 }, () => counter.add.remote()))));
        results.push(...(await ray.get(Array.from({ length: 20 }, () => counter.add.remote()))));
        return results;
      });
      await cluster.drainNode(node!);
      drained.abort();
      for (const results of await Promise.all(calls)) {
        const before = results.filter(([, nodeId]) => nodeId === node!.nodeId).map(([, , count]) => count);
        const after = results.filter(([, nodeId]) => nodeId === next.nodeId).map(([, , count]) => count);
        assert.deepEqual(before, before.map((_, index) => index + 2), "in order");
        assert.deepEqual(after, after.map((_, index) => index + 1), "each of them once");
        assert.ok(after.length >= 20);
        assert.deepEqual(results.map(([, nodeId]) => nodeId), [...before.map(() => node!.nodeId), ...after.map(() => next.nodeId)]);
      }
    });

    it("gives its bundles to others, and who uses them ends by itself", async () => {
      const [, node] = cluster.nodes;
      const group = ray.placementGroup([{ far: 1 }, { CPU: 1 }], { strategy: "SPREAD" });
      await ray.get(group.ready());
      const inGroup = { schedulingStrategy: { type: "placementGroup" as const, placementGroup: group, bundleIndex: 0 } };
      const running = held.options({ ...FAR, ...inGroup }).remote(path("a"), path("end"));
      await begun("a");
      const next = await cluster.addNode(LIKE_FAR);
      const leaving = cluster.drainNode(node!);
      await draining(node!.nodeId);
      assert.equal(await ray.get(where.options({ ...FAR, ...inGroup }).remote()), next.nodeId);
      assert.equal((await ray.placementGroupTable(group)).bundlesToNodeId[0], next.nodeId);
      writeFileSync(path("end"), "");
      assert.equal(await ray.get(running), node!.nodeId);
      await leaving;
      await ray.removePlacementGroup(group);
      await everythingFree();
    });
  });
}

describe("draining", () => {
  it("is refused for the head, and for nodes that are not there", async () => {
    const [head, node] = cluster.nodes;
    await assert.rejects(cluster.drainNode(head!), (error: Error) => error instanceof ray.RuntimeStateError && /is the head/.test(error.message));
    await cluster.drainNode(node!);
    await assert.rejects(cluster.drainNode(node!), ray.InvalidArgumentError);
    assert.equal(cluster.nodes.length, 1);
  });
});
