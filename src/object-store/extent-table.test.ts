import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { CACHED, DOOMED, EVICTING, ExtentTable, type ExtentState, FREE, SEALED, SLOTS_MAX, WRITING } from "./extent-table.ts";

function table(rows: number = 4): ExtentTable {
  return new ExtentTable(new Int32Array(new SharedArrayBuffer(ExtentTable.bytesFor(rows))));
}

/** Row 1 holds object 77 of slot 3. */
function sealed(): ExtentTable {
  const made = table();
  made.grant(1, { segment: 0, offset: 8, size: 4 }, 3);
  made.change(1, CACHED, 3, WRITING, 3);
  made.describe(1, 77, 16_000);
  made.change(1, WRITING, 3, SEALED, 3);
  return made;
}

describe("the extent table", () => {
  test("is empty where memory is zero, and has as many rows as fit", () => {
    const empty = table(5);
    assert.equal(empty.rowsMax, 5);
    for (let row = 0; row < 5; row++) assert.deepEqual([empty.state(row), empty.slot(row), empty.isPinned(row), empty.pinnedBy(row)], [FREE, 0, false, []]);
  });

  test("(1) memory is granted only in a free row", () => {
    assert.throws(() => sealed().grant(1, { segment: 0, offset: 0, size: 1 }, 2), /in use/);
  });

  test("a step is taken only from the state and the slot that were expected", () => {
    const rows = sealed();
    assert.equal(rows.change(1, SEALED, 2, DOOMED, 2), false);
    assert.equal(rows.change(1, EVICTING, 3, DOOMED, 3), false);
    assert.equal(rows.changeState(1, EVICTING, DOOMED), false);
    assert.deepEqual([rows.state(1), rows.slot(1)], [SEALED, 3]);
    assert.equal(rows.changeState(1, SEALED, EVICTING), true);
    assert.deepEqual([rows.state(1), rows.slot(1)], [EVICTING, 3]);
  });

  test("what is written into one row changes no other", () => {
    fc.assert(fc.property(
      fc.constantFrom<ExtentState>(CACHED, WRITING, SEALED, EVICTING, DOOMED), fc.nat(SLOTS_MAX - 1), fc.maxSafeNat(), fc.nat(2 ** 31), fc.nat(2 ** 31 - 1), fc.nat(2),
      (state, slot, id, byteLength, pages, row) => {
        const rows = table(3);
        const before = [0, 1, 2].map((other) => [rows.state(other), rows.id(other), rows.pages(other), rows.pinnedBy(other)]);
        rows.grant(row, { segment: 63, offset: pages, size: pages }, slot);
        rows.change(row, CACHED, slot, state, slot);
        rows.describe(row, id, byteLength);
        rows.touch(row, 5);
        rows.setPin(row, slot);
        assert.deepEqual([rows.state(row), rows.slot(row), rows.id(row), rows.byteLength(row), rows.lastUse(row)], [state, slot, id, byteLength, 5]);
        assert.deepEqual([rows.place(row), rows.pinnedBy(row)], [{ segment: 63, offset: pages, size: pages }, [slot]]);
        const after = [0, 1, 2].map((other) => [rows.state(other), rows.id(other), rows.pages(other), rows.pinnedBy(other)]);
        for (const other of [0, 1, 2]) if (other !== row) assert.deepEqual(after[other], before[other]);
      },
    ));
  });

  test("a reader's pin holds only on the object that it means, while it is sealed", () => {
    const rows = sealed();
    assert.equal(rows.tryPin(1, 9, 78), false);
    assert.equal(rows.tryPin(0, 9, 77), false);
    for (const outside of [-1, 4, 1e9]) assert.equal(rows.tryPin(outside, 9, 77), false);
    assert.equal(rows.tryPin(1, 9, 77), true);
    rows.changeState(1, SEALED, EVICTING);
    assert.equal(rows.tryPin(1, 10, 77), true, "while it is written to disk it can be read");
    rows.changeState(1, EVICTING, DOOMED);
    assert.equal(rows.tryPin(1, 11, 77), false);
    assert.deepEqual(rows.pinnedBy(1), [9, 10, 11], "whoever fails clears its pin itself");
  });

  test("each slot has a pin of its own; who clears the pin of a doomed row is told", () => {
    const rows = sealed();
    const slots = [0, 31, 32, 63, SLOTS_MAX - 1];
    for (const slot of slots) rows.setPin(1, slot);
    assert.deepEqual(rows.pinnedBy(1), slots);
    for (const slot of slots) {
      assert.equal(rows.isPinnedByOthers(1, slot), true);
      assert.equal(rows.isPinnedBy(1, slot), true);
    }
    assert.equal(rows.clearPin(1, 31), false);
    rows.changeState(1, SEALED, DOOMED);
    for (const slot of [0, 32, 63]) assert.equal(rows.clearPin(1, slot), true);
    assert.deepEqual([rows.isPinned(1), rows.isPinnedByOthers(1, SLOTS_MAX - 1)], [true, false]);
    rows.clearPin(1, SLOTS_MAX - 1);
    assert.equal(rows.isPinned(1), false);
  });
});
