import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CodeUnitRecord } from "../protocol/mod.ts";
import { FunctionTable } from "./function-table.ts";

function unit(id: string, needs: readonly string[] = [], driverId: string | null = null): CodeUnitRecord {
  return { id, name: id, blob: Uint8Array.of(1), needs, descriptors: [], kind: "function", isAsync: false, isGenerator: false, where: "file.ts:1", origin: driverId === null ? null : { driverId, fileSystem: "one" } };
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

  test("a program's code goes with it, and nobody else's", () => {
    const table = new FunctionTable();
    table.put([unit("a", [], "driver1"), unit("b", [], "driver2"), unit("c")]);
    table.programEnded("driver1", []);
    assert.deepEqual(ids(table.get(["a", "b", "c"])), ["b", "c"]);
    table.programEnded("driver1", []);
    table.programEnded("unknown", []);
    assert.deepEqual(ids(table.get(["a", "b", "c"])), ["b", "c"]);
  });

  test("but not before the last actor that is made of it", () => {
    const table = new FunctionTable();
    table.put([unit("a", ["b"], "driver1"), unit("b", [], "driver1")]);
    table.programEnded("driver1", ["actor1", "actor2"]);
    table.actorEnded("actor1");
    table.actorEnded("another");
    assert.deepEqual(ids(table.get(["a"])), ["a", "b"]);
    table.actorEnded("actor2");
    assert.deepEqual(ids(table.get(["a", "b"])), []);
  });

  test("what actors make after the end of their program counts too", () => {
    const table = new FunctionTable();
    table.put([unit("a", [], "driver1")]);
    table.actorCreated("early", [unit("a", [], "driver1")]);
    table.programEnded("driver1", ["actor1"]);
    table.put([unit("late", [], "driver1")]);
    table.actorCreated("actor2", [unit("late", [], "driver1"), unit("c")]);
    table.actorEnded("actor1");
    assert.deepEqual(ids(table.get(["a", "late"])), ["a", "late"]);
    table.actorEnded("actor2");
    assert.deepEqual(ids(table.get(["a", "late"])), []);
    // All had gone, and then there is one more.
    table.put([unit("later", [], "driver1")]);
    table.actorCreated("actor3", [unit("later", [], "driver1")]);
    assert.deepEqual(ids(table.get(["later"])), ["later"]);
    table.actorEnded("actor3");
    assert.deepEqual(ids(table.get(["later"])), []);
  });

  test("programs of a node are found by it", () => {
    const table = new FunctionTable();
    table.put([unit("a", [], "aaaaaaaa000000000001"), unit("b", [], "bbbbbbbb000000000001")]);
    assert.deepEqual(table.driversOn("aaaaaaaa"), ["aaaaaaaa000000000001"]);
  });
});
