import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NodeRecord } from "../protocol/mod.ts";
import { NodeTable } from "./node-table.ts";

export function recordOf(nodeId: string, details: Partial<NodeRecord> = {}): NodeRecord {
  return { nodeId, name: null, hostname: "host", pid: 1, address: { host: "10.0.0.1", port: 1 }, objectAddress: null, totals: { CPU: 10_000 }, labels: {}, ...details };
}
const A = "aaaaaaaa00000001";
const B = "bbbbbbbb00000001";

describe("the table of nodes", () => {
  test("each node gets a number that none had before, also after some have gone", () => {
    const table = new NodeTable();
    assert.deepEqual(table.join(recordOf(A)), { nodeNumber: 1 });
    table.lost("aaaaaaaa");
    assert.deepEqual(table.join(recordOf(A)), { nodeNumber: 2 });
  });

  test("refuses a node twice, and one that cannot be told from another", () => {
    const table = new NodeTable();
    table.join(recordOf(A));
    const twice = table.join(recordOf(A));
    assert.ok("refusal" in twice && /in this cluster already, at 10\.0\.0\.1:1/.test(twice.refusal));
    const alike = table.join(recordOf("aaaaaaaa00000002"));
    assert.ok("refusal" in alike && /begins like that of node aaaaaaaa00000001/.test(alike.refusal));
    assert.deepEqual([...table.live()].length, 1);
  });

  test("refuses a name that another has, until that has left", () => {
    const table = new NodeTable();
    table.join(recordOf(A, { name: "first" }));
    const namesake = table.join(recordOf(B, { name: "first" }));
    assert.ok("refusal" in namesake && /node aaaaaaaa00000001 at 10\.0\.0\.1:1 is called 'first' already; start it with another --node-name/.test(namesake.refusal));
    assert.ok("nodeNumber" in table.join(recordOf(B)), "without a name");
    table.lost("aaaaaaaa");
    assert.ok("nodeNumber" in table.join(recordOf(A, { name: "first" })));
  });

  test("of two loads the one with the larger version is newer, in whatever order they come", () => {
    const table = new NodeTable();
    table.join(recordOf(A));
    const load = (version: number, CPU: number) => ({ node: "aaaaaaaa", version, totals: { CPU: 10_000 }, available: { CPU }, isDraining: false });
    assert.equal(table.loadChanged(load(2, 5_000)), true);
    assert.equal(table.loadChanged(load(1, 10_000)), false);
    assert.equal(table.loadChanged(load(2, 0)), false, "told twice");
    assert.deepEqual(table.get("aaaaaaaa")?.load.available, { CPU: 5_000 });
    assert.equal(table.loadChanged({ node: "aaaaaaaa", version: 3, totals: { group: 1 }, available: {}, isDraining: false }), true);
    assert.equal(table.loadChanged({ node: "aaaaaaaa", version: 4, totals: { group: null }, available: { group: null }, isDraining: true }), true);
    assert.deepEqual(table.get("aaaaaaaa")?.load, { node: "aaaaaaaa", version: 4, totals: { CPU: 10_000 }, available: { CPU: 5_000 }, isDraining: true });
    assert.equal(table.loadChanged({ ...load(9, 0), node: "cccccccc" }), false, "of a node that is not there");
  });

  test("remembers lost nodes, the last hundred", () => {
    const table = new NodeTable();
    for (let index = 0; index < 102; index++) {
      const nodeId = `${String(index).padStart(8, "0")}00000000`;
      table.join(recordOf(nodeId));
      assert.equal(table.lost(nodeId.slice(0, 8))?.nodeId, nodeId);
    }
    assert.equal(table.lostNodes.length, 100);
    assert.equal(table.lost("00000000"), undefined, "once");
    assert.equal(table.find(B), undefined);
  });
});
