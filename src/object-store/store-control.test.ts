import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SLOTS_MAX } from "./extent-table.ts";
import { ANSWER_AWAITED, ANSWER_FULL, ANSWER_GRANTED, ANSWER_NONE, GRANT_ROWS_MAX, SEGMENTS_MAX, STATUS_CLOSED, STATUS_READY, STATUS_UNAVAILABLE, StoreControl } from "./store-control.ts";
import { createStoreDoor, StoreDoor } from "./store-door.ts";

function control(): StoreControl {
  return new StoreControl(new SharedArrayBuffer(StoreControl.bytesFor(16)));
}

describe("the control file", () => {
  test("says what the store is like, up to its limits", () => {
    const memory = new SharedArrayBuffer(StoreControl.bytesFor(16));
    const service = new StoreControl(memory);
    assert.equal(service.status, 0);
    const description = {
      servicePid: 4711, capacityPages: 2 ** 31 - 1, folder: `/dev/shm/${"ü".repeat(200)}`,
      segmentPages: Array.from({ length: SEGMENTS_MAX }, (_, index) => index + 1),
      addresses: Array.from({ length: SEGMENTS_MAX }, (_, index) => 0x7fff_ffff_f000n - BigInt(index)),
    };
    service.describe(description);
    const worker = new StoreControl(memory);
    assert.deepEqual([worker.status, worker.description(), worker.table.rowsMax], [STATUS_READY, description, 16]);
    service.close();
    assert.equal(worker.status, STATUS_CLOSED);
  });

  test("a file that says that there is no store, and one that says nothing", () => {
    const bytes = StoreControl.unavailable();
    assert.equal(new StoreControl(bytes.buffer).status, STATUS_UNAVAILABLE);
    assert.equal(control().status, 0);
  });

  test("a worker finds its slot by its nonce until it ends, and learns that it has none", () => {
    const shared = control();
    const before = shared.attachCount;
    shared.assignSlot(1, 100);
    shared.assignSlot(SLOTS_MAX - 1, 200);
    assert.deepEqual([shared.slotOf(100), shared.slotOf(200), shared.slotOf(300)], [1, SLOTS_MAX - 1, undefined]);
    assert.ok(shared.attachCount > before);
    assert.notEqual(shared.attachNumber(1), shared.attachNumber(SLOTS_MAX - 1));
    const first = shared.attachNumber(1);
    shared.clearSlot(1);
    assert.equal(shared.slotOf(100), undefined, "nobody else may be taken for it");
    shared.assignSlot(1, 300);
    assert.ok(shared.attachNumber(1) > first, "ids of objects are not used twice");
    const count = shared.attachCount;
    for (let nonce = 500; nonce < 540; nonce++) shared.refuseSlot(nonce);
    assert.deepEqual([shared.isRefused(539), shared.isRefused(520), shared.isRefused(100)], [true, true, false]);
    assert.notEqual(shared.attachCount, count, "whoever sleeps on it wakes");
  });

  test("who waits for memory sees that some is being made", () => {
    const shared = control();
    assert.deepEqual([shared.progress, shared.isSpilling], [0, false]);
    shared.noteProgress(-7, true);
    assert.deepEqual([shared.progress, shared.isSpilling], [-7, true]);
    shared.noteProgress(-6, false);
    assert.deepEqual([shared.progress, shared.isSpilling], [-6, false]);
  });

  test("an answer reaches the request that it belongs to, and no later one", () => {
    const shared = control();
    assert.equal(shared.answer(2), ANSWER_NONE);
    shared.awaitAnswer(2, 7);
    assert.equal(shared.answer(2), ANSWER_AWAITED);
    assert.equal(shared.respond(2, 6, ANSWER_GRANTED, [1]), false);
    const rows = Array.from({ length: GRANT_ROWS_MAX }, (_, index) => index);
    assert.equal(shared.respond(2, 7, ANSWER_GRANTED, rows), true);
    assert.deepEqual([shared.answer(2), shared.grantedRows(2), shared.answer(3)], [ANSWER_GRANTED, rows, ANSWER_NONE]);
    assert.equal(shared.respond(2, 7, ANSWER_FULL, []), false, "it was answered");
    shared.awaitAnswer(2, 8);
    assert.equal(shared.stopAwaiting(2, 8), true);
    assert.equal(shared.respond(2, 8, ANSWER_GRANTED, [1]), false, "it does not wait any more");
    const word = shared.awaitAnswer(2, 9);
    shared.respond(2, 9, ANSWER_FULL, []);
    assert.equal(shared.stopAwaiting(2, 9), false, "the answer has come");
    assert.notEqual(shared.awaitAnswer(2, 10), word);
  });

  test("sequence numbers may exceed a word", () => {
    const shared = control();
    shared.awaitAnswer(1, 2 ** 40 + 3);
    assert.equal(shared.respond(1, 2 ** 40 + 3, ANSWER_FULL, []), true);
    assert.equal(shared.answer(1), ANSWER_FULL);
  });

  test("the second to leave is told that it is the last", () => {
    const shared = control();
    assert.deepEqual([shared.leave(), shared.leave()], [false, true]);
  });
});

describe("the door for threads", () => {
  test("says nothing, that there is no store, or where it is", () => {
    const memory = createStoreDoor();
    assert.equal(new StoreDoor(memory).wait(0), undefined);
    new StoreDoor(memory).noStore();
    assert.equal(new StoreDoor(memory).wait(1_000), null);
    new StoreDoor(memory).open(0x7fff_ffff_f123n, 4096);
    assert.deepEqual(new StoreDoor(memory).wait(1_000), { address: 0x7fff_ffff_f123n, byteLength: 4096 });
  });
});
