import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { fits } from "./resources.ts";
import { labelled, nodeView, onNode, requestFor, SPREAD } from "./fixtures/node-views.ts";
import { meetsConditions } from "./label-selector.ts";
import type { NodeView } from "./node-view.ts";
import type { PlacementRequest } from "./placement-request.ts";
import { chooseNode, distribute } from "./policies.ts";

const NAMES = ["a", "b", "c", "d", "e"];
const aName = fc.constantFrom(...NAMES);
const anAmount = fc.integer({ min: 0, max: 16 }).map((quarters) => quarters / 4);

const clusters = fc.uniqueArray(
  fc.record({
    name: aName, cpus: anAmount, gpus: fc.constantFrom(0, 0, 1, 2), usedCpus: anAmount, usedGpus: fc.constantFrom(0, 1), weightless: fc.nat({ max: 6 }),
    zone: fc.constantFrom("x", "y", null), isAlive: fc.constantFrom(true, true, true, false), isDraining: fc.constantFrom(false, false, false, true),
  }),
  { selector: ({ name }) => name, maxLength: NAMES.length },
).map((nodes) => nodes.map(({ name, cpus, gpus, usedCpus, usedGpus, zone, ...rest }) =>
  nodeView(name, { CPU: cpus, ...(gpus === 0 ? {} : { GPU: gpus }) }, { ...rest, used: { CPU: usedCpus, GPU: Math.min(usedGpus, gpus) }, labels: zone === null ? {} : { zone } })));

const strategies = fc.oneof(
  fc.constant(null), fc.constant(SPREAD), fc.record({ name: aName, isSoft: fc.boolean() }).map(({ name, isSoft }) => onNode(name, isSoft)),
  fc.constantFrom("x", "!x", "in(x,y)", "!*").map((zone) => labelled({ zone })), fc.constantFrom("x", "!x").map((zone) => labelled({}, { zone })),
  fc.constant({ ...SPREAD, required: labelled({ zone: "x" }).required }), fc.constant({ ...onNode("a"), required: labelled({ zone: "x" }).required }),
);
const requests = fc.record({
  cpus: fc.constantFrom(0, 0.25, 1, 1.5, 3), gpus: fc.constantFrom(0, 0, 0, 0.5, 1), strategy: strategies, ownNode: fc.option(aName), spreadAfter: fc.option(aName),
  argumentBytes: fc.option(fc.uniqueArray(fc.tuple(aName, fc.constantFrom(1, 2)), { selector: ([name]) => name }).map((held) => new Map(held))),
}).map(({ cpus, gpus, ...rest }) => requestFor({ CPU: cpus, GPU: gpus }, rest));
const counts = fc.nat({ max: 20 });

/** As the node sees itself with so many more of them. */
function after(view: NodeView, request: PlacementRequest, count: number): NodeView {
  const available = { ...view.available };
  for (const [name, units] of Object.entries(request.resources)) available[name] = (available[name] ?? 0) - count * units;
  return { ...view, available, weightless: view.weightless + (Object.keys(request.resources).length === 0 ? count : 0) };
}

/** Said without the policies: where it may ever be. */
function mayBeOn(view: NodeView, { strategy, resources }: PlacementRequest): boolean {
  if (!view.isAlive || view.isDraining || !fits(resources, view.totals)) return false;
  if (strategy === null) return true;
  const { preference, required } = strategy;
  return meetsConditions(view.labels, required) && (preference.type !== "node" || preference.isSoft || preference.nodeId === view.nodeId);
}

function capacity(view: NodeView, { resources }: PlacementRequest): number {
  return Math.max(0, Math.min(Infinity, ...Object.entries(resources).map(([name, units]) => Math.floor((view.available[name] ?? 0) / units))));
}

describe("policies, for any cluster and request", () => {
  test("place no more on a node than it has room for, and only where it may be", () => {
    fc.assert(fc.property(counts, clusters, requests, (count, views, request) => {
      for (const [key, placed] of distribute(count, views, request).counts) {
        const view = views.find((one) => one.key === key) as NodeView;
        assert.ok(placed > 0 && placed <= capacity(view, request));
        assert.ok(mayBeOn(view, request));
      }
    }), { numRuns: 2_000 });
  });

  test("place all, or as many as have room", () => {
    fc.assert(fc.property(counts, clusters, requests, (count, views, request) => {
      const able = views.filter((view) => mayBeOn(view, request));
      const { preference } = request.strategy ?? { preference: { type: "pack" } };
      // A soft affinity whose node could hold it waits for that node.
      const aim = preference.type === "node" ? able.filter((view) => view.nodeId === preference.nodeId) : [];
      const room = (aim.length > 0 ? aim : able).reduce((sum, view) => sum + capacity(view, request), 0);
      const placed = [...distribute(count, views, request).counts.values()].reduce((sum, one) => sum + one, 0);
      assert.equal(placed, Math.min(count, room));
    }), { numRuns: 2_000 });
  });

  test("answer the same whatever the order of the nodes", () => {
    const shuffled = clusters.chain((views) => fc.tuple(fc.constant(views), fc.shuffledSubarray(views, { minLength: views.length })));
    fc.assert(fc.property(counts, shuffled, requests, (count, [views, others], request) => {
      assert.deepEqual(distribute(count, others, request), distribute(count, views, request));
      assert.deepEqual(chooseNode(others, request), chooseNode(views, request));
    }), { numRuns: 1_000 });
  });

  test("place many as if they were placed one by one", () => {
    fc.assert(fc.property(counts, clusters, requests, (count, views, request) => {
      let now = views;
      let { spreadAfter } = request;
      const byOne = new Map<string, number>();
      for (let index = 0; index < count; index++) {
        const answer = chooseNode(now, { ...request, spreadAfter });
        if (answer.type !== "node") break;
        spreadAfter = answer.node;
        byOne.set(answer.node, (byOne.get(answer.node) ?? 0) + 1);
        now = now.map((view) => (view.key === answer.node ? after(view, request, 1) : view));
      }
      const atOnce = distribute(count, views, request);
      assert.deepEqual(Object.fromEntries(atOnce.counts), Object.fromEntries(byOne));
      if (byOne.size > 0) assert.equal(atOnce.lastNode, spreadAfter);
    }), { numRuns: 2_000 });
  });

  test("say to wait only where waiting helps, and why where it does not", () => {
    fc.assert(fc.property(clusters, requests, (views, request) => {
      const answer = chooseNode(views, request);
      const idle = views.map((view) => ({ ...view, available: view.totals }));
      assert.equal(answer.type === "infeasible", chooseNode(idle, request).type !== "node");
      if (answer.type === "infeasible") {
        assert.ok(!views.some((view) => mayBeOn(view, request)));
        assert.match(answer.reason, /, but /);
      }
    }), { numRuns: 2_000 });
  });

  test("spread evenly over nodes that have room", () => {
    fc.assert(fc.property(counts, fc.uniqueArray(aName, { minLength: 1 }), fc.option(aName), (count, names, spreadAfter) => {
      const views = names.map((name) => nodeView(name, { CPU: 100 }));
      const { counts: placed } = distribute(count, views, requestFor({ CPU: 1 }, { strategy: SPREAD, spreadAfter }));
      const each = names.map((name) => placed.get(name) ?? 0);
      assert.ok(Math.max(...each) - Math.min(...each) <= 1);
    }));
  });

  test("use as few nodes as are needed when packing up to half of each", () => {
    fc.assert(fc.property(fc.nat({ max: 20 }), fc.uniqueArray(aName, { minLength: 1 }), (count, names) => {
      const views = names.map((name) => nodeView(name, { CPU: 8 }));
      const used = distribute(count, views, requestFor({ CPU: 1 })).counts.size;
      assert.equal(used, Math.min(names.length, Math.ceil(count / 4)));
    }));
  });
});
