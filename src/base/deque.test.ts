import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Deque } from "./deque.ts";

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("push" as const), item: fc.integer() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("unshift" as const), item: fc.integer() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("shift" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("removeOdd" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("removeAll" as const) }) },
);

test("a deque behaves like an array", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200, size: "max" }), (steps) => {
      const deque = new Deque<number>();
      let model: number[] = [];
      for (const action of steps) {
        switch (action.kind) {
          case "push":
            deque.push(action.item);
            model.push(action.item);
            break;
          case "unshift":
            deque.unshift(action.item);
            model.unshift(action.item);
            break;
          case "shift":
            assert.equal(deque.shift(), model.shift());
            break;
          case "removeOdd":
            assert.deepEqual(deque.removeWhere((item) => item % 2 !== 0), model.filter((item) => item % 2 !== 0));
            model = model.filter((item) => item % 2 === 0);
            break;
          case "removeAll":
            assert.deepEqual(deque.removeWhere(() => true), model);
            model = [];
            break;
        }
        assert.equal(deque.length, model.length);
        assert.equal(deque.peek(), model[0]);
        assert.deepEqual([...deque], model);
      }
    }),
  );
});

test("a deque that held many items works on after it has drained and given its memory back", () => {
  const deque = new Deque<number>();
  for (let round = 0; round < 3; round++) {
    for (let item = 0; item < 10_000; item++) deque.push(item);
    for (let item = 0; item < 10_000; item++) assert.equal(deque.shift(), item);
    assert.equal(deque.shift(), undefined);
  }
});

test("an item may be undefined", () => {
  const deque = new Deque<undefined>();
  deque.push(undefined);
  assert.equal(deque.length, 1);
  assert.deepEqual([...deque], [undefined]);
  deque.shift();
  assert.equal(deque.length, 0);
});
