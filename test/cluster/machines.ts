import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { follow, type RunningCommand } from "../cli/running-command.ts";

export const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

/** Why there can be none here; false if there can. */
export function whyNoMachines(): string | false {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "needs Linux, and root";
  const probe = `mantaray-probe-${process.pid}`;
  if (spawnSync("ip", ["netns", "add", probe]).status !== 0) return "needs iproute2, and the right to make network namespaces";
  spawnSync("ip", ["netns", "delete", probe]);
  return spawnSync("unshare", ["--mount", "true"]).status === 0 ? false : "needs the right to mount";
}

/**
 * Machines that share nothing but a network, as far as processes can tell: each has a network namespace with an address of its own, on a
 * bridge in one more, and no shared memory, home or temporary files of the others.
 */
export class Machines {
  readonly folder = mkdtempSync(join(tmpdir(), "mantaray-machines-"));
  readonly #names: string[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #prefix = `mr${process.pid}`;
  readonly #hub = `${this.#prefix}-hub`;

  constructor(count: number) {
    try {
      this.#ip("netns", "add", this.#hub);
      this.#ip("-n", this.#hub, "link", "add", "bridge", "type", "bridge");
      this.#ip("-n", this.#hub, "link", "set", "bridge", "up");
      for (let index = 0; index < count; index++) this.#add(index);
    } catch (error) {
      void this.remove();
      throw error;
    }
  }

  #ip(...args: string[]): void {
    const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`);
  }

  #add(index: number): void {
    const name = `${this.#prefix}-${index}`;
    this.#names.push(name);
    for (const folder of ["home", "temporary"]) mkdirSync(join(this.#folderOf(index), folder), { recursive: true });
    this.#ip("netns", "add", name);
    this.#ip("link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", `port${index}`, "netns", this.#hub);
    this.#ip("-n", this.#hub, "link", "set", `port${index}`, "master", "bridge", "up");
    this.#ip("-n", name, "address", "add", `${this.host(index)}/24`, "dev", "eth0");
    for (const device of ["eth0", "lo"]) this.#ip("-n", name, "link", "set", device, "up");
  }

  host(index: number): string {
    return `10.213.0.${index + 1}`;
  }

  #folderOf(index: number): string {
    return join(this.folder, String(index));
  }

  /** Files that one machine has, and no other. */
  home(index: number): string {
    return join(this.#folderOf(index), "home");
  }

  start(index: number, command: readonly string[]): RunningCommand {
    const own = this.#folderOf(index);
    // The folder of all machines is hidden, and the own one, in which this runs, is put back.
    const script = 'mount -t tmpfs none /dev/shm && mount -t tmpfs none "$2" && mkdir -p "$1" && mount --no-canonicalize --bind /proc/self/cwd "$1" && cd "$1/home" && shift 2 && exec "$@"';
    const environment: NodeJS.ProcessEnv = { ...process.env, HOME: this.home(index), TMPDIR: join(own, "temporary"), MANTARAY_ADDRESS: "" };
    delete environment["NODE_TEST_CONTEXT"];
    const child = spawn("ip", ["netns", "exec", this.#names[index] as string, "unshare", "--mount", "sh", "-c", script, "sh", own, this.folder, ...command], { cwd: own, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    return follow(child, this.#children);
  }

  /** Everything that was started on them ends, then they are gone. */
  async remove(): Promise<void> {
    for (const child of this.#children) child.kill("SIGTERM");
    const pids = (): string[] => this.#names.flatMap((name) => spawnSync("ip", ["netns", "pids", name], { encoding: "utf8" }).stdout.split("\n")).filter((line) => line !== "");
    for (let left = pids(); left.length > 0; left = pids()) {
      for (const pid of left) try { process.kill(Number(pid), "SIGKILL"); } catch { /* It has ended meanwhile. */ }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    for (const name of [...this.#names, this.#hub]) spawnSync("ip", ["netns", "delete", name]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
