import { findNodes, stopNode } from "../main/mod.ts";
import { type Command, type Given } from "./command-line.ts";

export const stop: Command = {
  summary: "Ends all nodes of this user on this machine, with their tasks, actors and objects.",
  usage: "[--force] [--address HOST:PORT]",
  takesArguments: false,
  options: {
    force: { value: null, short: "f", help: "Kill them instead of letting them end in good order." },
    address: { value: "HOST:PORT", help: "Only those of the cluster with its head there." },
  },
  run,
};

async function run({ text, isSet }: Given): Promise<number> {
  const address = text("address");
  // The head last: the others need not notice that it is gone.
  const found = findNodes().filter(({ ticket: { node } }) => (address === undefined ? node?.isForTest !== true : node?.clusterAddress === address));
  const nodes = [...found.filter(({ ticket }) => ticket.node?.isHead !== true), ...found.filter(({ ticket }) => ticket.node?.isHead === true)];
  if (nodes.length === 0) {
    process.stdout.write(`No node${address === undefined ? "" : ` of the cluster at ${address}`} runs here.\n`);
    return 0;
  }
  let exitCode = 0;
  for (const node of nodes) {
    const { pid, node: its } = node.ticket;
    const what = `${its?.isHead === true ? "The head" : "The node"}${its?.name == null ? "" : ` ${its.name}`} of the cluster at ${its?.clusterAddress ?? ""} (pid ${pid})`;
    const how = await stopNode({ sessionDir: node.folder, pid }, isSet("force"));
    if (how === "hangs") exitCode = 1;
    process.stdout.write(how === "hangs" ? `${what} is still there${isSet("force") ? "" : ": end it with `mantaray stop --force`"}.\n` : `${what} has ${how === "killed" ? "been killed" : "ended"}.\n`);
  }
  return exitCode;
}
