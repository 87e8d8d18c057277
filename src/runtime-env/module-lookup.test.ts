import assert from "node:assert/strict";
import { test } from "node:test";
import { planLookup } from "./module-lookup.ts";

const npm = { folder: "/cache/abc", names: ["plain", "@scope/name"] };
const program = "file:///home/user/app/main.ts";
const ownUrl = "file:///home/user/mantaray/dist/";
const inNpm = "file:///cache/abc/environment.js";
const inDir = "file:///work/environment.js";

test("packages of the environment come before those of the program, also parts of them", () => {
  const plan = (specifier: string, parent = program): unknown => planLookup({ workingDir: null, npm, ownUrl }, specifier, parent).first;
  for (const specifier of ["plain", "plain/part.js", "@scope/name", "@scope/name/part"]) assert.equal(plan(specifier), inNpm);
  for (const specifier of ["other", "@scope/other", "plainer", "./plain", "/plain", "file:///plain", "#plain", "node:fs", "fs"]) assert.equal(plan(specifier), null, specifier);
  assert.equal(plan("plain", "file:///home/user/app/node_modules/lib/index.js"), null, "packages have what they ask for");
  assert.equal(plan("plain", `${ownUrl}index.js`), null);
  assert.equal(plan("plain", inNpm), null, "not for ever");
});

test("what is found nowhere is looked for from the working directory", () => {
  const plan = (specifier: string, parent?: string): unknown => planLookup({ workingDir: "/work", npm: null, ownUrl }, specifier, parent).last;
  for (const specifier of ["./helper.mjs", "../helper.mjs", "package", "@scope/package"]) assert.equal(plan(specifier, program), inDir);
  assert.equal(plan("./helper.mjs", undefined), inDir);
  for (const specifier of ["/absolute.mjs", "file:///absolute.mjs", "fs", "node:fs", "#internal"]) assert.equal(plan(specifier, program), null, specifier);
  assert.equal(plan("./helper.mjs", inDir), null);
  assert.equal(plan("package", "file:///work/node_modules/lib/index.js"), null);
});
