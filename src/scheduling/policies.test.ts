import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { labelled, type NodeGiven, nodeView, onNode, requestFor, SPREAD } from "./fixtures/node-views.ts";
import type { NodeView } from "./node-view.ts";
import { chooseNode, distribute } from "./policies.ts";

const cpus = (name: string, total: number, used = 0, given: Omit<NodeGiven, "used"> = {}): NodeView => nodeView(name, { CPU: total }, { ...given, used: { CPU: used } });
const placed = (...args: Parameters<typeof distribute>): Record<string, number> => Object.fromEntries(distribute(...args).counts);
const node = (name: string) => ({ type: "node", node: name });
const one = requestFor({ CPU: 1 });

describe("packing", () => {
  test("begins with the own node, as long as it has room", () => {
    const views = [cpus("a", 4), cpus("b", 4, 3)];
    assert.deepEqual(chooseNode(views, { ...one, ownNode: "b" }), node("b"));
    assert.deepEqual(chooseNode([cpus("a", 4), cpus("b", 4, 4)], { ...one, ownNode: "b" }), node("a"));
    assert.deepEqual(placed(3, views, { ...one, ownNode: "b" }), { b: 1, a: 2 });
  });

  test("fills nodes half, one after the other, and then takes the least loaded one", () => {
    const views = [cpus("c", 8), cpus("b", 4), cpus("a", 4)];
    assert.deepEqual(placed(4, views, one), { a: 2, b: 2 });
    assert.deepEqual(placed(8, views, one), { a: 2, b: 2, c: 4 });
    assert.deepEqual(placed(12, views, one), { a: 3, b: 3, c: 6 });
    assert.deepEqual(placed(100, views, one), { a: 4, b: 4, c: 8 });
  });

  test("counts what is scarcest on a node, asked for or not", () => {
    const busy = nodeView("a", { CPU: 8, memory: 10 }, { used: { memory: 9 } });
    assert.deepEqual(chooseNode([busy, cpus("b", 8, 5)], one), node("b"));
  });

  test("goes first where most of the arguments lies, also before the own node", () => {
    const argumentBytes = new Map([["b", 1_000], ["c", 2_000]]);
    const views = [cpus("a", 4), cpus("b", 4), cpus("c", 2, 1)];
    assert.deepEqual(chooseNode(views, { ...one, ownNode: "a", argumentBytes }), node("c"));
    assert.deepEqual(placed(6, views, { ...one, ownNode: "a", argumentBytes }), { c: 1, b: 4, a: 1 });
  });

  test("leaves GPUs to those who ask for them, if it can", () => {
    const views = [nodeView("a", { CPU: 4, GPU: 1 }), cpus("b", 1)];
    assert.deepEqual(placed(3, views, one), { b: 1, a: 2 });
    assert.deepEqual(chooseNode(views, requestFor({ CPU: 1, GPU: 0.5 })), node("a"));
    assert.deepEqual(chooseNode(views, { ...one, ownNode: "a" }), node("a"), "who is there already stays");
  });

  test("puts what takes nothing on the own node until it has one for each processor, then where there are least", () => {
    const nothing = requestFor({}, { ownNode: "a" });
    const views = [cpus("a", 2), cpus("b", 2), cpus("c", 4)];
    assert.deepEqual(placed(2, views, nothing), { a: 2 });
    assert.deepEqual(placed(8, views, nothing), { a: 2, b: 2, c: 4 });
    assert.deepEqual(placed(800, views, nothing), { a: 200, b: 200, c: 400 });
    assert.deepEqual(chooseNode([cpus("a", 2, 0, { weightless: 2 }), cpus("b", 2)], nothing), node("b"));
    assert.deepEqual(chooseNode([cpus("a", 2, 2), cpus("b", 0)], { ...nothing, ownNode: null }), node("b"), "it has room where nothing else has");
  });

  test("waits when no node has room, and knows what none can ever hold", () => {
    assert.deepEqual(chooseNode([cpus("a", 1, 1), cpus("b", 2, 1.5)], one), { type: "wait" });
    assert.deepEqual(placed(3, [cpus("a", 1, 1)], one), {});
    assert.deepEqual(chooseNode([cpus("a", 1, 2)], one), { type: "wait" }, "below zero");
  });

  test("takes neither a dead node nor one that is about to end", () => {
    const views = [cpus("a", 4, 0, { isAlive: false }), cpus("b", 4, 0, { isDraining: true }), cpus("c", 4)];
    assert.deepEqual(placed(9, views, { ...one, ownNode: "b" }), { c: 4 });
  });
});

describe("SPREAD", () => {
  test("takes one node after the other, and those that are full no more", () => {
    const views = [cpus("b", 4), cpus("a", 1), cpus("c", 4, 3)];
    const spread = { ...one, strategy: SPREAD };
    assert.deepEqual(distribute(2, views, spread), { counts: new Map([["a", 1], ["b", 1]]), lastNode: "b" });
    assert.deepEqual(placed(4, views, spread), { a: 1, b: 2, c: 1 });
    assert.deepEqual(placed(9, views, spread), { a: 1, b: 4, c: 1 });
  });

  test("goes on behind the last node, also when that is gone, and begins again after the last key", () => {
    const views = [cpus("a", 4), cpus("c", 4), cpus("e", 4)];
    const after = (spreadAfter: string) => chooseNode(views, { ...one, strategy: SPREAD, spreadAfter, ownNode: "a", argumentBytes: new Map([["a", 9]]) });
    assert.deepEqual(["a", "b", "c", "d", "e", "f"].map(after), [node("c"), node("c"), node("e"), node("e"), node("a"), node("a")]);
  });
});

describe("affinity to a node", () => {
  const views = [cpus("a", 4), cpus("b", 4, 4), cpus("c", 1), cpus("d", 4, 0, { isAlive: false })];

  test("waits for that node, be it hard or soft, while others have room", () => {
    for (const isSoft of [false, true]) {
      assert.deepEqual(chooseNode(views, { ...one, strategy: onNode("a", isSoft), ownNode: "c" }), node("a"));
      assert.deepEqual(chooseNode(views, { ...one, strategy: onNode("b", isSoft) }), { type: "wait" });
    }
  });

  test("is for another, if soft, when that node is gone or could never hold it", () => {
    const two = requestFor({ CPU: 2 });
    assert.deepEqual(chooseNode(views, { ...one, strategy: onNode("d", true), ownNode: "c" }), node("c"));
    assert.deepEqual(chooseNode(views, { ...one, strategy: onNode("nowhere", true) }), node("a"));
    assert.deepEqual(chooseNode(views, { ...two, strategy: onNode("c", true) }), node("a"));
    for (const gone of ["c", "d", "nowhere"]) assert.equal(chooseNode(views, { ...two, strategy: onNode(gone) }).type, "infeasible");
  });
});

describe("labels", () => {
  const views = [cpus("a", 2, 0, { labels: { zone: "x" } }), cpus("b", 2, 0, { labels: { zone: "x", disk: "fast" } }), cpus("c", 4, 0, { labels: { zone: "y", disk: "fast" } })];

  test("that are required hold, whatever has room elsewhere", () => {
    assert.deepEqual(placed(9, views, { ...one, strategy: labelled({ zone: "x" }), ownNode: "c" }), { a: 2, b: 2 });
    assert.deepEqual(placed(9, views, { ...one, strategy: labelled({ zone: "!x" }) }), { c: 4 });
    assert.deepEqual(placed(9, views, { ...one, strategy: { ...SPREAD, required: labelled({ disk: "fast" }).required } }), { b: 2, c: 4 });
  });

  test("that are preferred come first, as long as there is room", () => {
    assert.deepEqual(placed(3, views, { ...one, strategy: labelled({ zone: "x" }, { disk: "fast" }), ownNode: "a" }), { b: 2, a: 1 });
    assert.deepEqual(placed(9, views, { ...one, strategy: labelled({}, { disk: "none" }) }), { a: 2, b: 2, c: 4 });
  });
});

describe("what no node can ever hold", () => {
  const reasonOf = (views: readonly NodeView[], ...[resources, strategy]: [Record<string, number>, Parameters<typeof requestFor>[1]?]): string => {
    const answer = chooseNode(views, requestFor(resources, strategy));
    assert.equal(answer.type, "infeasible");
    return (answer as { reason: string }).reason;
  };
  const views = [nodeView("a", { CPU: 4 }, { labels: { zone: "x" } }), nodeView("b", { CPU: 2, GPU: 1 }, { labels: { zone: "y", disk: "fast" } })];

  test("is told with the resource that no node has", () => {
    assert.equal(reasonOf(views.slice(0, 1), { CPU: 8 }), "8 CPU, but the cluster has 4");
    assert.equal(reasonOf(views, { CPU: 8 }), "8 CPU, but no node has more than 4");
    assert.equal(reasonOf(views, { CPU: 4, GPU: 1 }), "4 CPU and 1 GPU on one node, but no node has all of it");
    assert.equal(reasonOf(views, { CPU: 4 }, { strategy: labelled({ zone: "y" }) }), '4 CPU, but no node with { zone: "y" } has more than 2');
    assert.equal(reasonOf([], { CPU: 1 }), "a node that takes work, but the cluster has none");
  });

  test("is told with the labels that no node has", () => {
    assert.equal(reasonOf(views, { CPU: 1 }, { strategy: labelled({ zone: "!in(x,y)" }) }), `a node with the labels { zone: "!in(x,y)" }, but in the cluster 'zone' is x or y`);
    assert.equal(reasonOf(views, { CPU: 1 }, { strategy: labelled({ rack: "1", zone: "x" }) }), `a node with the labels { rack: "1" }, but in the cluster no node has a label 'rack'`);
    assert.equal(reasonOf(views, { CPU: 1 }, { strategy: labelled({ disk: "*", zone: "x" }) }), `a node with all of the labels { disk: "*", zone: "x" }, but each node lacks one of them`);
  });

  test("is told with what is wrong with the one node that may have it", () => {
    const ending = [...views, nodeView("c", { CPU: 9 }, { isAlive: false }), nodeView("d", { CPU: 9 }, { isDraining: true })];
    assert.equal(reasonOf(ending, { CPU: 1 }, { strategy: onNode("z") }), "node z-id, but the cluster has no such node");
    assert.equal(reasonOf(ending, { CPU: 1 }, { strategy: onNode("c") }), "node c-id, but that node has ended");
    assert.equal(reasonOf(ending, { CPU: 1 }, { strategy: onNode("d") }), "node d-id, but that node is about to end and takes nothing new");
    assert.equal(reasonOf(ending, { CPU: 3 }, { strategy: onNode("b") }), "3 CPU, but node b-id has 2");
    assert.equal(reasonOf(ending, { CPU: 3 }, { strategy: { ...onNode("a"), required: labelled({ zone: "y" }).required } }), `node a-id with the labels { zone: "y" }, but there 'zone' is x`);
    assert.equal(reasonOf(ending, { CPU: 8 }, { strategy: onNode("z", true) }), "8 CPU, but no node has more than 4");
  });
});
