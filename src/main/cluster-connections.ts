import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { nodeKeyOf, RuntimeStateError, type NodeKey } from "../base/mod.ts";
import { openMessageLink, type MessageLink, type WorkerLink } from "../clients/mod.ts";
import { ClusterService } from "../gcs/mod.ts";
import type { PeerNodeLink } from "../node-manager/mod.ts";
import { type FromGcs, type NetworkAddress, type NodeDescription, type NodeRecord, textOf, type ToGcs } from "../protocol/mod.ts";
import { connectSocket, listenSocket, type Channel, type SocketListener } from "../transport/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { FOR_DESCRIPTION, FOR_GCS, FOR_NODE } from "./cluster-greeting.ts";
import { NodeCluster } from "./node-cluster.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";

/** The head asks its nodes every second whether they are alive. */
const HEAD_SILENT_MS_MAX = 15_000;
const JOIN_MS_MAX = 10_000;

export type GcsLink = MessageLink<ToGcs, FromGcs>;
type NodeLinkOfGcs = MessageLink<FromGcs, ToGcs>;

export interface ClusterConnectionsSetting {
  readonly config: SessionConfig;
  /** Where this node listens. */
  readonly listen: NetworkAddress;
  /** Of the head; null: this node is the head of a new cluster. */
  readonly headAddress: NetworkAddress | null;
  readonly objectAddress: NetworkAddress | null;
  /** A program that joins over the network. */
  serve(driverId: string, link: WorkerLink): void;
  /** The head is gone, and with it the cluster. */
  headLost(reason: string): void;
  /** For the node's log. */
  note(text: string): void;
}

/** The network side of a node: the port that it listens on, its link to the head, and on the head the GCS of all. */
export class ClusterConnections {
  readonly address: NetworkAddress;
  readonly headAddress: NetworkAddress;
  readonly cluster: NodeCluster;
  readonly #listener: SocketListener;
  readonly #head: ClusterService | null;
  readonly #link: GcsLink | null;
  readonly #stopWatching: () => void;

  private constructor(listener: SocketListener, headAddress: NetworkAddress, cluster: NodeCluster, head: ClusterService | null, link: GcsLink | null, stopWatching: () => void) {
    this.address = listener.address as NetworkAddress;
    this.headAddress = headAddress;
    this.cluster = cluster;
    this.#listener = listener;
    this.#head = head;
    this.#link = link;
    this.#stopWatching = stopWatching;
  }

  /** @throws RuntimeStateError when the head refuses this node or cannot be reached, TransportError when the port cannot be had. */
  static async open(setting: ClusterConnectionsSetting): Promise<ClusterConnections> {
    const { config } = setting;
    // Nobody knows the port before this node has joined.
    let onChannel = (channel: Channel): void => channel.close();
    const listener = await listenSocket(setting.listen, { workerId: config.nodeId, token: config.token, onChannel: (channel) => onChannel(channel), onRefused: (error) => setting.note(`somebody was not let in: ${error.message}`) });
    try {
      const address = listener.address as NetworkAddress;
      const record: NodeRecord = { nodeId: config.nodeId, hostname: hostname(), pid: process.pid, address, objectAddress: setting.objectAddress, totals: config.totals, labels: config.labels };
      const opened = setting.headAddress === null ? startHead(setting, record) : await joinHead(setting, setting.headAddress, record);
      onChannel = (channel) => dispatch(channel, setting, opened.cluster, opened.head);
      return new ClusterConnections(listener, setting.headAddress ?? address, opened.cluster, opened.head, opened.link, opened.stopWatching);
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  /** In good order: the others are told. */
  close(reason: string): void {
    this.#stopWatching();
    this.cluster.stop();
    this.#link?.send({ type: "leave", reason });
    this.#link?.close();
    this.#head?.stop();
    this.#listener.close();
  }
}

interface Opened {
  readonly cluster: NodeCluster;
  readonly head: ClusterService | null;
  readonly link: GcsLink | null;
  readonly stopWatching: () => void;
}

function startHead({ config, note }: ClusterConnectionsSetting, record: NodeRecord): Opened {
  const head = new ClusterService({ clock: realClock, clusterId: realRandom.hex(8), packageVersion: packageVersion(), note });
  const key = nodeKeyOf(record.nodeId);
  let cluster: NodeCluster | null = null;
  let joined: (FromGcs & { readonly type: "joined" }) | null = null;
  const receive = (message: FromGcs): void => {
    if (message.type === "joined") joined = message;
    else cluster?.onGcsMessage(message);
  };
  head.join({ type: "join", record, packageVersion: packageVersion(), clusterId: null }, { send: receive, sendSoon: receive, close: () => undefined });
  cluster = new NodeCluster({ clock: realClock, record, joined: joined as unknown as FromGcs & { readonly type: "joined" }, toGcs: (message) => head.onMessage(key, message), connect: (other) => connectToNode(config, other) });
  return { cluster, head, link: null, stopWatching: () => undefined };
}

async function joinHead({ config, headLost }: ClusterConnectionsSetting, headAddress: NetworkAddress, record: NodeRecord): Promise<Opened> {
  const link: GcsLink = openMessageLink(await connectSocket(headAddress, { workerId: FOR_GCS + config.nodeId, token: config.token }));
  link.ref();
  let cluster: NodeCluster | null = null;
  /** What comes between the answer and the moment that somebody takes it. */
  const early: FromGcs[] = [];
  let heardMs = realClock.nowMs();
  let isOver = false;
  const over = (reason: string): void => {
    if (isOver) return;
    isOver = true;
    watch.cancel();
    headLost(reason);
  };
  let watch = realClock.after(HEAD_SILENT_MS_MAX, () => undefined);
  const watchHead = (): void => {
    watch = realClock.after(HEAD_SILENT_MS_MAX / 3, () => {
      if (realClock.nowMs() - heardMs > HEAD_SILENT_MS_MAX) over(`has been silent for ${HEAD_SILENT_MS_MAX / 1000} s`);
      else watchHead();
    });
  };
  const joined = await new Promise<FromGcs & { readonly type: "joined" }>((resolve, reject) => {
    const where = `the head at ${textOf(headAddress)}`;
    const timer = realClock.after(JOIN_MS_MAX, () => reject(new RuntimeStateError(`${where} did not answer within ${JOIN_MS_MAX / 1000} s; is it the address of a head node?`)));
    link.onMessage((message) => {
      heardMs = realClock.nowMs();
      if (message.type === "joined") {
        timer.cancel();
        resolve(message);
      } else if (message.type === "refused") {
        timer.cancel();
        reject(new RuntimeStateError(`${where} has refused this node: ${message.reason}`));
      } else if (cluster === null) {
        early.push(message);
      } else {
        cluster.onGcsMessage(message);
      }
    });
    link.onClose((reason) => {
      timer.cancel();
      reject(new RuntimeStateError(`${where} closed the connection before this node had joined; is it the address of a head node?`));
      if (reason !== "local") over(reason === "peer" ? "has ended" : "is gone: the connection broke");
    });
    link.send({ type: "join", record, packageVersion: packageVersion(), clusterId: null });
  }).catch((error: Error) => {
    isOver = true;
    link.close();
    throw error;
  });
  const member = new NodeCluster({ clock: realClock, record, joined, toGcs: (message) => link.sendSoon(message), connect: (other) => connectToNode(config, other) });
  member.onAttached(() => {
    cluster = member;
    for (const message of early) member.onGcsMessage(message);
  });
  watch.cancel();
  watchHead();
  return { cluster: member, head: null, link, stopWatching: () => { isOver = true; watch.cancel(); } };
}

async function connectToNode({ nodeId, token }: SessionConfig, { address }: NodeRecord): Promise<PeerNodeLink> {
  const link: PeerNodeLink = openMessageLink(await connectSocket(address, { workerId: FOR_NODE + nodeId, token }));
  link.ref();
  return link;
}

function dispatch(channel: Channel, { config, serve }: ClusterConnectionsSetting, cluster: NodeCluster, head: ClusterService | null): void {
  const { peerId } = channel;
  channel.ref();
  if (peerId.startsWith(FOR_DESCRIPTION)) {
    const { nodeId, isolation, labels } = config;
    const link: MessageLink<NodeDescription, never> = openMessageLink(channel);
    link.onMessage(() => undefined);
    return link.send({ nodeId, isolation, labels, pid: process.pid });
  }
  if (peerId.startsWith(FOR_NODE)) return cluster.acceptNode(nodeKeyOf(peerId.slice(FOR_NODE.length)), openMessageLink(channel));
  if (!peerId.startsWith(FOR_GCS)) return serve(peerId, openMessageLink(channel));
  // Only the head can be joined: whoever asks another sees that it closes.
  if (head === null) return channel.close();
  acceptMember(head, nodeKeyOf(peerId.slice(FOR_GCS.length)), openMessageLink(channel));
}

function acceptMember(head: ClusterService, key: NodeKey, link: NodeLinkOfGcs): void {
  let isIn = false;
  link.onMessage((message) => {
    if (isIn) return head.onMessage(key, message);
    if (message.type === "join" && nodeKeyOf(message.record.nodeId) === key) isIn = head.join(message, link);
    if (!isIn) link.close();
  });
  link.onClose((reason) => { if (isIn) head.nodeLost(key, reason === "peer" ? "has ended" : "was lost: its connection broke"); });
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
