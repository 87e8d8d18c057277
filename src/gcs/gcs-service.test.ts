import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { ActorHostClient, BundleClient } from "../clients/mod.ts";
import { type ActorSpec, type CodeUnitRecord, type FromNode, partsOf, plainWorkerKind } from "../protocol/mod.ts";
import { GcsService } from "./gcs-service.ts";

const DRIVER = "aaaaaaaa000000000001";
const DEATH = { reason: "has ended", pid: 1, isRetryable: true };

function unit(id: string, driverId = DRIVER): CodeUnitRecord {
  return { id, name: id, blob: new Uint8Array(1), needs: [], descriptors: [], kind: "class", isAsync: false, isGenerator: false, where: "", origin: { driverId, fileSystem: "one" } };
}

function specOf(actorId: string, details: Partial<ActorSpec> = {}): ActorSpec {
  return {
    actorId, ownerId: DRIVER, jobId: "j", className: "Counter", unitId: "u", units: [unit("u")],
    args: [], methods: {}, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false }, name: null, namespace: "n", isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null, resources: {}, workerKind: plainWorkerKind("thread"), strategy: null, bundle: null, isShared: false, parentId: null,
    ...details,
  };
}

describe("the code of programs in the GCS", () => {
  let gcs: GcsService;
  let sent: FromNode[];
  let modules: unknown[];
  beforeEach(() => {
    sent = [];
    modules = [];
    const nothing = (): void => undefined;
    const host: ActorHostClient & BundleClient = {
      place: nothing, cancelPlacement: nothing, start: nothing, endWorker: nothing, endShared: nothing, move: nothing, askOwner: nothing, publish: nothing, ended: nothing,
      send: (_workerId, message) => void sent.push(message), clusterState: () => ({ nodes: [] }), awaitJobEnd: nothing, keepModules: (driverId, nodes) => void modules.push([driverId, ...nodes]), dropModules: (driverId) => void modules.push(driverId),
      sendSoon: (_workerId, message) => void sent.push(message), isConnected: () => true, bundleNodes: () => [], nodeIdOf: () => null, orderBundles: nothing,
    };
    gcs = new GcsService(host, { nowMs: () => 0, after: () => ({ cancel: nothing }) });
  });

  function create(spec: ActorSpec): void {
    gcs.fromWorker(spec.ownerId, { type: "createActor", requestId: 1, spec });
    gcs.placed(spec.actorId, `worker of ${spec.actorId}`, 0);
    gcs.fromWorker(`worker of ${spec.actorId}`, { type: "actorStarted", actorId: spec.actorId, error: null });
  }
  function known(...unitIds: string[]): string[] {
    gcs.fromWorker(DRIVER, { type: "getCode", requestId: 2, unitIds });
    const { result } = sent.at(-1) as FromNode & { type: "reply" };
    return (result as CodeUnitRecord[]).map(({ id }) => id);
  }

  test("goes with the program and its actors", () => {
    create(specOf("a"));
    create(specOf("b", { ownerId: "worker of a", units: [unit("other", "bbbbbbbb000000000001")] }));
    assert.deepEqual(known("u", "other"), ["other", "u"]);
    gcs.workerLost(DRIVER, DEATH);
    assert.deepEqual(known("u", "other"), ["other"]);
  });

  test("has its modules kept on the nodes of the actors that it leaves, until the last of them has ended", () => {
    const HOME = "bbbbbbbb000000000001";
    gcs.fromWorker(DRIVER, { type: "createActor", requestId: 1, spec: specOf("a", { isDetached: true }) });
    gcs.placed("a", HOME, 0);
    gcs.workerLost(DRIVER, DEATH);
    assert.deepEqual([modules, gcs.hasProgram(DRIVER)], [[[DRIVER, "bbbbbbbb"]], true]);
    gcs.workerLost(HOME, DEATH);
    assert.deepEqual([modules.at(-1), gcs.hasProgram(DRIVER)], [DRIVER, false]);
  });

  test("stays for detached actors, until the last has died", () => {
    create(specOf("a", { isDetached: true }));
    create(specOf("b", { isDetached: true, maxRestarts: 1 }));
    gcs.workerLost(DRIVER, DEATH);
    gcs.workerLost("worker of a", DEATH);
    assert.deepEqual(known("u"), ["u"]);
    gcs.workerLost("worker of b", DEATH);
    assert.deepEqual(known("u"), ["u"], "it starts again");
    gcs.fromWorker("somebody", { type: "killActor", requestId: 3, actorId: "b", noRestart: true });
    assert.deepEqual(known("u"), []);
  });

  test("also for what detached actors create later", () => {
    create(specOf("a", { isDetached: true }));
    gcs.workerLost(DRIVER, DEATH);
    create(specOf("late", { isDetached: true, ownerId: "worker of a", units: [unit("late")] }));
    gcs.workerLost("worker of a", DEATH);
    assert.deepEqual(known("u", "late"), ["late", "u"]);
    gcs.workerLost("worker of late", DEATH);
    assert.deepEqual(known("u", "late"), []);
  });

  test("a name that is another's keeps nothing", () => {
    create(specOf("a", { isDetached: true, name: "one" }));
    gcs.workerLost(DRIVER, DEATH);
    gcs.fromWorker("another", { type: "createActor", requestId: 4, spec: specOf("alias", { isDetached: true, name: "one", getIfExists: true, ownerId: "another" }) });
    assert.deepEqual(known("u"), ["u"]);
    gcs.workerLost("worker of a", DEATH);
    assert.deepEqual(known("u"), []);
  });

  test("of shared actors too, and of a node that is lost", () => {
    const spec = specOf("a", { isShared: true, isDetached: true });
    gcs.fromWorker(DRIVER, { type: "createSharedActor", ...partsOf(spec) });
    gcs.placed("a", "host", 0);
    gcs.fromWorker("host", { type: "actorStarted", actorId: "a", error: null });
    gcs.nodeLost("aaaaaaaa", DEATH);
    assert.deepEqual(known("u"), ["u"]);
    gcs.fromWorker("host", { type: "actorEnded", actorId: "a", reason: "was ended" });
    assert.deepEqual(known("u"), []);
  });
});
