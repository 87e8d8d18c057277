import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runProgram, type ProgramOptions } from "./child-program.ts";
import { HIDE_OWN_FOLDER } from "./hidden-folder.ts";

/** Starts workers that see nothing of the program's folder. */
const BEGIN = `
const hidden = { envVars: { NODE_OPTIONS: "--import=" + JSON.stringify(new URL("./hide.mjs", import.meta.url).href), ...(process.env.HIDE_ONLY ? { HIDE_ONLY: process.env.HIDE_ONLY } : {}) } };
await ray.init({ numCpus: 2, isolation: "process", runtimeEnv: hidden });
`;
const PACKAGES = {
  "node_modules/tiny/package.json": JSON.stringify({ name: "tiny", version: "1.0.0", exports: { import: "./index.mjs", require: "./index.cjs" }, dependencies: { deep: "1" } }),
  "node_modules/tiny/index.mjs": 'import deep from "deep"; export const pad = (text) => deep(text);',
  "node_modules/tiny/index.cjs": 'exports.pad = (text) => require("deep")(text);',
  "node_modules/deep/package.json": JSON.stringify({ name: "deep", version: "1.0.0", main: "deep.js" }),
  "node_modules/deep/deep.js": "module.exports = (text) => `[${text}]`;",
};

async function output(program: ProgramOptions): Promise<{ readonly lines: string[]; readonly folder: string }> {
  const { stdout, stderr, exitCode, folder } = await runProgram({ ...program, files: { ...program.files, ...PACKAGES, "hide.mjs": HIDE_OWN_FOLDER } });
  assert.equal(exitCode, 0, stderr);
  return { lines: stdout.trim().split("\n"), folder };
}

describe("workers on a machine without the program's files", () => {
  it("read JSON that the program imports, as workers do that have its files", async () => {
    const { lines } = await output({
      files: {
        "main.mjs": `
          import * as ray from "mantaray";
          import settings from "./settings.json" with { type: "json" };
          import * as whole from "./settings.json" with { type: "json" };
          ${BEGIN}
          const read = ray.remote(() => [settings.limit, whole.default.limit]);
          console.log(JSON.stringify([await ray.get(read.remote()), await ray.get(read.options({ isolation: "thread" }).remote())]));
          await ray.shutdown();`,
        "settings.json": '{ "limit": 7 }',
      },
    });
    assert.deepEqual(JSON.parse(lines[0] as string), [[7, 7], [7, 7]]);
  });

  it("get TypeScript modules with what they import, one instance of each, and packages that are not there", async () => {
    const { lines, folder } = await output({
      files: {
        "main.ts": `
          import * as ray from "mantaray";
          import { label, Thing, fail } from "./lib/label.ts";
          import { other } from "./lib/other.js";
          ${BEGIN}
          // One worker runs them one after the other.
          class Host {
            label() { return [label(), new Thing(4).sum()]; }
            other() { return other(); }
            async late(name: string) { const { other } = await import(name); const { pad } = await import("tiny"); return [other(), pad("x")]; }
            async inner() { const nested = ray.remote(() => [label(), new Thing(1) instanceof Thing]); return ray.get(nested.remote()); }
            fail() { fail(); }
          }
          const host = ray.remote(Host).remote();
          for (const call of [host.label.remote(), host.other.remote(), host.late.remote("./lib/other.ts"), host.inner.remote()]) console.log(JSON.stringify(await ray.get(call)));
          await ray.get(host.fail.remote()).catch((error) => console.log(error.stack));
          await ray.shutdown();`,
        "lib/count.ts": "export enum Level { Low = 1, High = 2 }\nlet count = 0;\nexport const next = (): number => ++count;",
        "lib/label.ts": `
          import { next, Level } from "./count.js";
          import { pad } from "tiny";
          export const label = (): string => pad("label" + next() + Level.High);
          export class Thing { #x = 1; constructor(public y: number) {} sum() { return this.#x + this.y; } }
          export function fail(): never {
            throw new Error("there");
          }`,
        "lib/other.ts": `
          import { readFileSync } from "node:fs";
          import { next } from "./count.ts";
          export const other = (): string => "other" + next() + readFileSync(new URL("./words.txt", import.meta.url), "utf8");`,
        "lib/words.txt": " words",
      },
    });
    assert.deepEqual(lines.slice(0, 4), ['["[label12]",5]', '"other2 words"', '["other3 words","[x]"]', '["[label12]",true]']);
    assert.match(lines.join("\n"), new RegExp(`at fail \\(${folder}/lib/label\\.ts:7:19\\)`));
  });

  it("get JavaScript modules, also those of CommonJS", async () => {
    const { lines } = await output({
      files: {
        "main.mjs": `
          import * as ray from "mantaray";
          import { esm } from "./esm.js";
          import cjs, { named } from "./cjs.cjs";
          ${BEGIN}
          for (const fn of [() => esm(), () => cjs.hello(), () => named]) console.log(await ray.get(ray.remote(fn).remote()));
          await ray.shutdown();`,
        "esm.js": 'import { named } from "./cjs.cjs"; import { pad } from "tiny"; import * as all from "./all.js"; export const value = "V"; export const esm = () => pad(named + all.value);',
        "all.js": 'export * from "./esm.js";',
        "cjs.cjs": 'const { other } = require("./other.cjs"); exports.named = "N" + other; exports.hello = () => "hello " + require("./data.json").name;',
        "other.cjs": 'exports.other = "O";',
        "data.json": '{"name":"data"}',
      },
    });
    assert.deepEqual(lines, ["[NOV]", "hello data", "NO"]);
  });

  it("get what a CommonJS program requires", async () => {
    const { lines } = await output({
      files: {
        "main.cjs": `
          const ray = require("mantaray");
          const { pathToFileURL } = require("node:url");
          const lib = require("./lib");
          const { pad } = require("tiny");
          async function main() {
            await ray.init({ numCpus: 2, isolation: "process", runtimeEnv: { envVars: { NODE_OPTIONS: "--import=" + pathToFileURL(__dirname + "/hide.mjs").href } } });
            for (const fn of [() => lib.hello() + pad("p"), () => require("./lib").hello() + require("tiny").pad("q"), async () => (await import("./more.mjs")).more])
              console.log(await ray.get(ray.remote(fn).remote()));
            await ray.shutdown();
          }
          main();`,
        "lib.cjs": "",
        "lib/index.js": 'exports.hello = () => "hello" + require("../value");',
        "lib/package.json": "{}",
        "value.js": "module.exports = 1;",
        "package.json": "{}",
        "more.mjs": 'export const more = "more";',
      },
    });
    assert.deepEqual(lines, ["hello1[p]", "hello1[q]", "more"]);
  });

  it("use the files that they have, and get those that are missing", async () => {
    const { lines } = await output({
      environment: { HIDE_ONLY: "missing.mjs" },
      files: {
        "main.mjs": `
          import * as ray from "mantaray";
          import { where } from "./present.mjs";
          import { missing } from "./missing.mjs";
          ${BEGIN}
          const task = ray.remote(() => [where() === missing(), where()]);
          const [isSame, url] = await ray.get(task.remote());
          console.log(isSame, url === new URL("./present.mjs", import.meta.url).href);
          await ray.shutdown();`,
        "present.mjs": "export const where = () => import.meta.url;",
        "missing.mjs": 'import { where } from "./present.mjs"; export const missing = () => where();',
      },
    });
    assert.deepEqual(lines, ["true true"]);
  });

  it("say so when the program cannot prepare its modules, since esbuild was not installed", async () => {
    const withoutEsbuild = `import Module from "node:module"; const resolve = Module._resolveFilename; Module._resolveFilename = function (name, ...rest) { if (name === "esbuild") throw Object.assign(new Error("not there"), { code: "MODULE_NOT_FOUND" }); return resolve.call(this, name, ...rest); };`;
    const { lines } = await output({
      nodeArguments: ["--import", `data:text/javascript,${encodeURIComponent(withoutEsbuild)}`],
      files: {
        "main.mjs": `
          import * as ray from "mantaray";
          import { value } from "./lib.mjs";
          ${BEGIN}
          await ray.get(ray.remote(() => value()).remote()).catch((error) => console.log(error instanceof ray.SerializationError, error.message));
          await ray.shutdown();`,
        "lib.mjs": "export const value = () => 1;",
      },
    });
    assert.match(lines[0] as string, /^true .*'esbuild', an optional dependency of mantaray, is not installed here.*npm install esbuild.*workingDir/);
  });

  it("say what cannot be sent, who imports it and what to do", async () => {
    const { lines, folder } = await output({
      files: {
        "main.mjs": `
          import * as ray from "mantaray";
          import { codec } from "./uses-native.mjs";
          ${BEGIN}
          const task = ray.remote(() => codec);
          await ray.get(task.remote()).catch((error) => console.log(error instanceof ray.SerializationError, error.message));
          class Actor { codec() { return codec; } }
          const actor = ray.remote(Actor).remote();
          await ray.get(actor.codec.remote()).catch((error) => console.log(error.name, error.message.includes('npm: ["codec@2.0.0"]')));
          await ray.get(ray.remote(async () => import("./nowhere.mjs")).remote()).catch((error) => console.log(error.cause.code));
          await ray.shutdown();`,
        "uses-native.mjs": 'export { codec } from "codec";',
        "node_modules/codec/package.json": JSON.stringify({ name: "codec", version: "2.0.0", main: "i.js" }),
        "node_modules/codec/i.js": "exports.codec = 1;",
        "node_modules/codec/binding.gyp": "{}",
      },
    });
    assert.match(lines[0] as string, new RegExp(`^true .*package 'codec', imported by ${folder}/uses-native\\.mjs, is not there on the machine of the worker and cannot be sent: it has native code \\(binding\\.gyp\\).*npm: \\["codec@2\\.0\\.0"\\]`));
    assert.match(lines[1] as string, /^\w*Error true$/);
    assert.equal(lines[2], "ERR_MODULE_NOT_FOUND");
  });
});
