import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeRecord } from "../protocol/mod.ts";
import { nodeMeantBy, NodeDrains } from "./node-drains.ts";

function recordOf(nodeId: string, port: number, name: string | null = null): NodeRecord {
  return { nodeId, name, hostname: "host", pid: 1, address: { host: "10.0.0.1", port }, objectAddress: null, totals: {}, labels: {} };
}
const NODES = [recordOf("aaaaaaaa00000001", 1), recordOf("abbbbbbb00000001", 2, "printer"), recordOf("cccccccc00000001", 3)];

describe("nodes that drain", () => {
  test("a deadline may be set later, or brought forward, and never put off", () => {
    const drains = new NodeDrains();
    assert.deepEqual([drains.begin("a", null), drains.begin("a", null), drains.begin("a", 500), drains.begin("a", 600), drains.begin("a", null), drains.begin("a", 100)], [true, false, true, false, false, true]);
    assert.deepEqual([drains.overdue(10_000), drains.overdue(10_101)], [[], ["a"]]);
    assert.deepEqual([drains.left("a"), drains.left("a"), drains.overdue(1e9)], [true, false, []]);
  });

  test("without a deadline they may take for ever", () => {
    const drains = new NodeDrains();
    drains.begin("a", null);
    assert.deepEqual(drains.overdue(1e12), []);
  });

  test("are meant by the beginning of their ids, their addresses or their names", () => {
    for (const text of ["ab", "ABB", "abbbbbbb00000001", "10.0.0.1:2", "printer"]) assert.deepEqual(nodeMeantBy(text, NODES, "cccccccc"), { node: "abbbbbbb" }, text);
    const refused: readonly (readonly [string, RegExp])[] = [["a", /beginning of several ids: aaaaaaaa00000001 \(10\.0\.0\.1:1\), abbbbbbb00000001 \(printer, 10\.0\.0\.1:2\)/], ["c", /is the head/], ["10.0.0.1:9", /no node of this cluster/], ["", /no node of this cluster/]];
    for (const [text, reason] of refused) {
      const meant = nodeMeantBy(text, NODES, "cccccccc");
      assert.ok("refusal" in meant && reason.test(meant.refusal), JSON.stringify(meant));
    }
  });
});
