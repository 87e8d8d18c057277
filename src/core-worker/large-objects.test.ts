import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ObjectOrigin, OwnedObject, StoreClient } from "../clients/mod.ts";
import type { WorkerObjectsReport } from "../protocol/mod.ts";
import { LargeObjects } from "./large-objects.ts";
import { ObjectEntry } from "./object-entry.ts";
import type { KeptObject } from "./references.ts";

const MY_ID = "aaaaaaaaaaaaaaaa";
const OTHER_ID = "bbbbbbbbbbbbbbbb";

function storedEntry(sequence: number, ownerId = MY_ID): ObjectEntry {
  const entry = new ObjectEntry(ownerId, sequence, sequence);
  entry.settleEncoded({ format: 0, header: new Uint8Array(), buffers: [], descriptors: [], code: [], stored: { node: "a", id: sequence, row: 0, byteLength: 1 } });
  return entry;
}

function setUp(): { large: LargeObjects; owned: OwnedObject[]; inUse: ObjectEntry[]; kept: KeptObject[]; described: [number, ObjectOrigin][]; collections: { count: number }; report: (ownedMax: number) => WorkerObjectsReport } {
  const [owned, inUse, kept, described, collections]: [OwnedObject[], ObjectEntry[], KeptObject[], [number, ObjectOrigin][], { count: number }] = [[], [], [], [], { count: 0 }];
  const store = {
    owned: () => [...owned], describe: (stored: { id: number }, origin: ObjectOrigin) => void described.push([stored.id, origin]), collectGarbage: () => { collections.count++; },
  } as unknown as StoreClient;
  const large = new LargeObjects({
    workerId: MY_ID, pid: 7, isDriver: false, store, lifetimes: { entriesInUse: () => inUse }, references: { reasons: (isWanted) => kept.filter(({ entry }) => isWanted(entry)) }, actorClassName: () => "Cache",
  });
  const report = (ownedMax: number): WorkerObjectsReport => {
    const reports: (WorkerObjectsReport | null)[] = [];
    large.answer(ownedMax, (answer) => reports.push(answer));
    return reports[0] as WorkerObjectsReport;
  };
  return { large, owned, inUse, kept, described, collections, report };
}

function object(id: number, byteLength: number, more: Partial<OwnedObject> = {}): OwnedObject {
  return { node: "node", id, byteLength, isFreed: false, origin: { objectId: storedEntry(id).id, createdBy: "put()", places: null }, ...more };
}

describe("what a worker reports of large objects", () => {
  test("the largest ones that it owns, and beyond those the freed ones that are remembered", () => {
    const { owned, report } = setUp();
    owned.push(object(1, 10), object(2, 30), object(3, 20), object(4, 30), object(5, 99, { isFreed: true }));
    const { workerId, pid, isDriver, actorClassName, owned: reported } = report(3);
    assert.deepEqual([workerId, pid, isDriver, actorClassName], [MY_ID, 7, false, "Cache"]);
    assert.deepEqual(reported.map(({ storedId }) => storedId), [2, 4, 3, 5]);
    assert.deepEqual(reported.at(-1)?.references, []);
  });

  test("one that was never shared lives by its ref, or by the calls that have it", () => {
    const { owned, inUse, report } = setUp();
    owned.push(object(1, 10), object(2, 10), object(3, 10, { origin: { objectId: null, createdBy: "argument 1 of f()", places: null } }), object(4, 10, { origin: null }));
    inUse.push(storedEntry(2));
    assert.deepEqual(report(10).owned.map(({ references }) => references), [["LOCAL_REFERENCE"], ["USED_BY_PENDING_TASK"], ["USED_BY_PENDING_TASK"], ["UNKNOWN_STATUS"]]);
  });

  test("one that is counted is kept for the reasons that were counted, and by its borrowers", () => {
    const { owned, inUse, kept, report } = setUp();
    const [entry, used] = [storedEntry(1), storedEntry(2)];
    owned.push(object(1, 10), object(2, 10));
    inUse.push(used);
    kept.push({ entry, references: ["CAPTURED_IN_OBJECT"], borrowerIds: [OTHER_ID] }, { entry: used, references: ["LOCAL_REFERENCE"], borrowerIds: [] });
    const [first, second] = report(10).owned;
    assert.deepEqual([first?.references, first?.borrowerIds], [["CAPTURED_IN_OBJECT"], [OTHER_ID]]);
    assert.deepEqual(second?.references, ["LOCAL_REFERENCE", "USED_BY_PENDING_TASK"]);
  });

  test("what it borrows, known to be large or not; of its own only what is large", () => {
    const { kept, report } = setUp();
    const small = new ObjectEntry(MY_ID, 1, 1);
    const pending = new ObjectEntry(OTHER_ID, 2, 2);
    for (const entry of [small, pending, storedEntry(3, OTHER_ID)]) kept.push({ entry, references: ["LOCAL_REFERENCE"], borrowerIds: [] });
    const { owned, borrowed } = report(10);
    assert.deepEqual([owned, borrowed.map(({ objectId }) => objectId)], [[], [pending.id, storedEntry(3, OTHER_ID).id]]);
  });

  test("a limit of 0 asks for garbage collection, which is over some turns later", async () => {
    const { large, collections } = setUp();
    let answer: WorkerObjectsReport | null | undefined;
    await new Promise<void>((resolve) => {
      large.answer(0, (given) => { answer = given; resolve(); });
      assert.deepEqual([answer, collections.count], [undefined, 1]);
    });
    assert.equal(answer, null);
  });
});

describe("the origin of a large object", () => {
  test("its places are plain data, taken from the stack once", () => {
    const { large, described } = setUp();
    const site: { stack?: string } = {};
    Error.captureStackTrace(site);
    const entry = storedEntry(1);
    large.put({ node: "a", id: 1, row: 0, byteLength: 1 }, entry, site);
    large.put({ node: "a", id: 2, row: 0, byteLength: 1 }, storedEntry(2), site);
    const [[, first], [, second]] = described as [[number, ObjectOrigin], [number, ObjectOrigin]];
    assert.deepEqual([first.objectId, first.createdBy], [entry.id, "put()"]);
    assert.ok(first.places !== null && first.places.length > 0);
    assert.equal(second.places, first.places);
  });
});
