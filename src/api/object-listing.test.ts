import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ObjectSurveyRecord, OwnedObjectReport, ReferenceType, StoredObjectListing, WorkerObjectsReport } from "../protocol/mod.ts";
import { listingOf, listObjects, type ObjectState } from "./object-listing.ts";

function stored(object: Partial<StoredObjectListing>): StoredObjectListing {
  return { node: "node", id: 1, copyOf: null, byteLength: 200_000, ownerId: "driver", isInMemory: true, isSpilled: false, isFreed: false, pinnedBy: [], ...object };
}

function owned(object: Partial<OwnedObjectReport>): OwnedObjectReport {
  return { node: "node", storedId: 1, objectId: "o1", createdBy: "put()", callSite: "main (app.ts:1:1)", references: ["LOCAL_REFERENCE"], borrowerIds: [], ...object };
}

function worker(report: Partial<WorkerObjectsReport>): WorkerObjectsReport {
  return { workerId: "driver", pid: 10, isDriver: true, actorClassName: null, owned: [], borrowed: [], ...report };
}

function listing(objects: StoredObjectListing[], workers: WorkerObjectsReport[], unansweredWorkerIds: string[] = []): ObjectSurveyRecord {
  return { store: { isAvailable: true, capacityBytes: 1000, usedBytes: 500, spilledBytes: 0, objectCount: objects.length, objects }, workers, unansweredWorkerIds };
}

function reasons(object: ObjectState | undefined): [string, ReferenceType][] {
  return object?.references.map(({ workerId, referenceType }) => [workerId, referenceType]) ?? [];
}

describe("what the store says, joined with what workers say", () => {
  test("a copy on another node is told by what its primary is, and kept by its views alone", () => {
    const copyOf = { node: "node", id: 1 };
    const { objects } = listingOf(listing([stored({}), stored({ node: "other", id: 1, copyOf: null, ownerId: "w" }), stored({ node: "other", id: 7, copyOf, ownerId: null, pinnedBy: ["reader"] })], [worker({ owned: [owned({})] })]));
    assert.deepEqual(objects.map(({ objectId, ownerId, isCopy }) => [objectId, ownerId, isCopy]), [["o1", "driver", false], [undefined, "w", false], ["o1", "driver", true]]);
    assert.deepEqual(reasons(objects[2]), [["reader", "PINNED_IN_MEMORY"]]);
  });

  test("an object has its owner's facts and reasons, and its borrower's", () => {
    const actor = worker({ workerId: "actor", pid: 11, isDriver: false, actorClassName: "Cache", borrowed: [{ objectId: "o1", references: ["CAPTURED_IN_OBJECT"] }, { objectId: "o2", references: ["LOCAL_REFERENCE"] }] });
    const driver = worker({ owned: [owned({ borrowerIds: ["actor"] })] });
    const { objects, total, store, unansweredWorkers } = listingOf(listing([stored({ pinnedBy: ["actor"] })], [driver, actor]));
    assert.deepEqual(objects, [{
      objectId: "o1", objectSize: 200_000, ownerId: "driver", ownerPid: 10, createdBy: "put()", callSite: "main (app.ts:1:1)", isInMemory: true, isSpilled: false, isFreed: false, isCopy: false,
      references: [
        { referenceType: "LOCAL_REFERENCE", workerId: "driver", pid: 10, type: "DRIVER", actorClassName: undefined },
        { referenceType: "CAPTURED_IN_OBJECT", workerId: "actor", pid: 11, type: "WORKER", actorClassName: "Cache" },
        { referenceType: "PINNED_IN_MEMORY", workerId: "actor", pid: 11, type: "WORKER", actorClassName: "Cache" },
      ],
    }]);
    assert.deepEqual([total, unansweredWorkers], [1, []]);
    assert.deepEqual(store, { isAvailable: true, capacityBytes: 1000, usedBytes: 500, spilledBytes: 0 });
  });

  test("workers that did not answer are listed with the reason unknown", () => {
    const busyBorrower = listingOf(listing([stored({})], [worker({ owned: [owned({ borrowerIds: ["busy"] })] })], ["busy"]));
    assert.deepEqual(reasons(busyBorrower.objects[0]), [["driver", "LOCAL_REFERENCE"], ["busy", "UNKNOWN_STATUS"]]);
    assert.equal(busyBorrower.objects[0]?.references[1]?.pid, undefined);
    const busyOwner = listingOf(listing([stored({ ownerId: "busy" })], [worker({})], ["busy"]));
    assert.deepEqual(reasons(busyOwner.objects[0]), [["busy", "UNKNOWN_STATUS"]]);
    const { objectId, createdBy, callSite, ownerId, ownerPid } = busyOwner.objects[0] as ObjectState;
    assert.deepEqual([objectId, createdBy, callSite, ownerId, ownerPid], [undefined, undefined, undefined, "busy", undefined]);
    assert.deepEqual(busyOwner.unansweredWorkers, ["busy"]);
  });

  test("a borrower of which the owner has not heard yet counts, and one that has let go already is unknown", () => {
    const early = worker({ workerId: "early", isDriver: false, borrowed: [{ objectId: "o1", references: ["LOCAL_REFERENCE"] }] });
    const late = worker({ workerId: "late", isDriver: false, borrowed: [{ objectId: "o1", references: [] }] });
    const { objects } = listingOf(listing([stored({})], [worker({ owned: [owned({ borrowerIds: ["late"] })] }), early, late]));
    assert.deepEqual(reasons(objects[0]), [["driver", "LOCAL_REFERENCE"], ["late", "UNKNOWN_STATUS"], ["early", "LOCAL_REFERENCE"]]);
  });

  test("a freed object is kept by views alone, and its owner may still know it", () => {
    const driver = worker({ owned: [owned({ references: [] })] });
    const { objects } = listingOf(listing([stored({ ownerId: null, isFreed: true, pinnedBy: ["driver"] }), stored({ id: 2, ownerId: null, isFreed: true, pinnedBy: ["driver"] })], [driver]));
    assert.deepEqual(objects.map(({ objectId, ownerId, isFreed }) => [objectId, ownerId, isFreed]), [["o1", "driver", true], [undefined, undefined, true]]);
    for (const object of objects) assert.deepEqual(reasons(object), [["driver", "PINNED_IN_MEMORY"]]);
  });

  test("an argument by value has no id, and what its owner has not heard of has no reason", () => {
    const driver = worker({ owned: [owned({ objectId: null, createdBy: "argument 1 of f()", references: ["USED_BY_PENDING_TASK"] })] });
    const { objects } = listingOf(listing([stored({}), stored({ id: 2 })], [driver]));
    assert.deepEqual(objects.map(({ objectId, createdBy }) => [objectId, createdBy]), [[undefined, "argument 1 of f()"], [undefined, undefined]]);
    assert.deepEqual(objects.map(reasons), [[["driver", "USED_BY_PENDING_TASK"]], []]);
  });
});

test("wrong options are refused before anything is started", async () => {
  for (const options of [{ limit: 0 }, { limit: 10_001 }, { limit: 1.5 }, { timeoutMs: -1 }, { timeoutMs: Number.POSITIVE_INFINITY }, { collectGarbage: 1 }, { detail: true }]) {
    await assert.rejects(listObjects(options as never), { name: "InvalidArgumentError" });
  }
});
