import { InvalidArgumentError } from "../base/mod.ts";
import { drainNode, launchNode, networkAddressOf, stopNode, type NodeReport } from "../main/mod.ts";

/** What a node has. */
export interface TestNodeOptions {
  /** Default: 1. */
  readonly numCpus?: number;
  /** Default: 0. */
  readonly numGpus?: number;
  /** In bytes. Default: as for `init()`. */
  readonly memory?: number;
  /** Custom resources by name. */
  readonly resources?: Readonly<Record<string, number>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** In bytes. Default: 64 MiB. */
  readonly objectStoreMemory?: number;
}

export interface TestClusterOptions {
  /** The first one is the head. Default: one node. */
  readonly nodes?: readonly TestNodeOptions[];
  /** Environment variables of the nodes, beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * What goes wrong between the nodes, as in MANTARAY_TESTING_FAULTS: `kind=leaseDemand:fail=0.1:times=3;kind=*:delayMs=1-5;seed=7`. Default: nothing.
   * For each kind of message with what probability it is not sent (`fail`) or not answered (`drop`), which breaks the connection, and how much later it is sent.
   */
  readonly faults?: string;
}

/** A node of a cluster for tests. */
export interface TestNode {
  readonly nodeId: string;
  /** Of its process. */
  readonly pid: number;
  readonly isHead: boolean;
  /** For `init({ address })`, to join through this node instead of the head. */
  readonly address: string;
  /** Its folder, with its log. */
  readonly sessionDir: string;
}

/** Several nodes on this machine that are one cluster. */
export interface TestCluster {
  /** For `init({ address })`: `HOST:PORT` of the head. */
  readonly address: string;
  /** Those that are there, the head first. */
  readonly nodes: readonly TestNode[];
  /**
   * Starts another node; resolves when it has joined.
   *
   * @throws RuntimeStateError when it cannot start, InvalidArgumentError when the cluster has been stopped.
   */
  addNode(options?: TestNodeOptions): Promise<TestNode>;
  /**
   * Ends a node in good order, as `mantaray stop` does; resolves when its process has ended.
   *
   * @throws InvalidArgumentError for a node that is not of this cluster, or not any more.
   */
  removeNode(node: TestNode): Promise<void>;
  /**
   * Lets a node finish what it has, gives it nothing new, and ends it, as `mantaray drain` does; resolves when its process has ended.
   * `deadlineMs`: after so many milliseconds it ends whatever it still has. Default: as soon as it has nothing left.
   *
   * @throws InvalidArgumentError for a node that is not of this cluster, or not any more; RuntimeStateError for the head.
   */
  drainNode(node: TestNode, options?: { readonly deadlineMs?: number }): Promise<void>;
  /**
   * Kills a node without warning, as a crash does; its workers end with it. Resolves when they have all ended.
   *
   * @throws InvalidArgumentError for a node that is not of this cluster, or not any more.
   */
  killNode(node: TestNode): Promise<void>;
  /** Ends all nodes, whatever state they are in; resolves when nothing of them is left. Idempotent. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const STORE_BYTES_DEFAULT = 64 * 1024 ** 2;
const HOST = "127.0.0.1";

/**
 * Starts a cluster of several nodes on this machine, for tests: each node is a process of its own and they talk over TCP, on ports that
 * are free. It is not found by `init({ address: "auto" })` or by `mantaray stop`, and ends with this process at the latest.
 *
 * @throws RuntimeStateError when a node cannot start; then none is left. Also for `faults` that are no such text.
 */
export async function startCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const [first = {}, ...others] = options.nodes ?? [];
  const env = { ...options.env, ...(options.faults === undefined ? {} : { MANTARAY_TESTING_FAULTS: options.faults }) };
  const cluster = new Cluster(env, await launch(first, null, env));
  try {
    await Promise.all(others.map((node) => cluster.addNode(node)));
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

function launch({ numCpus = 1, numGpus = 0, memory, resources, labels, objectStoreMemory = STORE_BYTES_DEFAULT }: TestNodeOptions, headAddress: string | null, env: Readonly<Record<string, string>>): Promise<NodeReport> {
  const stated = { ...(memory === undefined ? {} : { memory }), ...(resources === undefined ? {} : { resources }), ...(labels === undefined ? {} : { labels }) };
  return launchNode({ numCpus, numGpus, objectStoreMemory, ...stated, headAddress, host: HOST, port: 0, name: null, isForTest: true }, env);
}

class Cluster implements TestCluster {
  readonly address: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #nodes = new Map<string, NodeReport>();
  /** Those that are on their way. */
  readonly #starting = new Set<Promise<NodeReport>>();
  #stopping: Promise<void> | null = null;

  constructor(env: Readonly<Record<string, string>>, head: NodeReport) {
    this.#env = env;
    this.address = head.clusterAddress;
    this.#nodes.set(head.nodeId, head);
  }

  get nodes(): readonly TestNode[] {
    return [...this.#nodes.values()].map(nodeOf);
  }

  async addNode(options: TestNodeOptions = {}): Promise<TestNode> {
    if (this.#stopping !== null) throw new InvalidArgumentError("addNode() was called after stop(): start another cluster");
    const starting = launch(options, this.address, this.#env);
    this.#starting.add(starting);
    try {
      const report = await starting;
      this.#nodes.set(report.nodeId, report);
      return nodeOf(report);
    } finally {
      this.#starting.delete(starting);
    }
  }

  removeNode(node: TestNode): Promise<void> {
    return this.#end(node, "removeNode()", false);
  }

  async drainNode({ nodeId }: TestNode, { deadlineMs }: { readonly deadlineMs?: number } = {}): Promise<void> {
    const report = this.#nodes.get(nodeId);
    if (report === undefined) throw unknownNode("drainNode()", nodeId);
    await drainNode(networkAddressOf(this.address), { node: nodeId, timeLeftMs: deadlineMs ?? null });
    this.#nodes.delete(nodeId);
    await endedNode(report, false);
  }

  killNode(node: TestNode): Promise<void> {
    return this.#end(node, "killNode()", true);
  }

  async #end({ nodeId }: TestNode, label: string, isForced: boolean): Promise<void> {
    const report = this.#nodes.get(nodeId);
    if (report === undefined) throw unknownNode(label, nodeId);
    this.#nodes.delete(nodeId);
    await endedNode(report, isForced);
  }

  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    await Promise.allSettled(this.#starting);
    const [head, ...others] = [...this.#nodes.values()].sort((a, b) => Number(b.isHead) - Number(a.isHead));
    this.#nodes.clear();
    await Promise.all(others.map((node) => endedNode(node, false)));
    if (head !== undefined) await endedNode(head, false);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

function unknownNode(label: string, nodeId: string): InvalidArgumentError {
  return new InvalidArgumentError(`${label}: node ${nodeId} is not of this cluster, or has been ended already`);
}

/** One that does not end by itself is killed. */
async function endedNode(node: NodeReport, isForced: boolean): Promise<void> {
  if ((await stopNode(node, isForced)) === "hangs") await stopNode(node, true);
}

function nodeOf({ nodeId, pid, isHead, address, sessionDir }: NodeReport): TestNode {
  return { nodeId, pid, isHead, address, sessionDir };
}
