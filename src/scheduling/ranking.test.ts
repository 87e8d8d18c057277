import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Ranking } from "./ranking.ts";

describe("a ranking", () => {
  test("has the first one first, while first ones move back or go", () => {
    const steps = fc.array(fc.option(fc.nat({ max: 9 })), { maxLength: 60 });
    fc.assert(fc.property(fc.array(fc.nat({ max: 30 }), { maxLength: 20 }), steps, (values, moves) => {
      const items = values.map((value, id) => ({ value, id }));
      const compare = (a: { value: number; id: number }, b: { value: number; id: number }): number => a.value - b.value || a.id - b.id;
      const ranking = new Ranking(items, compare);
      for (const move of moves) {
        const first = [...items].sort(compare)[0];
        assert.equal(ranking.first, first);
        if (first === undefined) return;
        if (move === null) {
          ranking.dropFirst();
          items.splice(items.indexOf(first), 1);
        } else {
          first.value += move;
          ranking.firstChanged();
        }
      }
    }));
  });
});
