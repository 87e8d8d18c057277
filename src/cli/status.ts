import { availableResources, clusterResources, type NodeInfo, nodes } from "../main/mod.ts";
import { ADDRESS, addressOf } from "./address.ts";
import { columns, type Command, type Given } from "./command-line.ts";
import { joined } from "./joined.ts";

export const status: Command = {
  summary: "Shows the nodes of a cluster, and what of their resources is in use.",
  usage: "[--address HOST:PORT]",
  takesArguments: false,
  options: { address: ADDRESS },
  run,
};

const OWN_RESOURCES: readonly string[] = ["CPU", "GPU", "memory"];
const MEBIBYTE = 1024 ** 2;

async function run(given: Given): Promise<number> {
  const [machines, total, available] = await joined(addressOf(given), () => Promise.all([nodes(), clusterResources(), availableResources()]));
  const alive = machines.filter((node) => node.alive);
  const lines = machines.map((node) => [`${node.nodeId} ${node.hostname}${node.name === null ? "" : ` ${node.name}`}${!node.alive ? " (dead)" : node.draining ? " (draining)" : ""}`, [resourcesOf(node.resources), labelsOf(node)].filter((text) => text !== "").join("  ")] as const);
  const used = inOrder(total).map(([name, amount]) => [name, `${quantity(name, amount - (available[name] ?? 0))} of ${quantity(name, amount)} in use`] as const);
  process.stdout.write(`${alive.length} ${alive.length === 1 ? "node" : "nodes"} alive${alive.length < machines.length ? `, ${machines.length - alive.length} dead` : ""}\n${columns(lines)}\nResources:\n${columns(used)}`);
  return 0;
}

function resourcesOf(resources: Readonly<Record<string, number>>): string {
  return inOrder(resources).filter(([, amount]) => amount > 0).map(([name, amount]) => `${name} ${quantity(name, amount)}`).join(", ");
}

/** The system's own first. */
function inOrder(resources: Readonly<Record<string, number>>): [string, number][] {
  const rank = (name: string): number => (OWN_RESOURCES.includes(name) ? OWN_RESOURCES.indexOf(name) : OWN_RESOURCES.length);
  return Object.entries(resources).sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b));
}

/** Its id stands in front already. */
function labelsOf({ nodeId, labels }: NodeInfo): string {
  return Object.entries(labels).filter(([, value]) => value !== nodeId).map(([name, value]) => `${name}=${value}`).join(", ");
}

function quantity(name: string, amount: number): string {
  return name === "memory" ? `${Math.round(amount / MEBIBYTE)} MiB` : String(Math.round(amount * 10_000) / 10_000);
}
