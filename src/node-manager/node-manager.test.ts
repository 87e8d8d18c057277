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
const demand = { type: "leaseDemand", key: "k", shape: shapeOf({ CPU: 1 }, plainWorkerKind("process")), target: 1, priority: 0 } as const;

test("a worker with a lease is told of the end of its owner, also if that has not connected to it yet", () => {
  const sent: FromNode[] = [];
  const { manager, granted, launched } = startNode();
  manager.demandFromFar(FAR_OWNER, job, demand);
  const link = { send: (message: FromNode) => sent.push(message), close: nothing } as unknown as WorkerLink;
  manager.workerRegistered(launched[0] as string, link, 7);
  assert.equal(granted.find(({ type }) => type === "leaseGranted")?.type, "leaseGranted");
  manager.farNodeLost(nodeKeyOf(FAR_OWNER), DEATH);
  assert.deepEqual(sent.filter(({ type }) => type === "workerDied"), [{ type: "workerDied", workerId: FAR_OWNER, cause: DEATH }]);
});

test("what an owner has asked for and comes after the news of its end is void", () => {
  const { manager, launched } = startNode();
  manager.farWorkerLost(FAR_OWNER, DEATH);
  manager.demandFromFar(FAR_OWNER, job, demand);
  assert.deepEqual(launched, []);
});

test("a worker for a program of which is heard after the news of its end ends with its owner", () => {
  const OWNER = "bbbbbbbb-detached";
  const { manager, launched, terminated } = startNode();
  manager.farWorkerLost(FAR_OWNER, DEATH);
  manager.demandFromFar(OWNER, job, demand);
  manager.workerRegistered(launched[0] as string, { send: nothing, close: nothing } as unknown as WorkerLink, 7);
  assert.deepEqual(terminated, []);
  manager.farWorkerLost(OWNER, DEATH);
  assert.deepEqual(terminated, launched);
});
