import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { compileFixtures } from "./fixtures/compiled-fixtures.ts";
import type { CompiledFixtures } from "./fixtures/compiled-fixtures.ts";

/** Every case of the programs in fixtures/, in a worker thread and in a worker process, under each way to run a program. */

const source = (name: string): string => fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
const repository = fileURLToPath(new URL("../..", import.meta.url));
const PROGRAM_TIMEOUT_MS = 120_000;

/** Node that runs TypeScript itself: this one, or one that is installed for the tests. */
function nodeWithTypeStripping(): string | undefined {
  if ("typescript" in process.features && process.features.typescript !== false) return process.execPath;
  const installed = join(repository, "node_modules", "node-24", "bin", "node");
  return existsSync(installed) ? installed : undefined;
}

async function runProgram(node: string, options: readonly string[], file: string): Promise<void> {
  const lineOf = (path: string, text: string): string =>
    String(readFileSync(path, "utf8").split("\n").findIndex((line) => line.includes(text)) + 1);
  const library = join(dirname(file), `library${extname(file)}`);
  const child = spawn(node, [...options, file], {
    cwd: repository,
    env: {
      ...process.env,
      THROWER_LINE: lineOf(file, "thrown on purpose"),
      LIBRARY_LINE: lineOf(library, "failed on purpose"),
      NODE_OPTIONS: "",
      NODE_TEST_CONTEXT: "",
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: PROGRAM_TIMEOUT_MS,
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(code, 0, `the program ended with ${code}:\n${errors}\n${output}`);
  assert.equal(errors, "", "nothing is printed behind the user's back");
  const results = output.trim().split("\n").map((line) => JSON.parse(line) as { name: string; where: string; problem: string | null });
  const failures = results.filter((result) => result.problem !== null);
  assert.deepEqual(failures.map(({ name, where, problem }) => `${name} (${where}): ${problem}`), []);
  const declared = readFileSync(file, "utf8").match(/^\s+\{ name: "/gm)?.length ?? 0;
  assert.equal(results.length, declared * 2, "every case ran in both kinds of worker");
}

describe("shipping functions and classes", () => {
  let compiled: CompiledFixtures;
  before(async () => {
    compiled = await compileFixtures();
  });
  after(() => compiled.remove());

  test("from TypeScript under tsx", () => runProgram(process.execPath, ["--import", "tsx"], source("program.ts")));
  test("from TypeScript that needs a compiler, under tsx", () =>
    runProgram(process.execPath, ["--import", "tsx"], source("tsx-program.ts")));
  test("from a plain ES module", () => runProgram(process.execPath, [], join(compiled.folder, "program.mjs")));
  test("from CommonJS", () => runProgram(process.execPath, [], join(compiled.folder, "program.cjs")));

  const node = nodeWithTypeStripping();
  test("from TypeScript under Node's type stripping", { skip: node === undefined && "no Node with type stripping is installed" }, () =>
    runProgram(node as string, ["--disable-warning=ExperimentalWarning"], source("program.ts")),
  );
});
