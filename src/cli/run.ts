import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { constants } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { checkJoinable } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import { type Command, CommandError, type Given } from "./command-line.ts";

export const run: Command = {
  summary: "Runs a program on a cluster: sets MANTARAY_ADDRESS for it, and ends as it does.",
  usage: "[--address HOST:PORT] PROGRAM [--address HOST:PORT] [arguments of the program]",
  takesArguments: true,
  options: { address: ADDRESS },
  run: runProgram,
};

const TYPESCRIPT = /\.[mc]?tsx?$/;
const PASSED_ON: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
const SIGNAL_EXIT_CODE = 128;
const ADDRESS_OPTION = "--address";
const ADDRESS_WITH_VALUE = `${ADDRESS_OPTION}=`;

async function runProgram(given: Given): Promise<number> {
  const [program, ...behind] = given.rest;
  if (program === undefined) throw new CommandError("mantaray run needs a program: mantaray run program.ts");
  const path = resolve(program);
  if (!existsSync(path)) throw new CommandError(`there is no program ${path}`);
  const [addressBehind, args] = given.text("address") === undefined ? splitAtAddress(behind) : [undefined, behind];
  const address = addressBehind ?? addressOf(given);
  checkJoinable(address);
  const child = spawn(process.execPath, [...(TYPESCRIPT.test(path) ? typeScriptOptions(path) : []), path, ...args], { stdio: "inherit", env: { ...process.env, MANTARAY_ADDRESS: address } });
  for (const signal of PASSED_ON) {
    process.on(signal, () => {
      // A terminal sends it to both.
      if (signal !== "SIGINT" || process.stdin.isTTY !== true) child.kill(signal);
    });
  }
  return new Promise((done, failed) => {
    child.once("error", failed);
    child.once("exit", (code, signal) => done(code ?? endedBy(signal as NodeJS.Signals)));
  });
}

/** Right behind the program the option is still this command's: a program that was meant for one cluster would run on another. Given before, all that follows is the program's. */
function splitAtAddress(args: readonly string[]): readonly [string | undefined, readonly string[]] {
  const [first = "", second] = args;
  if (first.startsWith(ADDRESS_WITH_VALUE)) return [first.slice(ADDRESS_WITH_VALUE.length), args.slice(1)];
  if (first !== ADDRESS_OPTION) return [undefined, args];
  if (second === undefined) throw new CommandError(`${ADDRESS_OPTION} needs a value, as ${ADDRESS_OPTION} HOST:PORT (see \`mantaray run --help\`)`);
  return [second, args.slice(2)];
}

/** As the program did: shells and supervisors look at the signal. */
function endedBy(signal: NodeJS.Signals): number {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // Where that has no effect.
  return SIGNAL_EXIT_CODE + (constants.signals[signal] ?? 0);
}

/** What makes Node run it: tsx where the program can have it, else what Node can do itself. */
function typeScriptOptions(path: string): string[] {
  try {
    return ["--import", pathToFileURL(createRequire(path).resolve("tsx")).href];
  } catch {
    // Not installed there.
  }
  if ((process.features as { typescript?: unknown }).typescript) return [];
  if (process.allowedNodeEnvironmentFlags.has("--experimental-strip-types")) return ["--experimental-strip-types"];
  throw new CommandError(`Node ${process.versions.node} cannot run TypeScript by itself: install tsx beside ${path} (npm install tsx), or use Node 22.18 or later`);
}
