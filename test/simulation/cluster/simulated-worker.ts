import type { WorkerId } from "../../../src/base/mod.ts";
import { type NodeLink, openMessageLink } from "../../../src/clients/mod.ts";
import { BEGUN_TABLE_BYTES, begunIn, type CoreWorker } from "../../../src/core-worker/mod.ts";
import { JoiningLink } from "../../../src/main/joining-link.ts";
import type { FromNode, JobRecord, WorkerDeath } from "../../../src/protocol/mod.ts";
import { type Channel, LastingChannels } from "../../../src/transport/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import { createCore } from "./simulated-core.ts";
import type { SimulatedNode } from "./simulated-node.ts";

export interface WorkerSetting {
  readonly node: SimulatedNode;
  readonly process: SimulatedProcess;
  readonly workerId: WorkerId;
  readonly pid: number;
  readonly channel: Channel;
  /** Of a driver; null for a worker. */
  readonly job: JobRecord | null;
  readonly entryUrl: string;
}

/** A worker or a driver: a process with a core worker, and its link to its node. */
export class SimulatedWorker {
  readonly node: SimulatedNode;
  readonly process: SimulatedProcess;
  readonly workerId: WorkerId;
  readonly isDriver: boolean;
  readonly core: CoreWorker;
  readonly link: NodeLink;
  /** Where workers of other machines connect. */
  readonly peerListener: LastingChannels;
  /** By owner: what it has begun, for its node when it has ended. */
  readonly #begunTables = new Map<WorkerId, Float64Array>();
  /** False of a program whose node has ended, and true of one that has said that it ends. */
  #hasNode = true;
  #hasLeft = false;

  constructor({ node, process, workerId, pid, channel, job, entryUrl }: WorkerSetting) {
    this.node = node;
    this.process = process;
    this.workerId = workerId;
    this.isDriver = job !== null;
    const joining = new JoiningLink();
    const connection: NodeLink = openMessageLink(channel);
    const link: NodeLink = job === null ? connection : joining;
    this.link = link;
    let current: Pick<JobRecord, "jobId" | "namespace"> = job ?? { jobId: "", namespace: "" };
    this.core = createCore({
      process, workerId, pid, nodeId: node.record.nodeId, isDriver: this.isDriver, isolation: node.isolation, entryUrl, store: node.store, link,
      job: () => current, exit: () => process.exit(), channelLost: (targetId) => node.cluster.channelLost(this, targetId),
      begunTable: (ownerId) => {
        const table = new Float64Array(BEGUN_TABLE_BYTES / Float64Array.BYTES_PER_ELEMENT);
        this.#begunTables.set(ownerId, table);
        return table;
      },
    });
    this.peerListener = new LastingChannels(process.clock, (accepted) => this.core.peerConnected(accepted.peerId, accepted, null));
    link.onMessage((message) => {
      if (message.type === "jobAssigned") current = message.job;
      this.core.onNodeMessage(message);
      this.#onHostMessage(message);
    });
    link.onClose(() => {
      // Without its node a worker has no purpose; a program does what it can.
      if (!this.isDriver || this.#hasLeft) return process.exit();
      this.#hasNode = false;
      joining.end("the node is gone");
      this.core.failEverything("the node is gone");
      this.core.shutDown("when its node was gone");
    });
    if (job !== null) joining.open(connection);
    if (job === null) link.send({ type: "register", workerId, pid, listenAddress: workerId });
    else link.send({ type: "registerDriver", listenAddress: workerId, pid, job });
  }

  withBegunTasks(death: WorkerDeath): WorkerDeath {
    const begun = new Map(Array.from(this.#begunTables, ([ownerId, table]) => [ownerId, begunIn(table)] as const).filter((entry): entry is [WorkerId, Set<number>] => entry[1] !== null));
    return begun.size === 0 ? death : { ...death, begun };
  }

  /** The program ends in good order. */
  leave(): void {
    if (!this.#hasNode) return this.process.exit();
    this.#hasLeft = true;
    this.core.shutDown();
    this.link.send({ type: "shutdown" });
  }

  #onHostMessage(message: FromNode): void {
    if (message.type === "listenForPeers") this.link.send({ type: "listening", askerId: message.askerId, address: { host: this.workerId, port: 1 } });
    else if (message.type === "connectSocket") this.node.cluster.connectWorkers(this, typeof message.address === "string" ? message.address : message.address.host);
  }
}
