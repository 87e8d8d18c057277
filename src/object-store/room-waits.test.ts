import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PAGE_BYTES } from "./arena-state.ts";
import { DOOMED, ExtentTable, SEALED } from "./extent-table.ts";
import { describeFullStore, roomWanted, RoomWaits } from "./room-waits.ts";

const MEGABYTE_PAGES = 1024 ** 2 / PAGE_BYTES;

describe("who waits for room", () => {
  test("is listed with what it wants, and for how long, until it is over", () => {
    const waits = new RoomWaits();
    const origin = { callSite: "main.ts:1:2", runs: null };
    const usage = { usedPages: 3, capacityPages: 4 };
    waits.begin("a", 2, origin, 1_000);
    waits.begin("b", 1, null, 2_000);
    assert.deepEqual(waits.list(2_500, usage), [
      { workerId: "a", byteLength: 2 * PAGE_BYTES, waitedMs: 1_500, usedBytes: 3 * PAGE_BYTES, capacityBytes: 4 * PAGE_BYTES, origin },
      { workerId: "b", byteLength: PAGE_BYTES, waitedMs: 500, usedBytes: 3 * PAGE_BYTES, capacityBytes: 4 * PAGE_BYTES, origin: null },
    ]);
    waits.end("a");
    waits.end("unknown");
    waits.begin("b", 5, null, 3_000);
    assert.deepEqual(waits.list(3_000, usage).map(({ workerId, byteLength, waitedMs }) => [workerId, byteLength, waitedMs]), [["b", 5 * PAGE_BYTES, 0]]);
  });

  test("is named by where it is in the program and in which task", () => {
    assert.equal(roomWanted(4 * 1024 ** 2, { callSite: "main.ts:1:2", runs: "load" }), "an object of 4.0 MB that is made at main.ts:1:2 in load()");
    assert.equal(roomWanted(4 * 1024 ** 2, { callSite: null, runs: "load" }), "an object of 4.0 MB that is made in load()");
    assert.equal(roomWanted(4 * 1024 ** 2, null), "an object of 4.0 MB");
  });

  test("is told what the store is full of: views, those of the worker itself among them", () => {
    const table = new ExtentTable(new Int32Array(ExtentTable.bytesFor(8) / Int32Array.BYTES_PER_ELEMENT));
    for (const [row, megabytes] of [1, 2, 4, 8].entries()) table.grant(row, { segment: 0, offset: 0, size: megabytes * MEGABYTE_PAGES }, 1);
    table.change(1, 1, 1, SEALED, 1);
    table.change(2, 1, 1, DOOMED, 1);
    table.setPin(1, 40);
    table.setPin(2, 40);
    table.setPin(2, 3);
    assert.equal(describeFullStore(table, 3, 16 * MEGABYTE_PAGES), "15.0 MB of 16.0 MB are in use, and views are left of 6.0 MB, 4.0 MB of these in this worker");
  });
});
