import { launchNode, type NodeOptions, type NodeReport, startNode } from "../main/mod.ts";
import { type Command, CommandError, type Given } from "./command-line.ts";
import { amount, byteCount, hostAndPort, labels, port, resources, wholeNumber } from "./option-values.ts";

/** Of a head; of others any that is free. */
const PORT_DEFAULT = 6380;
/** What others cannot connect to. */
const ALL_ADDRESSES = new Set(["0.0.0.0", "::", "*"]);

export const start: Command = {
  summary: "Starts a node: the head of a new cluster, or one that joins it. It runs until `mantaray stop`.",
  usage: "--head [options]\n       mantaray start --address HOST:PORT [options]",
  takesArguments: false,
  options: {
    head: { value: null, help: "Start the head of a new cluster." },
    address: { value: "HOST:PORT", help: "Join the cluster with its head there." },
    port: { value: "PORT", help: `Where the node listens; 0: any that is free. Default ${PORT_DEFAULT} for the head, else 0.` },
    host: { value: "ADDRESS", help: "Of this machine, where other machines reach it. Default: 127.0.0.1 for the head, so from this machine alone; else the one that leads to the head." },
    "num-cpus": { value: "N", help: "Default: the processors of this machine." },
    "num-gpus": { value: "N", help: "Default: those that CUDA_VISIBLE_DEVICES names, else all of this machine." },
    memory: { value: "BYTES", help: "That tasks and actors can ask for. Default: what the object store leaves." },
    resources: { value: "JSON", help: `Resources of your own, like '{"printer": 1}'.` },
    labels: { value: "KEY=VALUE,…", help: "Labels of this node." },
    "object-store-memory": { value: "BYTES", help: "For large objects. Default: 30 % of the memory." },
    "object-spilling-directory": { value: "FOLDER", help: "For objects that do not fit. Default: in the session's folder." },
    "node-name": { value: "NAME", help: "How people call this node." },
    block: { value: null, help: "Stay in the foreground, and print what the node writes." },
  },
  run,
};

async function run(given: Given): Promise<number> {
  const options = nodeOptions(given);
  if (given.isSet("block")) {
    const report = await startNode(options, null);
    process.stdout.write(introduction(report));
    // A signal ends it.
    return new Promise(() => undefined);
  }
  process.stdout.write(introduction(await launchNode(options)));
  return 0;
}

function nodeOptions(given: Given): NodeOptions {
  const { text, isSet } = given;
  const address = text("address");
  if (isSet("head") === (address !== undefined)) throw new CommandError("mantaray start needs either --head, for a new cluster, or --address HOST:PORT, to join one");
  const host = text("host") ?? null;
  if (host !== null && ALL_ADDRESSES.has(host)) throw new CommandError(`--host takes one address of this machine, at which others reach it, but got '${host}'`);
  const machine = {
    numCpus: amount("num-cpus", text("num-cpus")), numGpus: wholeNumber("num-gpus", text("num-gpus")), memory: byteCount("memory", text("memory")),
    resources: resources("resources", text("resources")), labels: labels("labels", text("labels")),
    objectStoreMemory: byteCount("object-store-memory", text("object-store-memory")), objectSpillingDirectory: text("object-spilling-directory"),
  };
  const stated = Object.fromEntries(Object.entries(machine).filter(([, value]) => value !== undefined));
  return {
    ...stated, host, port: port("port", text("port")) ?? (address === undefined ? PORT_DEFAULT : 0), name: text("node-name") ?? null, isForTest: false,
    headAddress: address === undefined ? null : hostAndPort("address", address),
  };
}

function introduction({ clusterAddress, pid, isHead, logFile }: NodeReport): string {
  return [
    isHead ? `The head of a new cluster runs at ${clusterAddress} (pid ${pid}).` : `A node has joined the cluster at ${clusterAddress} (pid ${pid}).`,
    "",
    ...(isHead ? [`To add a node: mantaray start --address ${clusterAddress}`] : []),
    `To run a program on it: mantaray run program.ts`,
    `To join it from a program: MANTARAY_ADDRESS=${clusterAddress}, or init({ address: "${clusterAddress}" })`,
    `To see it: mantaray status`,
    `To end it: ${logFile === null ? "Ctrl-C" : "mantaray stop"}`,
    ...(logFile === null ? [] : [`What it writes: ${logFile}`]),
    "",
  ].join("\n");
}
