import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { SerializationError } from "../base/mod.ts";
import type { ModuleAnswer, ModuleQuestion, ModuleRequest, PreparedEnvironment } from "../protocol/mod.ts";
import { ModulePlacer, type Placement } from "./module-placer.ts";
import { ModuleSupplier } from "./module-supplier.ts";

const ORIGIN = { driverId: "driver", fileSystem: "there" };
const OWN_FOLDER = fileURLToPath(new URL("../../", import.meta.url));

/** A program's folder, a machine that has a session folder only, and the questions that it asks. */
describe("modules of a program on a machine without its files", () => {
  let there: string;
  let session: string;
  let questions: ModuleQuestion[];
  let supplier: ModuleSupplier;

  beforeEach(() => {
    there = realpathSync(mkdtempSync(join(tmpdir(), "mantaray-modules-there-")));
    session = realpathSync(mkdtempSync(join(tmpdir(), "mantaray-modules-here-")));
    elsewhere = `${there}-elsewhere`;
    questions = [];
    supplier = new ModuleSupplier();
  });
  afterEach(() => {
    rmSync(there, { recursive: true, force: true });
    rmSync(session, { recursive: true, force: true });
  });

  function write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(there, name)), { recursive: true });
      writeFileSync(join(there, name), text);
    }
  }

  /** The program's folder as this machine hears of it: by a name that leads nowhere here, unless both have the same files. */
  let elsewhere: string;
  function renamed<T>(value: T, from: string, to: string): T {
    return JSON.parse(JSON.stringify(value).replaceAll(basename(from), basename(to))) as T;
  }

  async function ask(_driverId: string, question: ModuleQuestion): Promise<ModuleAnswer> {
    questions.push(question);
    const answer = await supplier.answer(renamed(question, elsewhere, there));
    return answer.type === "contents" ? answer : renamed(answer, there, elsewhere);
  }

  function placer(environment: Partial<PreparedEnvironment> | null = null): ModulePlacer {
    return new ModulePlacer({ sessionDir: session, ownFolder: OWN_FOLDER, environment: environment as PreparedEnvironment | null, ask: ask as never, wallClockMs: () => Date.now() });
  }

  const request = (specifier: string, kind: ModuleRequest["kind"] = "import"): ModuleRequest => ({ specifier, parentUrl: pathToFileURL(join(elsewhere, "main.ts")).href, kind });
  const place = (requests: readonly ModuleRequest[], given = placer(), loadsTypeScript = false): Promise<Placement> => given.place(ORIGIN, requests, loadsTypeScript);

  const targetOf = (placement: Placement, index = 0): string => (placement.targets[index] as ModuleRequest).specifier;
  const imported = async (placement: Placement, index = 0): Promise<Record<string, any>> => import(targetOf(placement, index)) as Promise<Record<string, any>>;

  test("TypeScript and its local imports, with names as compilers have them", async () => {
    write({
      "lib.ts": 'import { twice } from "./lib/twice.js"; import { Level } from "./level"; export const lib = (x: number): number => twice(x) + Level.High;',
      "lib/twice.ts": "export const twice = (x: number): number => x * 2;",
      "level.ts": "export enum Level { Low, High }",
    });
    const { lib } = await imported(await place([request("./lib.ts")]));
    assert.equal(lib(4), 9);
  });

  test("names that tsconfig.json gives to folders", async () => {
    write({
      "tsconfig.json": JSON.stringify({ compilerOptions: { paths: { "@lib/*": ["./lib/*"] } } }),
      "lib.ts": 'export { value } from "@lib/deep";',
      "lib/deep.ts": "export const value = 42;",
    });
    assert.equal((await imported(await place([request("./lib.ts")]))).value, 42);
  });

  test("a module is one instance, whoever leads to it and whenever", async () => {
    write({
      "count.ts": "let count = 0; export const next = (): number => ++count;",
      "a.ts": 'import { next } from "./count.ts"; export const a = next;',
      "b.ts": 'import { next } from "./count.ts"; export const b = next;',
    });
    const { a } = await imported(await place([request("./a.ts")]));
    const { b } = await imported(await place([request("./b.ts")]));
    const { next } = await imported(await place([request("./count.ts")]));
    assert.deepEqual([a(), b(), next()], [1, 2, 3]);
  });

  test("modules that import each other, and wait at their top level", async () => {
    write({
      "even.mjs": 'import { odd } from "./odd.mjs"; await null; export const even = (n) => n === 0 || odd(n - 1);',
      "odd.mjs": 'import { even } from "./even.mjs"; export const odd = (n) => n !== 0 && even(n - 1);',
    });
    const { even } = await imported(await place([request("./even.mjs")]));
    assert.deepEqual([even(10), even(7)], [true, false]);
  });

  test("CommonJS keeps its names, its data and its identity", async () => {
    write({
      "main.cjs": "",
      "lib.js": 'const { list } = require("./list"); exports.add = (x) => list.push(x); exports.list = list; exports.limit = require("./data").limit;',
      "list.js": "exports.list = [];",
      "data.json": '{"limit":7}',
      "read.mjs": 'import { list, limit } from "./lib.js"; export const read = () => [...list, limit];',
    });
    const placement = await place([request("./lib", "require"), request("./read.mjs")]);
    const lib = createRequire(targetOf(placement))(fileURLToPath(targetOf(placement))) as { add(x: number): void };
    lib.add(1);
    assert.deepEqual((await imported(placement, 1)).read(), [1, 7]);
    // As a function that requires it does, by its name.
    assert.equal(createRequire((placement.targets[0] as ModuleRequest).parentUrl)("./lib"), lib);
  });

  test("TypeScript that is required becomes CommonJS", async () => {
    write({ "lib.ts": 'import { x } from "./x"; export const y = (): number => x + 1;', "x.ts": "export const x: number = 1;" });
    const placement = await place([request("./lib", "require")]);
    assert.equal((createRequire(targetOf(placement))(fileURLToPath(targetOf(placement))) as { y(): number }).y(), 2);
  });

  test("require in an ES module, also by a function of its own, and files beside it", async () => {
    write({
      "lib.mjs": 'import { createRequire } from "node:module"; import { readFileSync } from "node:fs"; const require = createRequire(import.meta.url); const { x } = require("./x.js"); export const text = readFileSync(new URL("./text.txt", import.meta.url), "utf8") + x;',
      "x.js": "exports.x = 1;",
      "text.txt": "text",
      "typed.ts": 'const { x } = require("./x"); export const typed: number = x;',
    });
    const placement = await place([request("./lib.mjs"), request("./typed.ts")]);
    assert.equal((await imported(placement)).text, "text1");
    assert.equal((await imported(placement, 1)).typed, 1);
  });

  test("what is placed leads back to the program's files", async () => {
    write({ "lib.ts": 'export * from "./x.js";', "x.ts": "export const x: number = 1;" });
    const { sources, root, targets } = await place([request("./lib.ts")]);
    assert.deepEqual([...sources.values()].sort(), ["lib.ts", "x.ts"].map((name) => pathToFileURL(join(elsewhere, name)).href));
    assert.ok((targets[0] as ModuleRequest).specifier.startsWith(root));
  });

  test("files that are here with the same content are taken from here, others are not", async () => {
    elsewhere = there;
    write({ "same.mjs": "export const same = {};", "a.mjs": 'import { same } from "./same.mjs"; export const a = () => same;' });
    const first = await place([request("./same.mjs"), request("./a.mjs")]);
    assert.deepEqual(first.targets, [null, null]);
    // From now on this machine has another file than the program, which has read its own.
    writeFileSync(join(there, "a.mjs"), "export const a = () => 'of this machine';");
    const second = await place([request("./a.mjs")]);
    const { a } = await imported(second);
    const { same } = (await import(pathToFileURL(join(there, "same.mjs")).href)) as { same: object };
    assert.equal(a(), same);
  });

  test("TypeScript that this machine has counts only if it can be loaded here", async () => {
    elsewhere = there;
    write({ "lib.ts": "export const x: number = 1;" });
    assert.deepEqual((await place([request("./lib.ts")], placer(), true)).targets, [null]);
    assert.equal((await imported(await place([request("./lib.ts")], placer(), false))).x, 1);
  });

  test("packages come with what they depend on, and only if they are not here", async () => {
    write({
      "lib.mjs": 'import { pad } from "tiny"; export const lib = pad;',
      "node_modules/tiny/package.json": JSON.stringify({ name: "tiny", version: "1.0.0", exports: { import: "./index.mjs" }, dependencies: { deep: "1" }, optionalDependencies: { speedup: "1" } }),
      "node_modules/tiny/index.mjs": 'import deep from "deep"; import { readFileSync } from "node:fs"; export const pad = (s) => deep(s) + readFileSync(new URL("./fill.txt", import.meta.url), "utf8");',
      "node_modules/tiny/fill.txt": ".",
      "node_modules/tiny/index.d.ts": "",
      "node_modules/.store/deep/package.json": JSON.stringify({ name: "deep", version: "1.0.0", main: "deep.js" }),
      "node_modules/.store/deep/deep.js": "module.exports = (s) => `[${s}]`;",
      "node_modules/speedup/package.json": JSON.stringify({ name: "speedup", version: "1.0.0", cpu: ["z80"] }),
      "node_modules/speedup/binding.gyp": "{}",
    });
    symlinkSync(".store/deep", join(there, "node_modules", "deep"));
    const requests = [request("./lib.mjs"), request("tiny")];
    const placement = await place(requests);
    const { lib } = await imported(placement);
    assert.equal(lib("x"), "[x].");
    const folder = join(session, "modules", ORIGIN.driverId, elsewhere, "node_modules");
    assert.deepEqual(readdirSync(folder).sort(), [".store", "deep", "tiny"]);
    assert.equal(existsSync(join(folder, "tiny", "index.d.ts")), false);
    // What the program itself imports from is a package: by its name, from where it would be.
    const { specifier, parentUrl } = placement.targets[1] as ModuleRequest;
    assert.equal(specifier, "tiny");
    assert.equal(fileURLToPath(parentUrl), join(session, "modules", ORIGIN.driverId, elsewhere, "main.ts"));
  });

  test("packages of the environment, and those that are at the same place, are not sent", async () => {
    write({
      "lib.mjs": 'export * from "installed"; export * from "present";',
      "node_modules/installed/package.json": JSON.stringify({ name: "installed", version: "1.0.0", gypfile: true }),
      "node_modules/installed/index.js": "",
      "node_modules/present/package.json": JSON.stringify({ name: "present", version: "1.0.0" }),
      "node_modules/present/index.js": "exports.present = true;",
    });
    mkdirSync(join(elsewhere, "node_modules"), { recursive: true });
    cpSync(join(there, "node_modules/present"), join(elsewhere, "node_modules/present"), { recursive: true });
    try {
      await place([request("./lib.mjs")], placer({ workingDir: null, npm: { folder: session, names: ["installed"] } }));
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
    assert.deepEqual(questions.map(({ type }) => type), ["modules", "contents"]);
    const folder = join(session, "modules", ORIGIN.driverId, elsewhere, "node_modules");
    assert.deepEqual(readdirSync(folder), ["present"]);
    assert.equal(readlinkSync(join(folder, "present")), join(elsewhere, "node_modules/present"));
  });

  test("what is placed is asked for once, by whoever comes first", async () => {
    write({ "lib.ts": "export const x = 1;" });
    await place([request("./lib.ts")]);
    const before = questions.filter(({ type }) => type === "contents").length;
    await place([request("./lib.ts")]);
    assert.equal(before, 1);
    assert.deepEqual(questions.map(({ type }) => type), ["modules", "contents"]);
    const names = readdirSync(join(session, "modules"));
    assert.deepEqual(names, [ORIGIN.driverId], "no lock is left");
  });

  test("what is placed is there when the program has left", async () => {
    write({
      "lib.mjs": 'export { pad } from "tiny";',
      "node_modules/tiny/package.json": JSON.stringify({ name: "tiny", version: "1.0.0", main: "index.js" }),
      "node_modules/tiny/index.js": "exports.pad = (s) => s;",
    });
    const first = await place([request("./lib.mjs")]);
    supplier.answer = () => Promise.reject(new Error("has ended"));
    const second = await place([request("./lib.mjs")]);
    assert.deepEqual(second.targets, first.targets);
    assert.equal((await imported(second)).pad("x"), "x");
    await assert.rejects(place([request("./other.mjs")]), /has ended/);
  });

  test("what was not there may come", async () => {
    assert.deepEqual((await place([request("./late.mjs")])).targets, [null]);
    write({ "late.mjs": "export const late = 1;" });
    assert.equal((await imported(await place([request("./late.mjs")]))).late, 1);
  });

  test("several at the same time", async () => {
    write({ "lib.ts": 'export * from "./a.ts"; export * from "./b.ts";', "a.ts": "export const a = 1;", "b.ts": "export const b = 2;" });
    const placements = await Promise.all(Array.from({ length: 8 }, () => place([request("./lib.ts")])));
    assert.equal(new Set(placements.map((placement) => targetOf(placement))).size, 1);
    assert.equal((await imported(placements[0] as Placement)).b, 2);
    assert.equal(questions.filter(({ type }) => type === "contents").length, 1);
  });

  test("native code is refused, by the name of the package that brings it", async () => {
    write({
      "lib.mjs": 'import "image"; export {};',
      "node_modules/image/package.json": JSON.stringify({ name: "image", version: "3.1.4", dependencies: { codec: "1" } }),
      "node_modules/image/index.js": 'require("codec");',
      "node_modules/codec/package.json": JSON.stringify({ name: "codec", version: "1.0.0" }),
      "node_modules/codec/codec.node": "",
    });
    await assert.rejects(place([request("./lib.mjs")]), (error: Error) => {
      assert.ok(error instanceof SerializationError);
      assert.match(error.message, /package 'codec', imported by the package 'image', is not there on the machine of the worker and cannot be sent: it has native code \(codec\.node\).*runtimeEnv: \{ npm: \["image@3\.1\.4"\] \}/);
      return true;
    });
  });

  test("what cannot be packed says why", async () => {
    write({ "lib.mjs": 'import "./codec.node"; export {};', "codec.node": "", "wrong.ts": "export const x = = 1;" });
    await assert.rejects(place([request("./lib.mjs")]), (error: Error) => {
      assert.ok(error instanceof SerializationError);
      assert.match(error.message, /codec\.node, imported by .*lib\.mjs, is not there on the machine of the worker and cannot be sent: it is native code.*workingDir/);
      return true;
    });
    await assert.rejects(place([request("./wrong.ts")]), /cannot be made ready.*wrong\.ts:1/);
  });

  test("what cannot be packed holds up only what needs it", async () => {
    write({
      "wrong.ts": "export const = 3;", "uses-wrong.ts": 'import "./wrong.ts"; export const value = 1;',
      "right.ts": 'import { value } from "./shared.ts"; export const twice: number = 2 * value;', "shared.ts": "export const value: number = 4;",
      "uses-both.ts": 'export * from "./uses-wrong.ts"; export * from "./right.ts";',
    });
    await assert.rejects(place([request("./uses-both.ts")]), /cannot be made ready.*wrong\.ts:1/);
    const { targets: [target] } = await place([request("./right.ts")]);
    assert.equal(((await import(target!.specifier)) as { readonly twice: number }).twice, 8);
    await assert.rejects(place([request("./uses-wrong.ts")]), /cannot be made ready.*wrong\.ts:1/);
  });

  test("what leads nowhere is left to Node", async () => {
    write({});
    assert.deepEqual((await place([request("./nowhere.ts"), request("no-such-package"), request("node:fs")])).targets, [null, null, null]);
  });
});
