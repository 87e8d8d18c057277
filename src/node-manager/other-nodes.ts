import { forgetOldest, nodeKeyOf, type NodeKey, type WorkerId } from "../base/mod.ts";
import type { MessageLink } from "../clients/mod.ts";
import { type FarRequest, type FromNode, type JobRecord, type NodeRecord, type NodeToNode, textOf } from "../protocol/mod.ts";

export type PeerNodeLink = MessageLink<NodeToNode, NodeToNode>;

/** Attempts to reach a node that the GCS says is there. */
const CONNECT_ATTEMPTS_MAX = 3;
/** Nodes that have ended, and whose late messages are refused. */
const LOST_REMEMBERED_MAX = 1_000;

export interface OtherNodesEnvironment {
  connect(record: NodeRecord): Promise<PeerNodeLink>;
  onMessage(node: NodeKey, message: NodeToNode): void;
  /** Of the worker's program, for whom it asks. */
  jobOf(workerId: WorkerId): JobRecord | null;
  warn(text: string): void;
}

interface OtherNode {
  readonly record: NodeRecord;
  link: PeerNodeLink | null;
  /** While there is no link yet; null when nobody is connecting. */
  waiting: NodeToNode[] | null;
}

/**
 * The other nodes of the cluster, and the links to them. Each of two nodes opens the link on which it sends; what is sent before that is
 * open waits.
 */
export class OtherNodes {
  readonly #env: OtherNodesEnvironment;
  readonly #nodes = new Map<NodeKey, OtherNode>();
  readonly #incoming = new Map<PeerNodeLink, NodeKey>();
  /** What these have sent may come later than the news of their end, and is void: they would be given what nobody takes back. */
  readonly #lost = new Set<NodeKey>();

  constructor(environment: OtherNodesEnvironment) {
    this.#env = environment;
  }

  joined(record: NodeRecord): void {
    this.#nodes.set(nodeKeyOf(record.nodeId), { record, link: null, waiting: null });
  }

  lost(key: NodeKey): void {
    this.#nodes.get(key)?.link?.close();
    this.#nodes.delete(key);
    this.#lost.add(key);
    forgetOldest(this.#lost, LOST_REMEMBERED_MAX);
    for (const [link, from] of this.#incoming) if (from === key) link.close();
  }

  has(key: NodeKey): boolean {
    return this.#nodes.has(key);
  }

  get(key: NodeKey): NodeRecord | undefined {
    return this.#nodes.get(key)?.record;
  }

  keys(): NodeKey[] {
    return [...this.#nodes.keys()];
  }

  /** A link that the other node has opened. */
  accept(key: NodeKey, link: PeerNodeLink): void {
    if (this.#lost.has(key)) return link.close();
    this.#incoming.set(link, key);
    link.onMessage((message) => { if (!this.#lost.has(key)) this.#env.onMessage(key, message); });
    link.onClose(() => this.#incoming.delete(link));
  }

  toWorker(workerId: WorkerId, message: FromNode): boolean {
    return this.send(nodeKeyOf(workerId), { type: "toWorker", workerId, message });
  }

  /** False if there is no such node. */
  fromWorker(key: NodeKey, senderId: WorkerId, message: FarRequest): boolean {
    return this.send(key, { type: "fromWorker", senderId, message, job: message.type === "leaseDemand" ? this.#env.jobOf(senderId) : null });
  }

  /** False if there is no such node. */
  send(key: NodeKey, message: NodeToNode): boolean {
    const node = this.#nodes.get(key);
    if (node === undefined) return false;
    if (node.link !== null) node.link.sendSoon(message);
    else if (node.waiting !== null) node.waiting.push(message);
    else {
      node.waiting = [message];
      void this.#connect(key, node, 1);
    }
    return true;
  }

  async #connect(key: NodeKey, node: OtherNode, attempt: number): Promise<void> {
    try {
      const link = await this.#env.connect(node.record);
      if (this.#nodes.get(key) !== node) return link.close();
      link.onMessage((message) => { if (!this.#lost.has(key)) this.#env.onMessage(key, message); });
      link.onClose(() => { node.link = null; });
      node.link = link;
      for (const message of node.waiting ?? []) link.send(message);
      node.waiting = null;
    } catch (error) {
      if (this.#nodes.get(key) !== node) return;
      if (attempt < CONNECT_ATTEMPTS_MAX) return this.#connect(key, node, attempt + 1);
      node.waiting = null;
      this.#env.warn(`node ${node.record.nodeId} at ${textOf(node.record.address)} cannot be reached from here, although it is a part of the cluster: ${(error as Error).message}`);
    }
  }

  close(): void {
    for (const { link } of this.#nodes.values()) link?.close();
    for (const link of this.#incoming.keys()) link.close();
    this.#nodes.clear();
  }
}
