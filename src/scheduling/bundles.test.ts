import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type ResourceAmounts, toAmounts } from "../base/mod.ts";
import type { PlacementStrategyName } from "../protocol/mod.ts";
import { type BundleNode, type BundlesAnswer, placeBundles } from "./bundles.ts";
import { fits, sumOf } from "./resources.ts";

const STRATEGIES: readonly PlacementStrategyName[] = ["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"];

function node(key: string, totals: Readonly<Record<string, number>>, available: Readonly<Record<string, number>> = totals): BundleNode {
  return { key, totals: toAmounts(totals), available: toAmounts(available), promised: null };
}

function place(nodes: readonly BundleNode[], bundles: readonly Readonly<Record<string, number>>[], strategy: PlacementStrategyName, occupied: readonly string[] = []): BundlesAnswer {
  return placeBundles(nodes, { bundles: bundles.map(toAmounts), strategy, occupied });
}

const nodesOf = (answer: BundlesAnswer): readonly string[] => {
  assert.equal(answer.type, "nodes", JSON.stringify(answer));
  return (answer as BundlesAnswer & { type: "nodes" }).nodes;
};
const reasonOf = (answer: BundlesAnswer): string => {
  assert.equal(answer.type, "infeasible", JSON.stringify(answer));
  return (answer as BundlesAnswer & { type: "infeasible" }).reason;
};

describe("nodes for the bundles of a placement group", () => {
  test("PACK takes one node where that is enough, the one that is left with least", () => {
    assert.deepEqual(nodesOf(place([node("a", { CPU: 8 }), node("b", { CPU: 3 })], [{ CPU: 1 }, { CPU: 2 }], "PACK")), ["b", "b"]);
    assert.deepEqual(nodesOf(place([node("a", { CPU: 2 }), node("b", { CPU: 3 })], [{ CPU: 2 }, { CPU: 2 }, { CPU: 1 }], "PACK")), ["a", "b", "b"]);
  });

  test("PACK keeps nodes with GPUs for those who ask for them", () => {
    assert.deepEqual(nodesOf(place([node("a", { CPU: 2, GPU: 1 }), node("b", { CPU: 4 })], [{ CPU: 2 }], "PACK")), ["b"]);
    assert.deepEqual(nodesOf(place([node("a", { CPU: 2, GPU: 1 }), node("b", { CPU: 4 })], [{ CPU: 1, GPU: 1 }, { CPU: 3 }], "PACK")), ["a", "b"]);
  });

  test("SPREAD takes a node for each bundle while there are enough, then the least used", () => {
    const nodes = [node("a", { CPU: 4 }), node("b", { CPU: 4 })];
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }, { CPU: 1 }], "SPREAD")).toSorted(), ["a", "b"]);
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }, { CPU: 1 }, { CPU: 1 }, { CPU: 1 }], "SPREAD")).toSorted(), ["a", "a", "b", "b"]);
    assert.deepEqual(nodesOf(place([node("a", { CPU: 4 })], [{ CPU: 1 }, { CPU: 1 }], "SPREAD")), ["a", "a"]);
  });

  test("STRICT_PACK takes one node or none", () => {
    const nodes = [node("a", { CPU: 2 }), node("b", { CPU: 3 }, { CPU: 1 })];
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }, { CPU: 1 }], "STRICT_PACK")), ["a", "a"]);
    assert.deepEqual(place(nodes, [{ CPU: 2 }, { CPU: 1 }], "STRICT_PACK"), { type: "wait", nodes: ["b", "b"] });
    assert.equal(reasonOf(place(nodes, [{ CPU: 2 }, { CPU: 2 }], "STRICT_PACK")), "its bundles need 4 CPU, but no node has more than 3, and are for one node (STRICT_PACK)");
  });

  test("STRICT_SPREAD takes different nodes or none", () => {
    const nodes = [node("a", { CPU: 2 }), node("b", { CPU: 3 })];
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }, { CPU: 3 }], "STRICT_SPREAD")), ["a", "b"]);
    assert.equal(reasonOf(place(nodes, [{ CPU: 1 }, { CPU: 1 }, { CPU: 1 }], "STRICT_SPREAD")), "it has 3 bundles for as many nodes (STRICT_SPREAD), but the cluster has 2 nodes");
    assert.deepEqual(nodesOf(place([node("a", { CPU: 2 })], [{ CPU: 1 }], "STRICT_SPREAD")), ["a"]);
    assert.equal(reasonOf(place([node("a", { CPU: 2 })], [{ CPU: 1 }, { CPU: 1 }], "STRICT_SPREAD")), "it has 2 bundles for as many nodes (STRICT_SPREAD), but the cluster has one node");
  });

  test("bundles that are placed again keep to what the others of their group say", () => {
    const nodes = [node("a", { CPU: 4 }), node("b", { CPU: 4 }), node("c", { CPU: 4 })];
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }], "STRICT_SPREAD", ["a", "c"])), ["b"]);
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }], "SPREAD", ["a", "c"])), ["b"]);
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 1 }], "PACK", ["c"])), ["c"]);
    assert.equal(reasonOf(place(nodes, [{ CPU: 1 }], "STRICT_SPREAD", ["a", "b", "c"])), "it has 4 bundles for as many nodes (STRICT_SPREAD), but the cluster has 3 nodes");
  });

  test("what no node could ever hold is told with what is missing", () => {
    assert.equal(reasonOf(place([node("a", { CPU: 2 })], [{ CPU: 1 }, { CPU: 8, GPU: 1 }], "PACK")), "bundle 1 needs 8 CPU, but the cluster has 2; 1 GPU, but the cluster has 0");
    assert.equal(reasonOf(place([node("a", { CPU: 2 })], [{ CPU: 2 }, { CPU: 2 }], "PACK")), "its bundles need 4 CPU, but the cluster has 2");
    assert.equal(reasonOf(place([node("a", { CPU: 2 }), node("b", { GPU: 1 })], [{ CPU: 1, GPU: 1 }], "PACK")), "its bundle needs 1 CPU and 1 GPU on one node, but no node has all of it");
    assert.equal(reasonOf(place([], [{ CPU: 1 }], "PACK")), "the cluster has no node that takes work");
  });

  test("a choice that leaves no place for the others is taken back", () => {
    const nodes = [node("a", { CPU: 2, disk: 1 }), node("b", { CPU: 2 })];
    assert.deepEqual(nodesOf(place(nodes, [{ CPU: 2 }, { CPU: 1, disk: 1 }], "STRICT_SPREAD")), ["b", "a"]);
  });

  test("many bundles are placed without a deep recursion", () => {
    const bundles = Array.from({ length: 20_000 }, () => ({ CPU: 0.001 }));
    assert.equal(nodesOf(place([node("a", { CPU: 15 }), node("b", { CPU: 15 })], bundles, "PACK")).length, bundles.length);
  });

  const amounts = fc.record({ CPU: fc.integer({ min: 1, max: 4 }), GPU: fc.integer({ min: 0, max: 2 }) });
  const someNodes = fc.array(fc.record({ totals: amounts, used: amounts }), { minLength: 1, maxLength: 4 }).map((all) =>
    all.map(({ totals, used }, index) => node(`n${index}`, totals, { CPU: Math.max(0, totals.CPU - used.CPU), GPU: Math.max(0, totals.GPU - used.GPU) })));
  const someBundles = fc.array(amounts.map((bundle) => toAmounts(bundle)), { minLength: 1, maxLength: 4 });
  const occupied = fc.subarray(["n0", "n1", "n2"]);

  /** All arrangements, one after the other. */
  function* everyArrangement(nodes: readonly BundleNode[], count: number): Iterable<readonly string[]> {
    if (count === 0) return yield [];
    for (const rest of everyArrangement(nodes, count - 1)) for (const { key } of nodes) yield [...rest, key];
  }

  function isRight(nodes: readonly BundleNode[], bundles: readonly ResourceAmounts[], strategy: PlacementStrategyName, taken: readonly string[], places: readonly string[], offer: "available" | "totals"): boolean {
    if (strategy === "STRICT_PACK" && new Set(places).size > 1) return false;
    if (strategy === "STRICT_SPREAD" && new Set([...places, ...taken]).size < places.length + new Set(taken).size) return false;
    return nodes.every((one) => fits(sumOf(bundles.filter((_, index) => places[index] === one.key)), one[offer]));
  }

  test("what is found is right, what can be found is found, and only what is impossible is called so", () => {
    fc.assert(fc.property(someNodes, someBundles, fc.constantFrom(...STRATEGIES), occupied, (nodes, bundles, strategy, taken) => {
      const answer = placeBundles(nodes, { bundles, strategy, occupied: taken });
      const exists = (offer: "available" | "totals"): boolean => [...everyArrangement(nodes, bundles.length)].some((places) => isRight(nodes, bundles, strategy, taken, places, offer));
      if (answer.type === "nodes") assert.ok(isRight(nodes, bundles, strategy, taken, answer.nodes, "available"));
      else assert.ok(!exists("available"), `${JSON.stringify(answer)} for what fits`);
      if (answer.type === "wait") assert.equal(answer.nodes !== null, exists("totals"));
      if (answer.type === "infeasible") assert.ok(!exists("totals"), answer.reason);
    }), { numRuns: 200 });
  });

  test("the order of the nodes does not matter", () => {
    fc.assert(fc.property(someNodes, someBundles, fc.constantFrom(...STRATEGIES), (nodes, bundles, strategy) => {
      const request = { bundles, strategy, occupied: [] };
      const answer = placeBundles(nodes, request);
      const turned = placeBundles(nodes.toReversed(), request);
      if (answer.type === "infeasible") assert.equal(turned.type, "infeasible");
      else assert.deepEqual(turned, answer);
    }));
  });
});
