/**
 * Machines with links of a limited rate, for what on one machine without them only shows how fast it copies: network namespaces of this one's kernel. They
 * are made inside of namespaces for processes, mounts and the network, which have no name and end with their first process: whatever becomes of the
 * bench, nothing is left of them, neither a process nor a device nor a file.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

const OWN_NAMESPACES = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
/** Names of namespaces, and whatever the nodes keep in files, are nobody else's. */
const OWN_FOLDERS = "mount -t tmpfs none /run && mount -t tmpfs none /dev/shm";
/** The first process of a namespace has to care for orphans; who is started in the background has no input otherwise. */
const FIRST_PROCESS = `${OWN_FOLDERS} && exec 3<&0 && { "$@" <&3 3<&- & } && exec 3<&- && wait $!`;
/** The largest burst at full speed, and how long what is too fast may wait: as in a switch with little memory. */
const SHAPING = ["burst", "256k", "latency", "20ms"];

/** Undefined if there can be some. */
export function whyNoLinks(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it takes Linux, and root";
  const probe = `${OWN_FOLDERS} && ip netns add a && ip link add eth0 netns a type veth peer name port0 && tc qdisc add dev port0 root tbf rate 1mbit ${SHAPING.join(" ")}`;
  const { status, error, stderr } = spawnSync("unshare", [...OWN_NAMESPACES, "sh", "-c", probe], { encoding: "utf8" });
  if (status === 0) return undefined;
  return `it takes network namespaces and limits of links (unshare, ip netns, tc with tbf): ${error?.message ?? stderr.trim()}`;
}

/** Runs it there, where it may call `connectMachines`; resolves with what it has printed. It has to end with its input. */
export async function runApart(command: readonly string[]): Promise<string> {
  const child = spawn("unshare", [...OWN_NAMESPACES, "sh", "-c", FIRST_PROCESS, "sh", ...command], { stdio: ["pipe", "pipe", "inherit"] });
  const [printed, [exitCode]] = await Promise.all([text(child.stdout), once(child, "exit")]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with ${String(exitCode)}`);
  return printed;
}

/** Machines 0 to `count` - 1 on one switch, each of which sends and receives no faster than that. */
export function connectMachines(count: number, megabitsPerSecond: number): void {
  const limit = ["root", "tbf", "rate", `${megabitsPerSecond}mbit`, ...SHAPING];
  run("ip", "link", "add", "switch", "type", "bridge");
  run("ip", "link", "set", "switch", "up");
  for (let machine = 0; machine < count; machine++) {
    const name = String(machine);
    const port = `port${machine}`;
    run("ip", "netns", "add", name);
    run("ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", port);
    run("ip", "link", "set", port, "master", "switch", "up");
    run("ip", "-n", name, "address", "add", `${hostOf(machine)}/24`, "dev", "eth0");
    for (const device of ["eth0", "lo"]) run("ip", "-n", name, "link", "set", device, "up");
    run("tc", "qdisc", "add", "dev", port, ...limit);
    run(...onMachine(machine, ["tc", "qdisc", "add", "dev", "eth0", ...limit]));
  }
}

export function hostOf(machine: number): string {
  return `10.213.0.${machine + 1}`;
}

/** What to run, to have it run there. */
export function onMachine(machine: number, command: readonly string[]): [string, ...string[]] {
  return ["ip", "netns", "exec", String(machine), ...command];
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${stderr}`);
}
