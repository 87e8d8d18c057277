import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CodeUnitRecord } from "../protocol/mod.ts";
import { FunctionTable } from "./function-table.ts";

function unit(id: string, needs: readonly string[] = []): CodeUnitRecord {
  return { id, name: id, blob: Uint8Array.of(1), needs, descriptors: [], kind: "function", isAsync: false, isGenerator: false, where: "file.ts:1", origin: null };
}
const ids = (units: readonly CodeUnitRecord[]): string[] => units.map(({ id }) => id).sort();

describe("the function table", () => {
  test("answers with the units and all that they need, each once", () => {
    const table = new FunctionTable();
    table.put([unit("a", ["b", "c"]), unit("b", ["c"]), unit("c"), unit("d")]);
    assert.deepEqual(ids(table.get(["a"])), ["a", "b", "c"]);
    assert.deepEqual(ids(table.get(["b", "c", "b"])), ["b", "c"]);
    assert.deepEqual(table.get([]), []);
  });

  test("units may need each other", () => {
    const table = new FunctionTable();
    table.put([unit("even", ["odd"]), unit("odd", ["even"])]);
    assert.deepEqual(ids(table.get(["odd"])), ["even", "odd"]);
  });

  test("what is not known is left out", () => {
    const table = new FunctionTable();
    table.put([unit("a", ["missing"])]);
    assert.deepEqual(ids(table.get(["a", "b"])), ["a"]);
  });

  test("a unit never changes: the first one with an id stays", () => {
    const table = new FunctionTable();
    const first = unit("a");
    table.put([first]);
    table.put([{ ...unit("a"), name: "another" }]);
    assert.equal(table.get(["a"])[0], first);
  });
});
