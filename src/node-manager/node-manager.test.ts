import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeKeyOf } from "../base/mod.ts";
import type { WorkerLink } from "../clients/mod.ts";
import { type FromNode, plainWorkerKind } from "../protocol/mod.ts";
import { shapeOf } from "./fixtures/lease-instructions.ts";
import { NodeManager } from "./node-manager.ts";

const FAR_OWNER = "bbbbbbbb-driver";
const DEATH = { reason: "was on a node that is gone", pid: 0, isRetryable: true, isNodeLost: true } as const;
const nothing = (): void => undefined;

/** A node that says what it does, and has no worker until one that it has launched registers. */
function startNode(): { manager: NodeManager; granted: FromNode[]; launched: string[]; terminated: string[] } {
  const granted: FromNode[] = [];
  const launched: string[] = [];
  const terminated: string[] = [];
  const placements = new Proxy({}, { get: () => nothing }) as never;
  const manager = new NodeManager({
    clock: { nowMs: () => 0, after: () => ({ cancel: nothing }) }, random: { below: () => 0, hex: (bytes) => "1".repeat(2 * bytes) }, nodeId: "aaaaaaaa00000000", labels: {}, totals: { CPU: 10_000 },
    acceleratorIds: {}, defaultKind: plainWorkerKind("process"), warmWorkersMin: 0, areThreadsOfJobs: false, firstJobId: "node", argumentFetcher: null,
    launcher: { launch: (id) => { launched.push(id); return { terminate: () => terminated.push(id), noteReason: nothing }; } },
    connect: nothing, placements: () => placements, watchRunning: () => null, warn: nothing, somebodyWorks: nothing, endObjects: nothing, endObjectsOfNode: nothing, workerLost: nothing, startFailed: nothing,
    cluster: { firstLeaseId: 1, toWorker: (_id, message) => { granted.push(message); return true; }, fromWorker: () => true, wantsChanged: nothing, loadChanged: nothing, actorDeclined: nothing, actorMakesTrouble: nothing, drained: nothing },
  });
  return { manager, granted, launched, terminated };
}

const job = { jobId: "job", driverId: FAR_OWNER, namespace: "", loaders: [], origin: null, isolation: "process" as const };
const ofDriver = { job, rootId: FAR_OWNER };
const demand = { type: "leaseDemand", key: "k", shape: shapeOf({ CPU: 1 }, plainWorkerKind("process")), target: 1, priority: 0 } as const;

test("a worker with a lease is told of the end of its owner, also if that has not connected to it yet", () => {
  const sent: FromNode[] = [];
  const { manager, granted, launched } = startNode();
  manager.demandFromFar(FAR_OWNER, ofDriver, demand);
  const link = { send: (message: FromNode) => sent.push(message), close: nothing } as unknown as WorkerLink;
  manager.workerRegistered(launched[0] as string, link, 7);
  assert.equal(granted.find(({ type }) => type === "leaseGranted")?.type, "leaseGranted");
  manager.farNodeLost(nodeKeyOf(FAR_OWNER), DEATH);
  assert.deepEqual(sent.filter(({ type }) => type === "workerDied"), [{ type: "workerDied", workerId: FAR_OWNER, cause: DEATH }]);
});

test("what an owner has asked for and comes after the news of its end is void", () => {
  const { manager, launched } = startNode();
  manager.farWorkerLost(FAR_OWNER, DEATH);
  manager.demandFromFar(FAR_OWNER, ofDriver, demand);
  assert.deepEqual(launched, []);
});

const ANOTHER = "bbbbbbbb-another";
const DETACHED = "cccccccc-detached";
const nobody = { send: nothing, sendSoon: nothing, close: nothing } as unknown as WorkerLink;

test("what a worker asks for after the news that its program has ended is void", () => {
  const { manager, launched } = startNode();
  manager.farWorkerLost(FAR_OWNER, DEATH);
  manager.demandFromFar(ANOTHER, ofDriver, demand);
  assert.deepEqual(launched, []);
});

test("a worker of a detached actor whose program has ended ends with that actor, wherever it lives, and whoever owns what it runs", () => {
  const ends: Record<string, (manager: NodeManager) => void> = {
    "its worker": (manager) => manager.farWorkerLost(DETACHED, DEATH), "its node": (manager) => manager.farNodeLost(nodeKeyOf(DETACHED), DEATH),
  };
  for (const [what, end] of Object.entries(ends)) {
    const { manager, launched, terminated } = startNode();
    manager.farWorkerLost(FAR_OWNER, DEATH);
    manager.demandFromFar(ANOTHER, { job, rootId: DETACHED }, demand);
    manager.workerRegistered(launched[0] as string, nobody, 7);
    assert.deepEqual(terminated, []);
    end(manager);
    assert.deepEqual(terminated, launched, what);
    manager.demandFromFar(ANOTHER, { job, rootId: DETACHED }, { ...demand, key: "late" });
    assert.equal(launched.length, 1, what);
  }
});

test("the worker of shared actors ends with its program also where it awaits something that nobody waits for", () => {
  for (const rootId of [FAR_OWNER, null]) {
    const { manager, launched, terminated } = startNode();
    manager.jobSeen(job);
    manager.placeActor({ actorId: "a", jobId: "job", className: "C", isShared: true, workerKind: plainWorkerKind("process"), resources: {}, strategy: null, bundle: null, maxRestarts: 0 }, rootId);
    const workerId = launched[0] as string;
    manager.workerRegistered(workerId, nobody, 7);
    manager.shared.actorEnded(workerId, "a");
    manager.retireRefused(workerId);
    manager.farWorkerLost(FAR_OWNER, DEATH);
    assert.deepEqual(terminated, []);
    manager.retireRefused(workerId);
    assert.deepEqual(terminated, launched);
  }
});
