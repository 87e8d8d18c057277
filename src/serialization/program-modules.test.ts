import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { compileFixtures } from "./fixtures/compiled-fixtures.ts";
import type { CompiledFixtures } from "./fixtures/compiled-fixtures.ts";

/**
 * A program's own modules must not be evaluated again by workers, however the program was started. Each program here
 * writes a line when its top level runs, ships functions to a thread and a process, and must have written it once.
 */

const PROGRAM_TIMEOUT_MS = 60_000;
const NOTE = `import { appendFileSync } from "node:fs"; appendFileSync(process.env.RUNS_FILE, "run\\n");\n`;

interface Started {
  readonly options?: readonly string[];
  readonly input?: string;
}

describe("modules of the program itself", () => {
  let compiled: CompiledFixtures;
  before(async () => {
    compiled = await compileFixtures();
  });
  after(() => compiled.remove());

  /** Names of the cases that went wrong; the files are written into the folder of the fixtures. */
  async function run(files: Record<string, string>, start: Started = {}): Promise<{ problems: string[]; cases: number; runs: number }> {
    const { folder } = compiled;
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const runsFile = join(folder, "runs.txt");
    rmSync(runsFile, { force: true });
    const child = spawn(process.execPath, start.options ?? [join(folder, Object.keys(files)[0] as string)], {
      cwd: folder,
      env: { ...process.env, RUNS_FILE: runsFile, NODE_OPTIONS: "", NODE_TEST_CONTEXT: "" },
      stdio: ["pipe", "pipe", "pipe"],
      timeout: PROGRAM_TIMEOUT_MS,
    });
    child.stdin.end(start.input ?? "");
    let output = "";
    let errors = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (errors += data));
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.equal(code, 0, `ended with ${code}: ${errors}${output}`);
    const results = output.trim().split("\n").map((line) => JSON.parse(line) as { name: string; problem: string | null });
    return {
      problems: results.flatMap(({ name, problem }) => (problem === null ? [] : [`${name}: ${problem}`])),
      cases: results.length,
      runs: readFileSync(runsFile, "utf8").trim().split("\n").length,
    };
  }

  const once = (cases: number) => ({ problems: [], cases: cases * 2, runs: 1 });

  test("an entry that awaits at top level, with exported functions", async () => {
    const entry = `${NOTE}import { runCases } from "./driver.mjs";
      const K = 2; export function task(x) { return x + K; } export class Type { get() { return K; } }
      await runCases([
        { name: "function", make: () => task, args: [1], expected: 3 },
        { name: "class", make: () => Type, how: "new.get", expected: 2 },
      ]);`;
    assert.deepEqual(await run({ "entry.mjs": entry }), once(2));
  });

  test("an imported module that runs the program while it is evaluated", async () => {
    const app = `${NOTE}import { runCases } from "./driver.mjs"; import { helper } from "./helper.mjs";
      export const K = 2; export function task(x) { return helper(x) + K; }
      await runCases([{ name: "function", make: () => task, args: [1], expected: 13 }]);`;
    const helper = `import { K } from "./app.mjs"; export function helper(x) { return x + 5 * K; }`;
    assert.deepEqual(await run({ "index.mjs": `import "./app.mjs";`, "app.mjs": app, "helper.mjs": helper }), once(1));
  });

  test("an imported module that starts the program and does not wait for it", async () => {
    const app = `${NOTE}import { runCases } from "./driver.mjs";
const K = 2; export function helper(x) { return x + 5 * K; } export function task(x) { return helper(x) + K; }
async function main() {
  await null;
  await runCases([{ name: "function", make: () => task, args: [1], expected: 13 }]);
}
main();`;
    assert.deepEqual(await run({ "index.mjs": `import "./app.mjs";`, "app.mjs": app }), once(1));
  });

  test("a module that imports the entry", async () => {
    const entry = `${NOTE}import { runCases } from "./driver.mjs"; import { helper } from "./back.mjs";
      export const K = 2; export const task = (x) => helper(x);
      await runCases([{ name: "function", make: () => task, args: [1], expected: 11 }]);`;
    const back = `import { K } from "./entry.mjs"; export function helper(x) { return x + 5 * K; }`;
    assert.deepEqual(await run({ "entry.mjs": entry, "back.mjs": back }), once(1));
  });

  test("an exported function of a module that is no program is imported", async () => {
    const entry = `${NOTE}import { runCases } from "./driver.mjs"; import * as state from "./state.mjs";
      await runCases([{ name: "function", make: () => state.next, expected: 1 }, { name: "again", make: () => () => state.next(), expected: 2 }]);`;
    const state = `let n = 0; export const next = () => ++n;`;
    assert.deepEqual(await run({ "entry.mjs": entry, "state.mjs": state }), once(2));
  });

  const body = `const K = 2; let calls = 0; function helper(x) { calls++; return x + K + calls; }
    await (await import("./driver.mjs")).runCases([
      { name: "function", make: () => (x) => helper(x), args: [1], expected: 4 },
      { name: "imports", make: () => async () => typeof (await import("./library.mjs")).default, expected: "function" },
    ]);`;

  test("node -e, as a module", async () => {
    assert.deepEqual(await run({}, { options: ["--input-type=module", "-e", NOTE + body] }), once(2));
  });

  test("node -e, with imports in the text", async () => {
    const text = `${NOTE}import { join } from "node:path"; import { libraryFunction } from "./library.mjs";
      import { runCases } from "./driver.mjs";
      await runCases([{ name: "imports", make: () => () => [join("a", "b"), libraryFunction(1)], expected: ["a/b", 6] }]);`;
    assert.deepEqual(await run({}, { options: ["--input-type=module", "-e", text] }), once(1));
  });

  test("node -e, as a script", async () => {
    const text = `require("node:fs").appendFileSync(process.env.RUNS_FILE, "run\\n");
      const K = 2; var legacy = 3; function helper(x) { return x + K + legacy; }
      import("./driver.mjs").then(({ runCases }) => runCases([{ name: "function", make: () => (x) => helper(x), args: [1], expected: 6 }]));`;
    assert.deepEqual(await run({}, { options: ["--input-type=commonjs", "-e", text] }), once(1));
  });

  test("standard input", async () => {
    assert.deepEqual(await run({}, { options: ["--input-type=module", "-"], input: NOTE + body }), once(2));
  });
});
