import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { nodesToTakeOut } from "./split-network.ts";

describe("nodes that cannot reach each other", () => {
  test("of two the one that joined last goes, and never the head", () => {
    assert.deepEqual(nodesToTakeOut([["b", "c"]], ["a", "b", "c"]), ["c"]);
    assert.deepEqual(nodesToTakeOut([["c", "b"], ["b", "c"]], ["a", "b", "c"]), ["c"]);
    assert.deepEqual(nodesToTakeOut([["b", "a"]], ["a", "b", "c"]), ["b"]);
  });

  test("the one that none can reach goes, and the others stay", () => {
    assert.deepEqual(nodesToTakeOut([["b", "c"], ["d", "b"], ["b", "e"]], ["a", "b", "c", "d", "e"]), ["b"]);
  });

  test("those that have left meanwhile do not count", () => {
    assert.deepEqual(nodesToTakeOut([["b", "x"], ["x", "c"]], ["a", "b", "c"]), []);
  });

  test("whoever stays reaches all others that do", () => {
    const order = ["a", "b", "c", "d", "e", "f"];
    const node = fc.constantFrom(...order);
    fc.assert(fc.property(fc.array(fc.tuple(node, node).filter(([one, other]) => one !== other), { maxLength: 10 }), (pairs) => {
      const out = nodesToTakeOut(pairs, order);
      assert.ok(!out.includes("a"));
      assert.ok(pairs.every((pair) => pair.some((one) => out.includes(one))));
    }));
  });
});
