import { drainNode, findRuntime, networkAddressOf } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import { type Command, CommandError, type Given } from "./command-line.ts";
import { wholeNumber } from "./option-values.ts";

export const drain: Command = {
  summary: "Lets a node of a cluster finish what it has, gives it nothing new, and ends it. Waits until it has left.",
  usage: "[--deadline-ms MS] [--address HOST:PORT] NODE",
  takesArguments: true,
  options: {
    "deadline-ms": { value: "MS", help: "It ends after so many milliseconds, whatever it still has. Default: as soon as it has nothing left." },
    address: ADDRESS,
  },
  run,
};

async function run(given: Given): Promise<number> {
  const [node, ...more] = given.rest;
  if (node === undefined || more.length > 0) throw new CommandError("mantaray drain takes one node: the beginning of its id, its address HOST:PORT or its name, as `mantaray status` shows them; options come before it");
  const timeLeftMs = wholeNumber("deadline-ms", given.text("deadline-ms")) ?? null;
  const { nodeId, reason, isDrained } = await drainNode(networkAddressOf(clusterAddress(addressOf(given))), {
    node, timeLeftMs,
    onDraining: (id) => process.stdout.write(`Node ${id} takes nothing new, and leaves when it has done what it has${timeLeftMs === null ? "" : `, after ${timeLeftMs} ms at the latest`}.\n`),
  });
  process.stdout.write(`Node ${nodeId} ${reason}.\n`);
  return isDrained ? 0 : 1;
}

/** Of the head. */
function clusterAddress(address: string): string {
  if (address !== "auto" && !address.startsWith("unix:")) return address;
  const { node } = findRuntime(address);
  if (node === null) throw new CommandError("the runtime that was found is a program's own, and no cluster: pass --address HOST:PORT of its head");
  return node.clusterAddress;
}
