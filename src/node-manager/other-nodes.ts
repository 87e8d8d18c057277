import { forgetOldest, nodeKeyOf, type Clock, type NodeKey, type Timer, type WorkerId } from "../base/mod.ts";
import type { MessageLink } from "../clients/mod.ts";
import type { AskerRecord, FarRequest, FromNode, NodeFrame, NodeRecord, NodeToNode } from "../protocol/mod.ts";
import { ReceivedMessages, SentMessages } from "../transport/mod.ts";

export type PeerNodeLink = MessageLink<NodeFrame, NodeFrame>;

/** Between attempts to connect to a node that the GCS says is there. */
const CONNECT_AGAIN_MS = 200;
/** After so long without a connection the GCS is told. */
const UNREACHABLE_MS_MAX = 5_000;
/** What was received is acknowledged together, so often at most. */
const ACKNOWLEDGE_MS = 50;
/** A connection on which nothing was acknowledged for so long is given up for another one. */
const UNACKNOWLEDGED_MS_MAX = 5_000;

/** Nodes that have ended, and whose late messages are refused. */
const LOST_REMEMBERED_MAX = 1_000;

export interface OtherNodesEnvironment {
  readonly clock: Clock;
  connect(record: NodeRecord): Promise<PeerNodeLink>;
  onMessage(node: NodeKey, message: NodeToNode): void;
  /** For whom that worker asks. */
  askerOf(workerId: WorkerId): AskerRecord | null;
  /** That node cannot be connected to: one of the two has to go. */
  unreachable(node: NodeKey): void;
}

interface OtherNode {
  readonly record: NodeRecord;
  readonly sent: SentMessages<NodeToNode>;
  link: PeerNodeLink | null;
  isConnecting: boolean;
  /** While something is not acknowledged. */
  timer: Timer | null;
}

/**
 * The other nodes of the cluster, and the links to them. Each of two nodes opens the link on which it sends; what is sent before that is
 * open waits. When a link breaks there is another, and nothing is lost.
 */
export class OtherNodes {
  readonly #env: OtherNodesEnvironment;
  readonly #nodes = new Map<NodeKey, OtherNode>();
  readonly #incoming = new Map<PeerNodeLink, NodeKey>();
  /** What these have sent may come later than the news of their end, and is void: they would be given what nobody takes back. */
  readonly #lost = new Set<NodeKey>();
  /** Links of nodes that have sent something before the head has told of them: nobody here could answer, so it is not taken yet. */
  readonly #untaken = new Set<PeerNodeLink>();
  readonly #received = new Map<NodeKey, ReceivedMessages>();
  readonly #acknowledging = new Map<PeerNodeLink, NodeKey>();
  #acknowledgeTimer: Timer | null = null;
  #isClosed = false;

  constructor(environment: OtherNodesEnvironment) {
    this.#env = environment;
  }

  joined(record: NodeRecord): void {
    const key = nodeKeyOf(record.nodeId);
    this.#nodes.set(key, { record, sent: new SentMessages(), link: null, isConnecting: false, timer: null });
    // Over another link it sends again what was not taken.
    for (const link of this.#untaken) if (this.#incoming.get(link) === key) link.close();
  }

  lost(key: NodeKey): void {
    const node = this.#nodes.get(key);
    this.#nodes.delete(key);
    this.#received.delete(key);
    node?.timer?.cancel();
    node?.link?.close();
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

  // ------------------------------------------------------------------ what comes

  /** A link that the other node has opened. */
  accept(key: NodeKey, link: PeerNodeLink): void {
    if (this.#lost.has(key)) return link.close();
    this.#incoming.set(link, key);
    link.onMessage((frame) => {
      if (frame.type !== "message" || this.#lost.has(key)) return;
      if (this.#nodes.has(key) && !this.#untaken.has(link)) this.#arrived(key, link, frame.number, frame.message);
      else this.#untaken.add(link);
    });
    link.onClose(() => {
      this.#incoming.delete(link);
      this.#untaken.delete(link);
      this.#acknowledging.delete(link);
    });
  }

  #arrived(key: NodeKey, link: PeerNodeLink, number: number, message: NodeToNode): void {
    let received = this.#received.get(key);
    if (received === undefined) this.#received.set(key, (received = new ReceivedMessages()));
    this.#acknowledging.set(link, key);
    this.#acknowledgeTimer ??= this.#env.clock.after(ACKNOWLEDGE_MS, () => this.#acknowledge());
    if (received.take(number)) this.#env.onMessage(key, message);
  }

  #acknowledge(): void {
    this.#acknowledgeTimer = null;
    for (const [link, key] of this.#acknowledging) link.send({ type: "received", number: this.#received.get(key)?.last ?? 0 });
    this.#acknowledging.clear();
  }

  // ------------------------------------------------------------------ what goes

  toWorker(workerId: WorkerId, message: FromNode): boolean {
    return this.send(nodeKeyOf(workerId), { type: "toWorker", workerId, message });
  }

  /** False if there is no such node. */
  fromWorker(key: NodeKey, senderId: WorkerId, message: FarRequest): boolean {
    return this.send(key, { type: "fromWorker", senderId, message, asker: message.type === "leaseDemand" ? this.#env.askerOf(senderId) : null });
  }

  /** False if there is no such node. */
  send(key: NodeKey, message: NodeToNode): boolean {
    const node = this.#nodes.get(key);
    if (node === undefined) return false;
    const number = node.sent.push(message);
    if (node.link === null) this.#connectIfNeeded(key, node);
    else node.link.sendSoon({ type: "message", number, message });
    this.#watch(node);
    return true;
  }

  #connectIfNeeded(key: NodeKey, node: OtherNode): void {
    if (node.isConnecting || node.sent.oldest === null || this.#nodes.get(key) !== node) return;
    node.isConnecting = true;
    void this.#connect(key, node);
  }

  async #connect(key: NodeKey, node: OtherNode): Promise<void> {
    const { clock } = this.#env;
    let failedMs: number | null = null;
    for (;;) {
      const link = await this.#env.connect(node.record).catch(() => null);
      if (this.#nodes.get(key) !== node) return link?.close();
      if (link !== null) return this.#connected(key, node, link);
      failedMs ??= clock.nowMs();
      if (clock.nowMs() - failedMs > UNREACHABLE_MS_MAX) {
        failedMs = null;
        this.#env.unreachable(key);
      }
      await new Promise<void>((resolve) => { clock.after(CONNECT_AGAIN_MS, resolve); });
      if (this.#nodes.get(key) !== node) return undefined;
    }
  }

  #connected(key: NodeKey, node: OtherNode, link: PeerNodeLink): void {
    node.isConnecting = false;
    node.link = link;
    link.onMessage((frame) => {
      if (frame.type === "received") node.sent.acknowledged(frame.number);
    });
    link.onClose(() => {
      if (node.link === link) this.#broken(key, node);
    });
    for (const [number, message] of node.sent.unacknowledged()) link.sendSoon({ type: "message", number, message });
    this.#watch(node);
  }

  #broken(key: NodeKey, node: OtherNode): void {
    node.link = null;
    // Not at once: who lets nobody in closes each connection.
    if (!this.#isClosed) this.#env.clock.after(CONNECT_AGAIN_MS, () => { if (node.link === null) this.#connectIfNeeded(key, node); });
  }

  /** A link that was cut without a word closes nothing. */
  #watch(node: OtherNode): void {
    const { oldest } = node.sent;
    if (oldest === null || node.link === null) return;
    const { link } = node;
    node.timer ??= this.#env.clock.after(UNACKNOWLEDGED_MS_MAX, () => {
      node.timer = null;
      if (node.link === link && node.sent.oldest === oldest) {
        link.close();
        this.#broken(nodeKeyOf(node.record.nodeId), node);
      }
      this.#watch(node);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#acknowledgeTimer?.cancel();
    for (const { link, timer } of this.#nodes.values()) {
      timer?.cancel();
      link?.close();
    }
    for (const link of this.#incoming.keys()) link.close();
    this.#nodes.clear();
  }
}
