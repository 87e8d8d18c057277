import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { applyChanges, areAny, changesBetween } from "./amount-changes.ts";

const amounts = () => fc.dictionary(fc.constantFrom("CPU", "GPU", "memory", "disk"), fc.integer({ min: -2, max: 2 }), { noNullPrototype: true });

describe("changes of amounts", () => {
  test("name what is other, new and gone, and nothing else", () => {
    assert.deepEqual(changesBetween({ CPU: 1, GPU: 2, disk: 3 }, { CPU: 1, GPU: 0, memory: 4 }), { GPU: 0, memory: 4, disk: null });
    assert.equal(areAny(changesBetween({ CPU: 1 }, { CPU: 1 })), false);
    assert.equal(areAny(changesBetween({ CPU: 1 }, {})), true);
  });

  test("make the one of which they start into the other", () => {
    fc.assert(fc.property(amounts(), amounts(), (before, after) => {
      const changed = { ...before };
      applyChanges(changed, changesBetween(before, after));
      assert.deepEqual(changed, after);
    }));
  });

  test("of several times, put together, have the last word of each; and who knows some of it already comes to the same", () => {
    fc.assert(fc.property(fc.array(amounts(), { minLength: 2, maxLength: 6 }), fc.nat(), (times, seed) => {
      const together = Object.assign({}, ...times.slice(1).map((after, index) => changesBetween(times[index] ?? {}, after))) as Record<string, number | null>;
      const known = { ...(times[seed % times.length] as Record<string, number>) };
      applyChanges(known, together);
      assert.deepEqual(known, times.at(-1));
    }));
  });
});
