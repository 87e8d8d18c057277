import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BEGUN_TABLE_BYTES, begunIn, BegunTasks } from "./begun-tasks.ts";

const emptyTable = (): Float64Array => new Float64Array(BEGUN_TABLE_BYTES / Float64Array.BYTES_PER_ELEMENT);

describe("which tasks have begun", () => {
  test("are those that were noted, each until another begins in its slot", () => {
    const [tasks, table] = [new BegunTasks(), emptyTable()];
    tasks.keepIn(table);
    assert.deepEqual(begunIn(table), new Set());
    tasks.begins(0, 0);
    tasks.begins(1, 7);
    tasks.begins(4094, 2 ** 52);
    assert.deepEqual(begunIn(table), new Set([0, 7, 2 ** 52]));
    tasks.begins(1, 8);
    assert.deepEqual(begunIn(table), new Set([0, 8, 2 ** 52]));
  });

  test("are also those that began before there was a table, whether they run or their results are on their way", () => {
    const [tasks, table] = [new BegunTasks(), emptyTable()];
    tasks.begins(0, 3);
    tasks.begins(2, 4);
    tasks.begins(0, 5);
    assert.deepEqual([tasks.isKept, begunIn(table)], [false, null]);
    tasks.keepIn(table);
    assert.deepEqual([tasks.isKept, begunIn(table)], [true, new Set([4, 5])]);
  });

  test("a task that is to run again has not begun again when it arrives", () => {
    const [tasks, table] = [new BegunTasks(), emptyTable()];
    tasks.keepIn(table);
    tasks.begins(3, 5);
    tasks.waits(3);
    tasks.waits(5000);
    assert.deepEqual(begunIn(table), new Set());
  });

  test("cannot be told once one has begun beyond the slots, before there is a table or after, nor where there is none", () => {
    for (const isEarly of [true, false]) {
      const [tasks, table] = [new BegunTasks(), emptyTable()];
      if (isEarly) tasks.begins(4095, 8);
      tasks.keepIn(table);
      if (!isEarly) tasks.begins(4095, 8);
      assert.equal(begunIn(table), null);
    }
    const tasks = new BegunTasks();
    tasks.keepIn(null);
    tasks.begins(0, 1);
    assert.equal(tasks.isKept, true);
  });
});
