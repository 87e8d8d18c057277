import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { WARNING_OF_HANGS_MS } from "./running-program.ts";

const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));
const RUN_MS_MAX = 100_000;

export interface ProgramRun {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Where the program was, for expectations about stacks. */
  readonly folder: string;
}

export interface ProgramOptions {
  /** Source by path relative to the program's folder; the first one is run. `.ts` runs under tsx. */
  readonly files: Readonly<Record<string, string>>;
  readonly nodeArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** Runs a program that imports "mantaray" in a process of its own, in a folder of its own, until it exits by itself. */
export function runProgram({ files, nodeArguments = [], environment = {} }: ProgramOptions): Promise<ProgramRun> {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-program-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(REPOSITORY, join(folder, "node_modules", "mantaray"), "junction");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  for (const [name, source] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), source);
  }
  const entry = Object.keys(files)[0] as string;
  const loader = entry.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : [];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...nodeArguments, ...loader, join(folder, entry)], { cwd: folder, env: { ...cleanEnvironment(), ...environment }, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const finish = (act: () => void): void => {
      clearTimeout(deadline);
      rmSync(folder, { recursive: true, force: true });
      act();
    };
    const deadline = setTimeout(() => {
      child.kill("SIGKILL");
      finish(() => reject(new Error(`the program did not exit by itself within ${RUN_MS_MAX} ms; it printed:\n${stdout}\n${stderr}`)));
    }, RUN_MS_MAX);
    child.once("error", (error) => finish(() => reject(error)));
    child.once("close", (exitCode, signal) => finish(() => resolve({ exitCode, signal, stdout, stderr, folder })));
  });
}

function cleanEnvironment(): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { ...process.env, MANTARAY_STUCK_WARNING_MS: WARNING_OF_HANGS_MS };
  delete environment["NODE_TEST_CONTEXT"];
  return environment;
}

/** What it has printed, if it has ended well. */
export function linesOf({ exitCode, stdout, stderr }: ProgramRun): string[] {
  assert.equal(exitCode, 0, stderr);
  return stdout.trimEnd().split("\n");
}
