import { readdirSync, readFileSync } from "node:fs";
import type { TestCluster, TestNode, TestNodeOptions } from "mantaray/testing";
import type { SeededRandom } from "../../bench/soak/seeded-random.ts";

const PAUSE_MS_MIN = 700;
const PAUSE_MS_MAX = 4_000;
const FROZEN_MS_MIN = 50;
/** Longer than that, and a stopped node counts as dead. */
const FROZEN_MS_MAX = 2_000;

export interface KillCounts {
  workersKilled: number;
  processesFrozen: number;
  nodesKilled: number;
}

/** Kills and stops worker processes, worker hosts and whole nodes at random, one after another. The head is left alone: it is the cluster. */
export class Killer {
  readonly counts: KillCounts = { workersKilled: 0, processesFrozen: 0, nodesKilled: 0 };
  readonly #cluster: TestCluster;
  readonly #node: TestNodeOptions;
  readonly #random: SeededRandom;
  readonly #log: (line: string) => void;
  readonly #frozen = new Set<number>();
  #isStopped = false;
  #wake: () => void = () => undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(cluster: TestCluster, node: TestNodeOptions, random: SeededRandom, log: (line: string) => void) {
    this.#cluster = cluster;
    this.#node = node;
    this.#random = random;
    this.#log = log;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Resolves when everything runs again that was stopped, and all nodes are there that were killed. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#pause(this.#random.logarithmic(PAUSE_MS_MIN, PAUSE_MS_MAX));
      if (this.#isStopped) return;
      const choice = this.#random.below(10);
      if (choice < 5) this.#killWorker();
      else if (choice < 8) await this.#freeze();
      else await this.#replaceNode();
    }
  }

  /** Ends early when this is stopped. */
  async #pause(ms: number): Promise<void> {
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  #workers(): number[] {
    return this.#cluster.nodes.flatMap(({ pid }) => workersOf(pid));
  }

  #killWorker(): void {
    const pid = this.#random.pick(this.#workers());
    if (pid === undefined || !signal(pid, "SIGKILL")) return;
    this.counts.workersKilled++;
    this.#log(`killed worker process ${pid}`);
  }

  async #freeze(): Promise<void> {
    const others = this.#cluster.nodes.filter(({ isHead }) => !isHead).map(({ pid }) => pid);
    const pid = this.#random.pick([...this.#workers(), ...others]);
    if (pid === undefined || !signal(pid, "SIGSTOP")) return;
    this.counts.processesFrozen++;
    const ms = this.#random.logarithmic(FROZEN_MS_MIN, FROZEN_MS_MAX);
    this.#log(`stopped process ${pid} for ${ms} ms`);
    this.#frozen.add(pid);
    try {
      await this.#pause(ms);
    } finally {
      this.#frozen.delete(pid);
      signal(pid, "SIGCONT");
    }
  }

  async #replaceNode(): Promise<void> {
    const node: TestNode | undefined = this.#random.pick(this.#cluster.nodes.filter(({ isHead }) => !isHead));
    if (node === undefined) return this.#killWorker();
    this.#log(`killed node ${node.nodeId} (process ${node.pid})`);
    await this.#cluster.killNode(node);
    this.counts.nodesKilled++;
    await this.#cluster.addNode(this.#node);
  }
}

/** The processes that a node has started: worker processes and worker hosts. */
function workersOf(nodePid: number): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      const line = readFileSync(`/proc/${pid}/stat`, "latin1");
      const [state, parent] = line.slice(line.lastIndexOf(")") + 2).split(" ");
      return Number(parent) === nodePid && state !== "Z" && /worker-(?:process|host)\.js/.test(readFileSync(`/proc/${pid}/cmdline`, "latin1"));
    } catch {
      return false; // It has ended.
    }
  });
}

function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false; // It has ended.
  }
}
