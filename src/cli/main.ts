#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { columns, type Command, CommandError, helpOf, nearest, parseCommand } from "./command-line.ts";
import { drain } from "./drain.ts";
import { explain } from "./explain.ts";
import { memory } from "./memory.ts";
import { run } from "./run.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";
import { stop } from "./stop.ts";
import { timeline } from "./timeline.ts";

/** The entry of the command `mantaray`. */
const COMMANDS: Readonly<Record<string, Command>> = { start, stop, status, explain, drain, run, memory, timeline };

const USAGE_EXIT_CODE = 2;

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(`Clusters of mantaray: start and end their nodes, and look into them.\n\nUsage: mantaray COMMAND [options]\n\nCommands:\n${columns(Object.entries(COMMANDS).map(([command, { summary }]) => [command, summary] as const))}\nmantaray COMMAND --help says more; mantaray --version says which version this is.\n`);
    return name === undefined ? USAGE_EXIT_CODE : 0;
  }
  if (name === "--version" || name === "-v") {
    const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    const near = nearest(name, Object.keys(COMMANDS));
    throw new CommandError(`there is no command '${name}'${near === null ? "" : `; did you mean '${near}'?`} (see \`mantaray --help\`)`);
  }
  const own = command.takesArguments ? rest.slice(0, 1) : rest;
  if (own.includes("--help") || own.includes("-h")) {
    process.stdout.write(helpOf(name, command));
    return 0;
  }
  return command.run(parseCommand(name, command, rest));
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.exitCode = error instanceof CommandError ? USAGE_EXIT_CODE : 1;
  const { code, message, stack } = error as Error & { readonly code?: unknown };
  // What users can do something about says so itself; the rest is a fault of ours.
  const isForUsers = error instanceof CommandError || (typeof code === "string" && code.startsWith("ERR_MANTARAY_"));
  process.stderr.write(`mantaray: ${isForUsers ? message : String(stack)}\n`);
}
