import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BEGUN_TABLE_BYTES, begunIn, noteBegun, noteNotBegun, noteThatThisIsAll } from "./begun-tasks.ts";

const emptyTable = (): Float64Array => new Float64Array(BEGUN_TABLE_BYTES / Float64Array.BYTES_PER_ELEMENT);

describe("which tasks have begun", () => {
  test("are those that were noted, each until another begins in its slot", () => {
    const table = emptyTable();
    noteThatThisIsAll(table);
    assert.deepEqual(begunIn(table), new Set());
    noteBegun(table, 0, 0);
    noteBegun(table, 1, 7);
    noteBegun(table, 4094, 2 ** 52);
    assert.deepEqual(begunIn(table), new Set([0, 7, 2 ** 52]));
    noteBegun(table, 1, 8);
    assert.deepEqual(begunIn(table), new Set([0, 8, 2 ** 52]));
  });

  test("a task that is to run again has not begun again when it arrives", () => {
    const table = emptyTable();
    noteThatThisIsAll(table);
    noteBegun(table, 3, 5);
    noteNotBegun(table, 3);
    noteNotBegun(table, 5000);
    assert.deepEqual(begunIn(table), new Set());
  });

  test("cannot be told before what ran already is noted, nor once one has begun beyond the slots", () => {
    const table = emptyTable();
    noteBegun(table, 1, 7);
    assert.equal(begunIn(table), null);
    noteThatThisIsAll(table);
    assert.deepEqual(begunIn(table), new Set([7]));
    noteBegun(table, 4095, 8);
    assert.equal(begunIn(table), null);
  });
});
