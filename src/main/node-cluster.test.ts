import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock, Timer } from "../base/mod.ts";
import type { NodeLoadChange, NodeRecord, NodeToNode, ToGcs } from "../protocol/mod.ts";
import { applyChanges } from "../scheduling/mod.ts";
import { NodeCluster } from "./node-cluster.ts";

const ONE_CPU = { CPU: 10_000 };
const NODE = "aaaaaaaa";
const record: NodeRecord = { nodeId: `${NODE}00000000`, name: null, hostname: "here", pid: 1, address: { host: "127.0.0.1", port: 1 }, objectAddress: null, totals: ONE_CPU, labels: {} };

type ToNodeFrame = { readonly type: "message"; readonly number: number; readonly message: NodeToNode } | { readonly type: "received"; readonly number: number };

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

function joinedNode(): { readonly clock: StoppedClock; readonly cluster: NodeCluster; readonly told: ToGcs[]; readonly available: Record<string, number>; loadsTold(): NodeLoadChange[] } {
  const clock = new StoppedClock();
  const told: ToGcs[] = [];
  /** As the GCS knows it. */
  const available: Record<string, number> = { ...record.totals };
  const toGcs = (message: ToGcs): void => {
    told.push(message);
    if (message.type === "load") applyChanges(available, message.change.available);
  };
  const cluster = new NodeCluster({
    clock, record, joined: { type: "joined", clusterId: "c", nodeNumber: 1, nodes: [], loads: [], lostNodes: [], lostWorkers: [] },
    toGcs, connect: () => Promise.reject(new Error("there is no other node")), leave: () => undefined,
  });
  return { clock, cluster, told, available, loadsTold: () => told.splice(0).flatMap((message) => (message.type === "load" ? [message.change] : [])) };
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
  const free = { CPU: 5_000 };
  cluster.side.loadChanged(ONE_CPU, free);
  clock.goOff();
  const [told] = loadsTold();
  free.CPU = 0;
  assert.deepEqual(told?.available, { CPU: 5_000 });
});

test("of a load only what has changed is told", () => {
  const { clock, cluster, available, loadsTold } = joinedNode();
  const tell = (totals: Record<string, number>, free: Record<string, number>): unknown[] => {
    cluster.side.loadChanged(totals, free);
    clock.goOff();
    return loadsTold().map((change) => [change.version, change.totals, change.available]);
  };
  assert.deepEqual(tell(ONE_CPU, {}), [[1, {}, { CPU: null }]]);
  assert.deepEqual(tell({ ...ONE_CPU, group: 1 }, { group: 1 }), [[2, { group: 1 }, { group: 1 }]]);
  assert.deepEqual(tell({ ...ONE_CPU, group: 1 }, { group: 1 }), []);
  assert.deepEqual(tell(ONE_CPU, ONE_CPU), [[3, { group: null }, { ...ONE_CPU, group: null }]]);
  assert.deepEqual(available, ONE_CPU);
});

test("an actor that takes what a task gives back at the same moment leaves a load as before, and the GCS hears it: it has counted the actor on top", () => {
  const { clock, cluster, available, loadsTold } = joinedNode();
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  loadsTold();
  cluster.side.loadChanged(ONE_CPU, { CPU: 0 });
  cluster.gcs.placed("a", `${NODE}111111111111`, 0);
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  assert.equal(loadsTold().length, 1);
  assert.deepEqual(available, ONE_CPU);
});

test("bundles for which there was no room for a moment are tried again, though the load is as it was told before", () => {
  const { clock, cluster, available, loadsTold } = joinedNode();
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  clock.goOff();
  loadsTold();
  cluster.gcs.bundlesReported(NODE, { type: "bundlesRefused", groupId: "g", attempt: 1 });
  clock.goOff();
  assert.equal(loadsTold().length, 1);
  assert.deepEqual(available, ONE_CPU);
});

test("bundles that are set aside or given back are told behind what is free then, once for all of a turn: whoever has waited for them finds it so", async () => {
  const { clock, cluster, told, available } = joinedNode();
  const brief = (): string[] => told.splice(0).map((message) => (message.type === "load" ? `load ${available["CPU"]}` : message.type === "bundleReport" ? `${message.report.type} ${message.report.groupId}` : message.type));
  cluster.side.loadChanged(ONE_CPU, { CPU: 0 });
  clock.goOff();
  told.length = 0;
  // As a node manager does: first it reports, then it tells of its load.
  cluster.gcs.bundlesReported(NODE, { type: "bundlesReturned", groupId: "g" });
  cluster.gcs.bundlesReported(NODE, { type: "bundlesReturned", groupId: "h" });
  cluster.side.loadChanged(ONE_CPU, ONE_CPU);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(brief(), ["load 10000", "bundlesReturned g", "bundlesReturned h"]);
  cluster.gcs.bundlesReported(NODE, { type: "bundlesCommitted", groupId: "i", attempt: 1 });
  cluster.side.loadChanged(ONE_CPU, { CPU: 0 });
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(brief(), ["load 0", "bundlesCommitted i"]);
  const manyNames = Object.fromEntries(Array.from({ length: 3_000 }, (_, index) => [`name${index}`, 1]));
  cluster.side.loadChanged({ ...ONE_CPU, ...manyNames }, { CPU: 0 });
  clock.goOff();
  told.length = 0;
  cluster.side.loadChanged({ ...ONE_CPU, ...manyNames }, ONE_CPU);
  cluster.gcs.bundlesReported(NODE, { type: "bundlesReturned", groupId: "i" });
  assert.deepEqual(brief(), ["bundlesReturned i"], "a load of very many names is not told for each of them");
  clock.goOff();
  assert.deepEqual(brief(), ["load 10000"]);
});

test("an object of another node that drains is not taken when this one has been told to drain meanwhile", async () => {
  const other = "bbbbbbbb";
  const sent: ToNodeFrame[] = [];
  const arrivals: ((frame: ToNodeFrame) => void)[] = [];
  const link = { send: (frame: ToNodeFrame) => void sent.push(frame), sendSoon: (frame: ToNodeFrame) => void sent.push(frame), onMessage: (callback: (frame: ToNodeFrame) => void) => void arrivals.push(callback), onClose: () => undefined, close: () => undefined, flush: () => true };
  const cluster = new NodeCluster({
    clock: new StoppedClock(), record, joined: { type: "joined", clusterId: "c", nodeNumber: 1, nodes: [{ ...record, nodeId: `${other}00000000` }], loads: [], lostNodes: [], lostWorkers: [] },
    toGcs: () => undefined, connect: () => Promise.resolve(link as never), leave: () => undefined,
  });
  const toWorkers: unknown[] = [];
  const freed: number[] = [];
  const copies: (() => void)[] = [];
  let ids = 0;
  cluster.attach({
    nodeManager: { spreading: null, isGone: () => false, drain: () => undefined, isDrained: true, send: (_workerId: string, message: unknown) => void toWorkers.push(message) },
    store: { onMessage: (_workerId: string, message: { id: number }) => void freed.push(message.id), objectsOfOthers: () => [] },
    objects: { keep: () => new Promise((resolve) => { copies.push(() => resolve({ node: NODE, id: ++ids, row: 0, byteLength: 5 })); }) },
  } as never);
  cluster.acceptNode(other, link as never);
  const offer = (number: number): void => arrivals[0]?.({ type: "message", number, message: { type: "takeObject", id: 10 + number, byteLength: 5, ownerId: `${other}00000001` } });
  const answers = async (): Promise<unknown[]> => {
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    return sent.flatMap((frame) => (frame.type === "message" && frame.message.type === "objectTaken" ? [[frame.message.id, frame.message.refusal]] : []));
  };
  offer(1);
  copies[0]?.();
  assert.deepEqual(await answers(), [[11, null]]);
  assert.deepEqual(toWorkers, [{ type: "objectMoved", from: { node: other, id: 11 }, to: { node: NODE, id: 1, row: 0, byteLength: 5 } }]);
  offer(2);
  cluster.onGcsMessage({ type: "drain", timeLeftMs: null });
  copies[1]?.();
  assert.deepEqual(await answers(), [[11, null], [12, "failed"]]);
  assert.deepEqual([toWorkers.length, freed], [1, [2]], "its owner hears nothing, and the copy is gone");
});

test("what was gone before this node joined is lost here from the beginning, objects, programs and workers: nobody says so later", () => {
  const lost: string[] = [];
  const cluster = new NodeCluster({
    clock: new StoppedClock(), record, joined: { type: "joined", clusterId: "c", nodeNumber: 3, nodes: [], loads: [], lostNodes: ["bbbbbbbb", "cccccccc"], lostWorkers: ["dddddddd000000000001"] },
    toGcs: () => undefined, connect: () => Promise.reject(new Error("there is no other node")), leave: () => undefined,
  });
  const nodeManager = { spreading: null, farNodeLost: (node: string) => void lost.push(`node ${node}`), farWorkerLost: (workerId: string) => void lost.push(`worker ${workerId}`) };
  cluster.attach({ nodeManager, objects: { nodeLost: (node: string) => void lost.push(`objects of ${node}`) } } as never);
  assert.deepEqual(lost, ["objects of bbbbbbbb", "node bbbbbbbb", "objects of cccccccc", "node cccccccc", "worker dddddddd000000000001"]);
});
