import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { EventEmitter } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { resolveReference } from "./module-references.ts";
import { isNodeGlobal, wellKnownReference } from "./well-known-objects.ts";

test("every global of a bare Node is known", () => {
  const names = execFileSync(process.execPath, ["-p", "JSON.stringify(Object.getOwnPropertyNames(globalThis))"], {
    encoding: "utf8",
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  // `node -p` adds the names that a CommonJS module has.
  const added = new Set(["module", "require", "exports", "__filename", "__dirname"]);
  const isModuleName = (name: string): boolean => added.has(name) || process.getBuiltinModule(name) !== undefined;
  assert.deepEqual((JSON.parse(names) as string[]).filter((name) => !isNodeGlobal(name) && !isModuleName(name)), []);
});

test("objects of JavaScript and Node are found again by their path", () => {
  const accessor = Object.getOwnPropertyDescriptor(Map.prototype, "size")?.get as object;
  const objects: object[] = [
    globalThis,
    Math.max,
    Array.prototype,
    Array.prototype[Symbol.iterator],
    accessor,
    Object.getPrototypeOf(async function () {}) as object,
    EventEmitter,
    EventEmitter.prototype,
    join,
    fetch,
    Response.prototype,
    process,
    process.nextTick,
    console,
  ];
  for (const [index, object] of objects.entries()) {
    const reference = wellKnownReference(object);
    assert.ok(reference, `the object at ${index} is known`);
    assert.equal(resolveReference(reference), object);
  }
});

test("objects of the program are not", () => {
  class Response {}
  for (const object of [{}, [], () => 1, Response, new Response(), Object.create(null) as object]) {
    assert.equal(wellKnownReference(object), undefined);
  }
});
