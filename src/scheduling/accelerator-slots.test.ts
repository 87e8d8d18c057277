import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AcceleratorSlots } from "./accelerator-slots.ts";

const WHOLE = 10_000;

describe("accelerators with ids", () => {
  test("parts share one, as long as it has room, and whole ones stay free", () => {
    const slots = new AcceleratorSlots(["0", "1", "2"]);
    assert.deepEqual(slots.take(2_500), ["0"]);
    assert.deepEqual(slots.take(5_000), ["0"]);
    assert.deepEqual(slots.take(5_000), ["1"], "a quarter is left of the first");
    assert.deepEqual(slots.take(2_500), ["0"], "where least is left");
    assert.deepEqual(slots.take(WHOLE), ["2"]);
    assert.ok(!slots.hasRoomFor(WHOLE));
    assert.ok(slots.hasRoomFor(5_000));
    assert.ok(!slots.hasRoomFor(5_001));
  });

  test("a whole one is shared with nobody, though parts of several would add up", () => {
    const slots = new AcceleratorSlots(["a", "b"]);
    slots.take(5_000);
    const [whole] = slots.take(WHOLE);
    assert.equal(whole, "b");
    slots.give(["b"], WHOLE);
    assert.deepEqual(slots.take(6_000), ["b"]);
    assert.ok(!slots.hasRoomFor(WHOLE), "0.9 is free, on two");
    assert.ok(!slots.hasRoomFor(2 * WHOLE));
  });

  test("several are different ones, and come back", () => {
    const slots = new AcceleratorSlots(["a", "b", "c"]);
    assert.deepEqual(slots.take(2 * WHOLE), ["a", "b"]);
    assert.ok(!slots.hasRoomFor(2 * WHOLE));
    slots.give(["a", "b"], 2 * WHOLE);
    assert.deepEqual(slots.take(3 * WHOLE), ["a", "b", "c"]);
  });

  test("a copy is of its own", () => {
    const slots = new AcceleratorSlots(["a"]);
    const copy = slots.copy();
    copy.take(WHOLE);
    assert.ok(slots.hasRoomFor(WHOLE));
  });

  test("whatever is taken and given back, none is given out twice", () => {
    const amount = fc.constantFrom(1, 2_500, 3_333, 5_000, WHOLE, 2 * WHOLE);
    fc.assert(
      fc.property(fc.array(fc.tuple(amount, fc.nat()), { maxLength: 60 }), (steps) => {
        const slots = new AcceleratorSlots(["a", "b", "c"]);
        const held: { ids: readonly string[]; units: number }[] = [];
        for (const [units, which] of steps) {
          if (slots.hasRoomFor(units)) held.push({ ids: slots.take(units), units });
          else if (held.length > 0) {
            const [{ ids, units: back }] = held.splice(which % held.length, 1) as [(typeof held)[0]];
            slots.give(ids, back);
          }
          const used = new Map<string, number>();
          for (const { ids, units: taken } of held) for (const id of ids) used.set(id, (used.get(id) ?? 0) + taken / ids.length);
          for (const taken of used.values()) assert.ok(taken <= WHOLE);
        }
        for (const { ids, units } of held) slots.give(ids, units);
        assert.deepEqual(slots.take(3 * WHOLE), ["a", "b", "c"]);
      }),
    );
  });
});
