import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock, Timer } from "../base/mod.ts";
import type { NodeLoadRecord, NodeRecord, ToGcs } from "../protocol/mod.ts";
import { NodeCluster } from "./node-cluster.ts";

const ONE_CPU = { CPU: 10_000 };
const NODE = "aaaaaaaa";
const record: NodeRecord = { nodeId: `${NODE}00000000`, name: null, hostname: "here", pid: 1, address: { host: "127.0.0.1", port: 1 }, objectAddress: null, totals: ONE_CPU, labels: {} };

/** Timers go off when they are told to. */
class StoppedClock implements Clock {
  readonly #due = new Set<() => void>();

  nowMs(): number {
    return 0;
  }

  after(_delayMs: number, callback: () => void): Timer {
    this.#due.add(callback);
    return { cancel: () => void this.#due.delete(callback) };
  }

  goOff(): void {
    const due = [...this.#due];
    this.#due.clear();
    for (const callback of due) callback();
  }
}

function joinedNode(): { readonly clock: StoppedClock; readonly cluster: NodeCluster; loadsTold(): NodeLoadRecord[] } {
  const clock = new StoppedClock();
  const told: ToGcs[] = [];
  const cluster = new NodeCluster({
    clock, record, joined: { type: "joined", clusterId: "c", nodeNumber: 1, nodes: [], loads: [] },
    toGcs: (message) => told.push(message), connect: () => Promise.reject(new Error("there is no other node")), leave: () => undefined,
  });
  return { clock, cluster, loadsTold: () => told.splice(0).flatMap((message) => (message.type === "load" ? [message.load] : [])) };
}

test("a load that changes and changes back is told once", () => {
  const { clock, cluster, loadsTold } = joinedNode();
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  assert.equal(loadsTold().length, 1);
  cluster.side.loadChanged(ONE_CPU, { CPU: 0 });
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  assert.equal(loadsTold().length, 0);
});

test("what was told does not change with what is free: the GCS of the head would look at a moment that it is never told of the end of", () => {
  const { clock, cluster, loadsTold } = joinedNode();
  const available = { CPU: ONE_CPU.CPU };
  cluster.side.loadChanged(ONE_CPU, available);
  clock.goOff();
  const [told] = loadsTold();
  available.CPU = 0;
  assert.deepEqual(told?.available, ONE_CPU);
});

test("an actor that takes what a task gives back at the same moment leaves a load as before, and the GCS hears it: it has counted the actor on top", () => {
  const { clock, cluster, loadsTold } = joinedNode();
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  loadsTold();
  cluster.side.loadChanged(ONE_CPU, { CPU: 0 });
  cluster.gcs.placed("a", `${NODE}111111111111`, 0);
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  assert.deepEqual(loadsTold().map(({ available }) => available), [ONE_CPU]);
});

test("bundles for which there was no room for a moment are tried again, though the load is as it was told before", () => {
  const { clock, cluster, loadsTold } = joinedNode();
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  loadsTold();
  cluster.gcs.bundlesReported(NODE, { type: "bundlesRefused", groupId: "g", attempt: 1 });
  clock.goOff();
  assert.deepEqual(loadsTold().map(({ available }) => available), [ONE_CPU]);
});
