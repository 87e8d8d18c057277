/** One object from one machine to others over links of a limited rate, in namespaces of its own (see ../links.ts); prints the times. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { connectMachines, hostOf, onMachine } from "../links.ts";
import { timesOf, timesInCluster, receiveInPlace, SENDER, SENDER_CHUNK_BYTES, storeBytesFor } from "../workloads/node-workloads.ts";

type Child = ChildProcessByStdio<Writable, Readable, null>;

const SENDING = 0;
const COMMAND = [process.execPath, fileURLToPath(new URL("cli.js", import.meta.resolve("mantaray")))];
const HERE = [process.execPath, fileURLToPath(import.meta.url)];

function start(machine: number, command: readonly string[]): Child {
  const [file, ...args] = onMachine(machine, command);
  return spawn(file, args, { stdio: ["pipe", "pipe", "inherit"] });
}

async function says(child: Child, pattern: RegExp): Promise<string> {
  for await (const line of createInterface({ input: child.stdout })) {
    const match = pattern.exec(line);
    if (match !== null) return match[1] ?? "";
  }
  throw new Error(`it ended before it said ${String(pattern)}`);
}

async function inCluster(byteLength: number, receivers: number, times: number): Promise<unknown> {
  const common = ["--num-cpus", "1", "--object-store-memory", String(storeBytesFor(byteLength)), "--block"];
  const address = await says(start(SENDING, [...COMMAND, "start", "--head", "--host", hostOf(SENDING), "--port", "0", ...common]), /runs at (\S+:\d+)/);
  await Promise.all(Array.from({ length: receivers }, (_, index) =>
    says(start(index + 1, [...COMMAND, "start", "--address", address, "--resources", JSON.stringify({ [`receiver${index}`]: 1 }), ...common]), /(joined) the cluster/)));
  return JSON.parse(await says(start(SENDING, [...HERE, "program", address, String(byteLength), String(receivers), String(times)]), /^(\{.*\})$/));
}

async function bySockets(byteLength: number, receivers: number, times: number): Promise<unknown> {
  const sender = start(SENDING, [process.execPath, "-e", SENDER, String(byteLength), String(SENDER_CHUNK_BYTES), hostOf(SENDING)]);
  const port = await says(sender, /^(\d+)$/);
  const children = Array.from({ length: receivers }, (_, index) => start(index + 1, [...HERE, "receiver", port, String(byteLength)]));
  const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
  // Each says that it is ready, and then that it has all.
  await Promise.all(lines.map((each) => each.next()));
  return timesOf(times, receivers, (count) => Promise.all(children.slice(0, count).map((child, index) => {
    child.stdin.write("\n");
    return lines[index]!.next();
  })));
}

async function receive(port: number, byteLength: number): Promise<void> {
  const target = new Uint8Array(byteLength).fill(2);
  console.log("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    await receiveInPlace(port, target, hostOf(SENDING));
    console.log("received");
  }
}

const [role, ...args] = process.argv.slice(2);
if (role === "program") {
  const [address, ...sizes] = args;
  const [byteLength, receivers, times] = sizes.map(Number);
  console.log(JSON.stringify(await timesInCluster(address!, byteLength!, receivers!, times!)));
} else if (role === "receiver") {
  await receive(Number(args[0]), Number(args[1]));
} else {
  void once(process.stdin.resume(), "end").then(() => process.exit(1));
  const [byteLength, receivers, times, megabitsPerSecond] = args.map(Number) as [number, number, number, number];
  process.env["TMPDIR"] = process.env["HOME"] = "/run/mantaray-bench";
  mkdirSync(process.env["TMPDIR"]);
  connectMachines(1 + receivers, megabitsPerSecond);
  console.log(JSON.stringify(await (role === "cluster" ? inCluster : bySockets)(byteLength, receivers, times)));
  // Everything else here ends with it.
  process.exit(0);
}
