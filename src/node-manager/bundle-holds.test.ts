import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { toAmounts } from "../base/mod.ts";
import { ResourceLedger, takenFromNode } from "../scheduling/mod.ts";
import { BundleHolds, type BundleInstruction } from "./bundle-holds.ts";

const types = (instructions: readonly BundleInstruction[]): string[] => instructions.map(({ type }) => type);
const inBundle = (quantities: Readonly<Record<string, number>>, bundleIndex: number, groupId = "g") => takenFromNode(toAmounts(quantities), { groupId, bundleIndex, capturesChildren: false });

function nodeWith(totals: Readonly<Record<string, number>>, gpuIds: readonly string[] = []): { ledger: ResourceLedger; holds: BundleHolds } {
  const ledger = new ResourceLedger(toAmounts(totals), gpuIds.length === 0 ? {} : { GPU: gpuIds });
  return { ledger, holds: new BundleHolds(ledger) };
}

describe("bundles that a node has set aside", () => {
  test("(1), (2) are taken from the node, and there again as the group's own", () => {
    const { ledger, holds } = nodeWith({ CPU: 4 });
    assert.deepEqual(types(holds.prepare("g", 1, [[0, toAmounts({ CPU: 1 })], [1, toAmounts({ CPU: 2 })]], false)), ["bundlesPrepared"]);
    assert.equal(ledger.available["CPU"], 10_000);
    assert.equal(ledger.hasRoomFor(inBundle({ CPU: 1 }, 0)), false, "not before all nodes have said so");
    assert.deepEqual(types(holds.commit("g", 1, true)), ["bundlesCommitted"]);
    assert.ok(ledger.hasRoomFor(inBundle({ CPU: 1 }, 0)) && ledger.hasRoomFor(inBundle({ CPU: 2 }, 1)) && !ledger.hasRoomFor(inBundle({ CPU: 2 }, 0)));
    assert.ok(ledger.hasRoomFor(inBundle({}, 0)) && !ledger.hasRoomFor(inBundle({}, 2)), "what takes nothing runs where its bundle is");
    // Who runs in any bundle takes what those in one of them cannot have then.
    ledger.take(inBundle({ CPU: 2 }, -1));
    assert.ok(ledger.hasRoomFor(inBundle({ CPU: 1 }, 0)) && !ledger.hasRoomFor(inBundle({ CPU: 2 }, 1)));
    assert.deepEqual(types(holds.prepare("g", 1, [[0, toAmounts({ CPU: 1 })]], false)), ["bundlesPrepared"], "said twice");
    assert.deepEqual(types(holds.commit("h", 1, true)), ["bundlesRefused"]);
  });

  test("(1) all of a message or none; without room refused, or waiting in turn", () => {
    const { ledger, holds } = nodeWith({ CPU: 2 });
    assert.deepEqual(types(holds.prepare("g", 1, [[0, toAmounts({ CPU: 1 })], [1, toAmounts({ CPU: 2 })]], false)), ["bundlesRefused"]);
    assert.equal(ledger.available["CPU"], 20_000);
    ledger.take(toAmounts({ CPU: 2 }));
    for (const [groupId, cpus] of [["large", 2], ["small", 1]] as const) assert.deepEqual(holds.prepare(groupId, 1, [[0, toAmounts({ CPU: cpus })]], true), []);
    assert.deepEqual([...holds.waitingGroups()], ["large", "small"]);
    ledger.give(toAmounts({ CPU: 1 }));
    assert.deepEqual(holds.settle().map(({ groupId }) => groupId), ["small"], "one that is too large holds up nobody");
    holds.end("large", 1);
    ledger.give(toAmounts({ CPU: 1 }));
    assert.deepEqual(holds.settle(), []);
  });

  test("(3), (4) go back when nobody uses them any more, and nobody new does", () => {
    const { ledger, holds } = nodeWith({ CPU: 2 });
    holds.prepare("g", 1, [[0, toAmounts({ CPU: 2 })]], false);
    holds.commit("g", 1, true);
    const used = inBundle({ CPU: 1 }, 0);
    ledger.take(used);
    assert.equal(holds.end("g", null), true);
    assert.deepEqual(holds.settle(), []);
    assert.equal(ledger.hasRoomFor(used), false);
    ledger.give(used);
    assert.deepEqual(types(holds.settle()), ["bundlesReturned"]);
    assert.deepEqual({ ...ledger.available }, toAmounts({ CPU: 2 }));
    assert.deepEqual({ ...ledger.totals }, toAmounts({ CPU: 2 }));
    assert.equal(holds.end("g", null), false);
    assert.deepEqual(types(holds.settle()), ["bundlesReturned"], "said twice");
  });

  test("(2) where nobody asks for them yet they stand nowhere, and go back like others", () => {
    const { ledger, holds } = nodeWith({ CPU: 3, GPU: 1 }, ["a"]);
    holds.prepare("unused", 1, [[0, toAmounts({ CPU: 1 })]], false);
    holds.prepare("g", 1, [[0, toAmounts({ CPU: 1, GPU: 1 })], [1, toAmounts({ CPU: 1 })]], false);
    for (const groupId of ["unused", "g"]) assert.deepEqual(types(holds.commit(groupId, 1, false)), ["bundlesCommitted"]);
    assert.deepEqual(Object.keys(ledger.totals), ["CPU", "GPU"]);
    for (let times = 0; times < 2; times++) holds.wanted("g");
    assert.deepEqual(Object.values(ledger.take(inBundle({ GPU: 1 }, 0)) ?? {}), [["a"]]);
    assert.ok(ledger.hasRoomFor(inBundle({ CPU: 1 }, 1)) && !ledger.hasRoomFor(inBundle({ CPU: 3 }, -1)));
    assert.equal(holds.end("unused", null), false);
    assert.equal(holds.end("g", null), true);
    assert.deepEqual(holds.settle().map(({ groupId }) => groupId), ["unused"]);
    ledger.give(inBundle({ GPU: 1 }, 0), { [Object.keys(inBundle({ GPU: 1 }, 0)).find((name) => name.startsWith("GPU_group_0")) as string]: ["a"] });
    assert.deepEqual(holds.settle().map(({ groupId }) => groupId), ["g"]);
    assert.deepEqual({ ...ledger.available }, toAmounts({ CPU: 3, GPU: 1 }));
    assert.deepEqual({ ...ledger.totals }, toAmounts({ CPU: 3, GPU: 1 }));
    assert.equal(ledger.hasRoomFor(toAmounts({ GPU: 1 })), true);
  });

  test("have accelerators of their own, which tasks in any bundle and in one of them share", () => {
    const { ledger, holds } = nodeWith({ CPU: 2, GPU: 2 }, ["a", "b"]);
    holds.prepare("g", 1, [[0, toAmounts({ GPU: 1 })], [1, toAmounts({ GPU: 1 })]], false);
    holds.commit("g", 1, true);
    const any = ledger.take(inBundle({ GPU: 1 }, -1));
    assert.deepEqual(Object.values(any ?? {}), [["a"]]);
    assert.equal(ledger.hasRoomFor(inBundle({ GPU: 1 }, 0)), false, "its accelerator is in use");
    assert.deepEqual(Object.values(ledger.take(inBundle({ GPU: 1 }, 1)) ?? {}), [["b"]]);
    ledger.give(inBundle({ GPU: 1 }, -1), any);
    assert.deepEqual(Object.values(ledger.take(inBundle({ GPU: 0.5 }, 0)) ?? {}), [["a"]]);
  });
});
