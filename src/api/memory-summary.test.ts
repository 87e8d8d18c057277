import assert from "node:assert/strict";
import { test } from "node:test";
import { summaryOf } from "./memory-summary.ts";
import type { ObjectListing, ObjectReference, ObjectState } from "./object-listing.ts";

const MEBIBYTE = 1024 ** 2;
const inDriver: ObjectReference = { referenceType: "LOCAL_REFERENCE", workerId: "d1", pid: 10, type: "DRIVER", actorClassName: undefined };
const inActor: ObjectReference = { referenceType: "PINNED_IN_MEMORY", workerId: "a1", pid: 11, type: "WORKER", actorClassName: "Cache" };
const inUnknown: ObjectReference = { referenceType: "UNKNOWN_STATUS", workerId: "u1", pid: undefined, type: undefined, actorClassName: undefined };

function object(state: Partial<ObjectState>): ObjectState {
  return {
    objectId: "o", objectSize: MEBIBYTE, ownerId: "d1", ownerPid: 10, createdBy: "put()", callSite: "load (app.ts:5:14)", isInMemory: true, isSpilled: false, isFreed: false, isCopy: false,
    references: [inDriver], ...state,
  };
}

function listing(objects: ObjectState[], rest: Partial<ObjectListing> = {}): ObjectListing {
  return { objects, total: objects.length, store: { isAvailable: true, capacityBytes: 2 * 1024 * MEBIBYTE, usedBytes: 20 * MEBIBYTE, spilledBytes: 512 }, unansweredWorkers: [], ...rest };
}

test("objects are shown by the place that made them, where most memory is used first", () => {
  const text = summaryOf(listing([
    object({ objectId: "big", objectSize: 3 * MEBIBYTE, createdBy: "make()", callSite: undefined, references: [inDriver, inActor] }),
    object({ objectId: "one", objectSize: 2 * MEBIBYTE }),
    object({ objectId: "two", objectSize: 2 * MEBIBYTE, isInMemory: false, isSpilled: true, references: [inUnknown] }),
    object({ objectId: undefined, objectSize: MEBIBYTE, createdBy: undefined, callSite: undefined, isSpilled: true, isFreed: true, references: [] }),
  ], { unansweredWorkers: ["u1"] }));
  assert.equal(text, `Object store: 20.0 MB of 2.0 GB in use, 512 B on disk
4 objects: 8.0 MB, of it 6.0 MB in memory, 3.0 MB of that pinned by views

4.0 MB in 2 objects: put() at load (app.ts:5:14)
  2.0 MB  in memory  one
    LOCAL_REFERENCE in the driver (pid 10)
  2.0 MB  on disk  two
    UNKNOWN_STATUS in worker u1

3.0 MB in 1 object: make()
  3.0 MB  in memory  big
    LOCAL_REFERENCE in the driver (pid 10)
    PINNED_IN_MEMORY in Cache (worker a1, pid 11)

1.0 MB in 1 object: made at a place that nobody told
  1.0 MB  in memory and on disk, freed  (without a ref)

1 worker did not answer in time, busy with one computation: u1
`);
});

test("a leak of many objects stays readable", () => {
  const objects = Array.from({ length: 25 }, (_, index) => object({ objectId: `o${index}` }));
  const lines = summaryOf(listing(objects, { total: 3000 })).split("\n");
  assert.equal(lines[2], "These are sums of the 25 largest objects.");
  assert.equal(lines[4], "25.0 MB in 25 objects: put() at load (app.ts:5:14)");
  assert.equal(lines.at(-2), "  and 15 more objects, 15.0 MB");
  assert.equal(lines.length, 3 + 2 + 2 * 10 + 2);
});

test("an empty store, and none at all", () => {
  assert.equal(summaryOf(listing([])), "Object store: 20.0 MB of 2.0 GB in use, 512 B on disk\n0 objects: 0 B, of it 0 B in memory, 0 B of that pinned by views\n");
  const store = { isAvailable: false, capacityBytes: 0, usedBytes: 0, spilledBytes: 0 };
  assert.match(summaryOf(listing([], { store })), /^There is no shared memory here/);
});
