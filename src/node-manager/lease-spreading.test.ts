import assert from "node:assert/strict";
import { test } from "node:test";
import { type ResourceAmounts, toAmounts } from "../base/mod.ts";
import { shapeOf } from "./fixtures/lease-instructions.ts";
import { LeaseSpreading } from "./lease-spreading.ts";

const OWN = "aaaaaaaa";
const OTHER = "bbbbbbbb";
const OWNER = `${OWN}000000000001`;
const oneCpu = shapeOf({ CPU: 1 });

class Cluster {
  /** What was asked of the other node, one after the other. */
  readonly asked: number[] = [];
  readonly spreading = new LeaseSpreading({
    clock: { nowMs: () => 0, after: () => ({ cancel: () => undefined }) },
    own: () => ({ key: OWN, nodeId: `${OWN}00000000`, totals: {}, available: {}, labels: {}, isAlive: true, isDraining: false, weightless: 0 }),
    demandHere: () => assert.fail("this node has no room for anything"),
    demandThere: (_node, _ownerId, _key, _shape, target) => void this.asked.push(target),
    wantedElsewhere: () => undefined, wantsChanged: () => undefined, fetcher: null, tell: () => undefined,
  });

  constructor(totals: ResourceAmounts) {
    this.spreading.nodeJoined(OTHER, { nodeId: `${OTHER}00000000`, name: null, hostname: "other", pid: 1, address: { host: "127.0.0.1", port: 1 }, objectAddress: null, totals, labels: {} });
  }
}

for (const first of ["a lease", "what is left there"]) {
  test(`all that fits on another node is asked of it, when ${first} is heard of first`, () => {
    const totals = toAmounts({ CPU: 2 });
    const { spreading, asked } = new Cluster(totals);
    spreading.demand(OWNER, "k", oneCpu, 2, 0);
    const steps = [() => spreading.granted(OWNER, "k", OTHER), () => spreading.loadsChanged([{ node: OTHER, version: 1, totals, available: toAmounts({ CPU: 1 }), isDraining: false }])];
    for (const step of first === "a lease" ? steps : steps.reverse()) step();
    assert.equal(asked.at(-1), 2);
  });
}
