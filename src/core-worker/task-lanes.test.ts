import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TaskLanes } from "./task-lanes.ts";

interface Task {
  readonly id: number;
  readonly template: { readonly priority: number };
}

function drained(lanes: TaskLanes<Task>): number[] {
  const ids: number[] = [];
  for (let task = lanes.shift(); task !== undefined; task = lanes.shift()) ids.push(task.id);
  return ids;
}

test("larger priorities come first, equal ones in order, 0 in the middle", () => {
  const lanes = new TaskLanes<Task>();
  [0, 5, -1, 0, 5, 0.5, -1].forEach((priority, index) => lanes.push({ id: index, template: { priority } }));
  assert.equal(lanes.peek()?.id, 1);
  assert.deepEqual([...lanes].map(({ id }) => id), [1, 4, 5, 0, 3, 2, 6]);
  lanes.unshift({ id: 7, template: { priority: 5 } });
  lanes.unshift({ id: 8, template: { priority: 0 } });
  assert.deepEqual(drained(lanes), [7, 1, 4, 5, 8, 0, 3, 2, 6]);
  assert.equal(lanes.length, 0);
  assert.equal(lanes.peek(), undefined);
});

test("it is a stable sorted list, whatever is put in, put back and taken out", () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constantFrom("push" as const, "unshift" as const), fc.constantFrom(0, 0, 1, -1, 2.5, 1e9, -7)) },
    { weight: 3, arbitrary: fc.tuple(fc.constant("shift" as const), fc.constant(0)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("remove" as const), fc.integer({ min: 1, max: 4 })) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100, size: "max" }), (steps) => {
      const lanes = new TaskLanes<Task>();
      let model: Task[] = [];
      let next = 0;
      for (const [action, number] of steps) {
        switch (action) {
          case "push":
          case "unshift": {
            const task = { id: next++, template: { priority: number } };
            lanes[action](task);
            const at = model.findIndex(({ template: { priority } }) => (action === "push" ? priority < number : priority <= number));
            model.splice(at < 0 ? model.length : at, 0, task);
            break;
          }
          case "shift":
            assert.equal(lanes.peek(), model[0]);
            assert.equal(lanes.shift(), model.shift());
            break;
          case "remove": {
            const matches = ({ id }: Task): boolean => id % number === 0;
            assert.deepEqual(lanes.removeWhere(matches), model.filter(matches));
            model = model.filter((task) => !matches(task));
            break;
          }
        }
        assert.equal(lanes.length, model.length);
        assert.deepEqual([...lanes], model);
      }
    }),
  );
});
