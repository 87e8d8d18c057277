import assert from "node:assert/strict";
import { test } from "node:test";
import type { StrategyRecord } from "../protocol/mod.ts";
import type { NodeView } from "../scheduling/mod.ts";
import { refusalOf } from "./refusals.ts";

const node: NodeView = { key: "01234567", nodeId: "0123456789abcdef", totals: { CPU: 20_000 }, available: { CPU: 0 }, labels: { zone: "a" }, isAlive: true, isDraining: false, weightless: 0 };
const inZone = (value: string): StrategyRecord => ({ required: [{ key: "zone", values: [value], isNegated: false }], preference: { type: "pack" } });

test("what can run once there is room is not refused", () => {
  assert.equal(refusalOf([node], { resources: { CPU: 20_000 }, strategy: inZone("a") }, null), null);
});

test("what can never run is, with what is missing and what to do", () => {
  assert.deepEqual(refusalOf([node], { resources: {}, strategy: inZone("b") }, null), {
    kind: "TaskUnschedulableError", subjectId: null,
    message: `needs a node with the labels { zone: "b" }, but in the cluster 'zone' is a; change its labelSelector, schedulingStrategy or resources, or give the cluster a node that has all of this`,
  });
  const { kind, subjectId, message } = refusalOf([node], { resources: { CPU: 30_000 }, strategy: inZone("a") }, "actor1") as { kind: string; subjectId: string; message: string };
  assert.deepEqual([kind, subjectId], ["ActorUnschedulableError", "actor1"]);
  assert.match(message, /^needs 3 CPU, but the cluster has 2; /);
});
