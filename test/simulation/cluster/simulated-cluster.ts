import { type ActorId, newJobId, newNodeId, newWorkerId, nodeKeyOf, type NodeKey, toAmounts, type WorkerId } from "../../../src/base/mod.ts";
import { openMessageLink } from "../../../src/clients/mod.ts";
import type { ClusterService } from "../../../src/gcs/mod.ts";
import { type GcsLink, joinHead, startHead } from "../../../src/main/cluster-membership.ts";
import { Gone, type HeadMembers, type NodeLinkOfGcs } from "../../../src/main/head-members.ts";
import type { NodeCluster } from "../../../src/main/node-cluster.ts";
import type { PeerNodeLink } from "../../../src/node-manager/mod.ts";
import type { NodeRecord, WorkerIsolation } from "../../../src/protocol/mod.ts";
import { openLasting } from "../../../src/transport/lasting-channel.ts";
import { type Channel, TransportError } from "../../../src/transport/mod.ts";
import type { Chance } from "../world/chance.ts";
import { SimulatedProcess } from "../world/simulated-process.ts";
import type { World } from "../world/world.ts";
import { Network, type NetworkSetting } from "./network.ts";
import type { DiskSetting } from "./simulated-disk.ts";
import { SimulatedNode } from "./simulated-node.ts";
import type { SimulatedWorker } from "./simulated-worker.ts";

const VERSION = "0.0.0";
/** A connection that cannot be made fails so late: refused by a machine, or without an answer from it. */
const REFUSED_MS = 1;
const CONNECT_MS_MAX = 2_000;
/** Workers that could not reach each other's machines for so long may have given up. */
const UNREACHABLE_MS_MAX = 30_000;

export interface ClusterSetting {
  readonly network: NetworkSetting;
  readonly isolation: WorkerIsolation;
  readonly storeBytes: number;
  /** What object stores spill to, if they do. */
  readonly disk: DiskSetting | null;
  /** Module of user code. */
  readonly entryUrl: string;
  /** Channels of workers of different machines outlive their connections. */
  readonly areChannelsLasting: boolean;
}

/** A cluster of machines, made of the real services: GCS, node managers and core workers, each in a process of its own. */
export class SimulatedCluster {
  readonly world: World;
  readonly network: Network;
  readonly entryUrl: string;
  readonly #setting: ClusterSetting;
  readonly #random: Chance;
  readonly #nodes = new Map<NodeKey, SimulatedNode>();
  /** Of nodes, ended ones too. */
  readonly #processes = new Map<NodeKey, SimulatedProcess>();
  head: ClusterService | null = null;
  /** Those that have ended, too. */
  readonly #workers = new Map<WorkerId, SimulatedWorker>();
  #members: HeadMembers | null = null;
  isHeadGone = false;
  /** From nodes that drained to others. */
  objectsMoved = 0;
  /** A node has a worker for an actor; `isDraining`: that node, when it is asked. */
  onActorPlaced: ((actorId: ActorId, process: SimulatedProcess, isDraining: () => boolean) => void) | null = null;
  #headProcess: SimulatedProcess | null = null;
  #machines = 0;

  constructor(world: World, setting: ClusterSetting) {
    this.world = world;
    this.#setting = setting;
    this.entryUrl = setting.entryUrl;
    this.network = new Network(world, setting.network);
    this.#random = world.random.branch();
  }

  startProcess(name: string, machine: string): SimulatedProcess {
    return new SimulatedProcess(this.world, name, machine);
  }

  node(key: NodeKey): SimulatedNode | undefined {
    return this.#nodes.get(key);
  }

  /** Those that live, the head first. */
  nodes(): SimulatedNode[] {
    return [...this.#nodes.values()];
  }

  /** A machine comes up, and joins. The first one is the head. */
  startNode(quantities: Readonly<Record<string, number>>): void {
    const machine = `node ${this.#machines++}`;
    const process = this.startProcess(machine, machine);
    const nodeId = newNodeId(this.#random);
    this.#processes.set(nodeKeyOf(nodeId), process);
    const record: NodeRecord = { nodeId, name: null, hostname: machine, pid: 1, address: { host: nodeKeyOf(nodeId), port: 1 }, objectAddress: null, totals: toAmounts(quantities), labels: {} };
    const member = { clock: process.clock, record, packageVersion: VERSION, connect: (other: NodeRecord) => this.#connectNodes(process, record, other), leave: (reason: string) => this.#nodeEnds(process, record, `was told: this node ${reason}`) };
    const attach = (nodeCluster: NodeCluster): void => {
      const node = new SimulatedNode({ cluster: this, process, record, isolation: this.#setting.isolation, storeBytes: this.#setting.storeBytes, disk: this.#setting.disk, nodeCluster });
      this.#nodes.set(node.key, node);
      process.onEnd(() => this.#nodes.delete(node.key));
    };
    this.world.schedule(process, 0, "node starts", () => {
      const headProcess = this.#headProcess;
      if (headProcess === null) {
        this.#headProcess = process;
        const { cluster, head, members } = startHead({ ...member, clusterId: "simulated", reach: (other) => this.#reach(process, other), note: (text) => this.world.trace.note(this.world.nowMs, process.name, () => text) });
        this.head = head;
        this.#members = members;
        return attach(cluster);
      }
      const accept = (channel: Channel): void => (this.#members as HeadMembers).accept(nodeKeyOf(nodeId), openMessageLink(channel) as NodeLinkOfGcs);
      const connect = (): Promise<GcsLink> => this.#open(process, nodeKeyOf(nodeId), headProcess, accept).then((channel) => openMessageLink(channel) as GcsLink);
      connect().then((link) => joinHead({ ...member, where: "the head", reconnect: connect, headLost: (reason) => this.#nodeEnds(process, record, reason) }, link))
        .then(({ cluster }) => attach(cluster), (error: Error) => this.#nodeEnds(process, record, error.message));
    });
  }

  /** A connection of a node with the head. @throws Gone when nothing listens there any more. */
  #open(process: SimulatedProcess, peerId: string, head: SimulatedProcess, accept: (channel: Channel) => void): Promise<Channel> {
    return this.#reached(process, head, () => {
      const [forNode, forHead] = this.network.connect({ process, peerId: "head" }, { process: head, peerId }, "head");
      accept(forHead);
      return forNode;
    }, (channel) => channel.close());
  }

  /** The head looks whether a node whose connection broke is there. */
  #reach(process: SimulatedProcess, { nodeId }: NodeRecord): Promise<void> {
    const target = this.#processes.get(nodeKeyOf(nodeId)) as SimulatedProcess;
    return this.#reached(process, target, () => undefined, () => undefined);
  }

  /** The other process does something as soon as it is asked, and answers. @throws Gone, or an error if that takes too long: then `late` gets what it made. */
  #reached<T>(process: SimulatedProcess, target: SimulatedProcess, act: () => T, late: (made: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (!target.isAlive && !target.isSilent) return void process.clock.after(REFUSED_MS, () => reject(new Gone()));
      let isLate = false;
      const timer = process.clock.after(CONNECT_MS_MAX, () => {
        isLate = true;
        reject(new Error("no answer"));
      });
      this.#travel(process, target, "reached", () => {
        const made = act();
        this.#travel(target, process, "connected", () => {
          timer.cancel();
          if (isLate) late(made);
          else resolve(made);
        });
      });
    });
  }

  #travel(from: SimulatedProcess, to: SimulatedProcess, label: string, arrive: () => void): void {
    this.world.scheduleAt(to, this.network.arrivalMs(from, to), label, arrive);
  }

  /** What a node process does when it has no cluster any more. */
  #nodeEnds(process: SimulatedProcess, { nodeId }: NodeRecord, reason: string): void {
    this.world.trace.note(this.world.nowMs, process.name, () => `the head ${reason}`);
    const node = this.#nodes.get(nodeKeyOf(nodeId));
    if (node === undefined) process.end();
    else node.leave();
  }

  #connectNodes(process: SimulatedProcess, record: NodeRecord, other: NodeRecord): Promise<PeerNodeLink> {
    return new Promise((resolve, reject) => {
      const target = this.#nodes.get(nodeKeyOf(other.nodeId));
      if (target === undefined) return void process.clock.after(REFUSED_MS, () => reject(new Error("connection refused")));
      const [ours, theirs] = this.network.connect({ process, peerId: nodeKeyOf(other.nodeId) }, { process: target.process, peerId: nodeKeyOf(record.nodeId) }, "nodes");
      const arrivalMs = this.network.arrivalMs(process, target.process) - this.world.nowMs;
      this.world.schedule(target.process, arrivalMs, "accept", () => target.nodeCluster.acceptNode(nodeKeyOf(record.nodeId), openMessageLink(theirs)));
      this.world.schedule(process, 2 * arrivalMs, "connected", () => resolve(openMessageLink(ours)));
    });
  }

  /** A worker's channel to another, of this machine or of another one. */
  connectWorkers(asker: SimulatedWorker, targetId: WorkerId): void {
    if (this.#setting.areChannelsLasting && nodeKeyOf(targetId) !== asker.node.key) {
      openLasting(asker.process.clock, (reached) => this.#connectToWorker(asker, targetId, reached))
        .then((channel) => asker.core.peerConnected(targetId, channel, null), () => asker.core.peerNotConnected(targetId));
      return;
    }
    const target = this.#worker(targetId);
    // It has ended meanwhile; the node manager says so.
    if (target === undefined || !target.process.isAlive) return;
    const [ours, theirs] = this.network.connect({ process: asker.process, peerId: targetId }, { process: target.process, peerId: asker.workerId });
    const arrivalMs = this.network.arrivalMs(asker.process, target.process) - this.world.nowMs;
    let isAccepted = false;
    this.world.schedule(target.process, arrivalMs, "accept", () => {
      isAccepted = true;
      target.core.peerConnected(asker.workerId, theirs, null);
    });
    this.world.schedule(asker.process, arrivalMs, "connected", () => {
      // As above, if it has ended before it could answer.
      if (isAccepted || target.process.isAlive) asker.core.peerConnected(targetId, ours, null);
    });
  }

  /** One connection of a worker with one of another machine. @throws TransportError as a socket does */
  #connectToWorker(asker: SimulatedWorker, targetId: WorkerId, reached: () => void): Promise<Channel> {
    const { process } = asker;
    const target = this.#workers.get(targetId) as SimulatedWorker;
    if (!target.process.isAlive || this.network.areParted(asker.workerId, targetId)) return this.#refused(process, target.process);
    // The system of the other machine answers, whatever the worker does.
    this.world.scheduleAt(null, this.network.arrivalMs(process, target.process), "machine reached", () => {
      if (target.node.process.isAlive) this.#travel(target.process, process, "reached", reached);
    });
    return this.#reached(process, target.process, () => {
      if (!process.isAlive) return null;
      const [ours, theirs] = this.network.connect({ process, peerId: targetId }, { process: target.process, peerId: asker.workerId });
      target.peerListener.accept(theirs);
      return ours;
    }, (channel) => channel?.close()).then((channel) => channel as Channel, (error: Error) => { throw new TransportError("ERR_MANTARAY_CONNECT_TIMEOUT", error.message); });
  }

  /** By the machine, if that is there: else there is no answer. */
  #refused(process: SimulatedProcess, target: SimulatedProcess): Promise<never> {
    return new Promise((_, reject) => {
      const late = process.clock.after(CONNECT_MS_MAX, () => reject(new TransportError("ERR_MANTARAY_CONNECT_TIMEOUT", "no answer")));
      if (target.isSilent) return;
      this.world.scheduleAt(null, this.network.arrivalMs(process, target), "machine reached", () => this.#travel(target, process, "refused", () => {
        late.cancel();
        reject(new TransportError("ERR_MANTARAY_CONNECT_FAILED", "refused", { cause: Object.assign(new Error("refused"), { code: "ECONNREFUSED" }) }));
      }));
    });
  }

  /** A worker says that it has no channel with another any more: only where there can be none. */
  channelLost(asker: SimulatedWorker, targetId: WorkerId): void {
    const target = this.#workers.get(targetId);
    if (target === undefined || !target.process.isAlive || this.network.areParted(asker.workerId, targetId)) return;
    if (this.network.cutUntilMs(asker.process.machine, target.process.machine) > this.world.nowMs - UNREACHABLE_MS_MAX) return;
    this.world.fail(new Error(`${asker.process.name} has lost its channel with ${target.process.name}, which could be reached`));
  }

  workerStarted(worker: SimulatedWorker): void {
    this.#workers.set(worker.workerId, worker);
  }

  #worker(workerId: WorkerId): SimulatedWorker | undefined {
    return this.#nodes.get(nodeKeyOf(workerId))?.workers.get(workerId);
  }

  isHead({ process }: SimulatedNode): boolean {
    return process === this.#headProcess;
  }

  /** Somebody asks the head to let a node do what it has and leave, by then at the latest. */
  drain(node: SimulatedNode, timeLeftMs: number | null): void {
    this.world.schedule(this.#headProcess, 0, "drain", () => {
      this.head?.drain(node.record.nodeId, timeLeftMs, ({ type }) => { node.isDraining ||= type === "nodeDrains"; });
    });
  }

  /** The whole machine of the GCS, and so the end of the cluster. */
  crashHead(isSilent: boolean): void {
    this.isHeadGone = true;
    for (const node of this.nodes()) if (this.isHead(node)) node.crash(isSilent);
  }

  startDriver(node: SimulatedNode): SimulatedWorker {
    const driverId = newWorkerId(this.#random, node.key);
    const jobId = newJobId(this.#random);
    return node.startDriver({ jobId, driverId, namespace: `job-${jobId}`, isolation: "thread", loaders: [], origin: null });
  }
}
