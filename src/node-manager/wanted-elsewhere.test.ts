import assert from "node:assert/strict";
import { test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import type { WantRecord } from "../protocol/mod.ts";
import type { NodeView } from "../scheduling/mod.ts";
import { WantedElsewhere } from "./wanted-elsewhere.ts";

const OWN: NodeView = { key: "aaaaaaaa", nodeId: "aaaaaaaa00000000", totals: toAmounts({ CPU: 2 }), available: {}, labels: {}, isAlive: true, isDraining: false, weightless: 0 };
const want = (cpus: number, strategy: WantRecord["strategy"] = null, sharer: string | null = null): WantRecord => ({ resources: toAmounts({ CPU: cpus }), strategy, sharer });

test("what others wait for: each kind once, of what could be here, until the last of them has it", () => {
  const wanted = new WantedElsewhere();
  const ofB = [want(1, null, "owner/k"), want(3)];
  assert.equal(wanted.told("bbbbbbbb", ofB, OWN), true);
  assert.equal(wanted.told("bbbbbbbb", ofB, OWN), false, "nothing new");
  assert.deepEqual(wanted.all(), [want(1, null, "owner/k")]);
  assert.equal(wanted.told("actors", [want(1), want(2, { required: [{ key: "zone", values: ["z"], isNegated: false }], preference: { type: "pack" } })], OWN), true);
  assert.deepEqual(wanted.all(), [want(1)]);
  assert.equal(wanted.told("bbbbbbbb", [], OWN), true);
  assert.deepEqual(wanted.all(), [want(1)]);
  assert.deepEqual([wanted.told("actors", [], OWN), wanted.told("actors", [], OWN)], [true, false]);
  assert.deepEqual(wanted.all(), []);
});
