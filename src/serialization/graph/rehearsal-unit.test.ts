import assert from "node:assert/strict";
import { test } from "node:test";
import { unpackBlob } from "../code-blob.ts";
import type { CodeUnit } from "../code-unit.ts";
import { Serializer } from "../serializer.ts";
import { readGraph } from "./graph-reader.ts";
import { rehearsalUnit } from "./rehearsal-unit.ts";

let step = 1;

class Counter {
  #count = 0;

  constructor(start: number) {
    this.#count = start + step;
  }

  increment(): number {
    return ++this.#count;
  }
}

test("the code that is rehearsed has the shapes of captured code, key by key: V8 knows an object by the order of its keys", () => {
  step += 1;
  const captured = new Serializer({ workerId: "w", runtimeObjects: { describe: () => undefined, revive: (descriptor) => descriptor as object }, codeOrigin: () => ({ driverId: "w", fileSystem: "here" }) }).exportCode(Counter);
  assert.deepEqual(shapesOf(rehearsalUnit()), shapesOf(captured));
});

function shapesOf(unit: CodeUnit): readonly string[][] {
  const { header, buffers } = unpackBlob(unit.blob);
  const graph = readGraph(header, buffers, true);
  const record = graph.functions[0]!;
  const parts: object[] = [structuredClone(unit), unit.origin!, record, record.edits[0]!, record.slots[0]!, record.privateInstances!, graph.groups[0]!];
  return parts.map((part) => Object.keys(part));
}
