import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { nodeKeyOf } from "../base/mod.ts";
import { openMessageLink, type MessageLink, type WorkerLink } from "../clients/mod.ts";
import type { ClusterService } from "../gcs/mod.ts";
import type { PeerNodeLink } from "../node-manager/mod.ts";
import { type FromHead, type NetworkAddress, type NodeDescription, type NodeRecord, textOf, type ToHead } from "../protocol/mod.ts";
import { connectSocket, listenSocket, type Channel, type SocketListener } from "../transport/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { FOR_CONTROL, FOR_DESCRIPTION, FOR_GCS, FOR_NODE } from "./cluster-greeting.ts";
import { type GcsLink, joinHead, startHead } from "./cluster-membership.ts";
import { Gone, type HeadMembers } from "./head-members.ts";
import type { NodeCluster } from "./node-cluster.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";

/** An attempt to connect to a node that was there before. */
const CONNECT_AGAIN_MS_MAX = 2_000;

export interface ClusterConnectionsSetting {
  readonly config: SessionConfig;
  /** How people call this node. */
  readonly name: string | null;
  /** Where this node listens. */
  readonly listen: NetworkAddress;
  /** Of the head; null: this node is the head of a new cluster. */
  readonly headAddress: NetworkAddress | null;
  readonly objectAddress: NetworkAddress | null;
  /** A program that joins over the network. */
  serve(driverId: string, link: WorkerLink): void;
  /** The head is gone, and with it the cluster. */
  headLost(reason: string): void;
  /** See MemberSetting. */
  leave(reason: string): void;
  /** For the node's log. */
  note(text: string): void;
  /** Of what nodes and the GCS say to each other. */
  readonly openLink: typeof openMessageLink;
}

/** The network side of a node: the port that it listens on, its link to the head, and on the head the GCS of all. */
export class ClusterConnections {
  readonly address: NetworkAddress;
  readonly headAddress: NetworkAddress;
  readonly cluster: NodeCluster;
  readonly #listener: SocketListener;
  readonly #head: ClusterService | null;
  readonly #link: LinkToHead | null;
  readonly #stopWatching: () => void;

  private constructor(listener: SocketListener, headAddress: NetworkAddress, cluster: NodeCluster, head: ClusterService | null, link: LinkToHead | null, stopWatching: () => void) {
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
      const record: NodeRecord = { nodeId: config.nodeId, name: setting.name, hostname: hostname(), pid: process.pid, address, objectAddress: setting.objectAddress, totals: config.totals, labels: config.labels };
      const opened = await open(setting, record);
      onChannel = (channel) => dispatch(channel, setting, opened);
      return new ClusterConnections(listener, setting.headAddress ?? address, opened.cluster, opened.head, opened.link, opened.stopWatching);
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  /** This node ends. A head takes its cluster with it. */
  close(): void {
    this.#stopWatching();
    this.cluster.stop();
    this.#head?.stop();
    this.#listener.close();
  }

  /** Tells the head, when nothing of this node's work goes on: its actors start elsewhere then. */
  leave(reason: string): void {
    this.#link?.send({ type: "leave", reason });
    this.#link?.close();
  }
}

type LinkToHead = Awaited<ReturnType<typeof joinHead>>["link"];

interface Opened {
  readonly cluster: NodeCluster;
  readonly head: ClusterService | null;
  readonly members: HeadMembers | null;
  readonly link: LinkToHead | null;
  readonly stopWatching: () => void;
}

/** A new cluster, or a part of that whose head is there. */
async function open({ config, headAddress, headLost, leave, note, openLink }: ClusterConnectionsSetting, record: NodeRecord): Promise<Opened> {
  const member = { clock: realClock, record, packageVersion: packageVersion(), connect: (other: NodeRecord) => connectToNode(config, other, openLink), leave };
  if (headAddress === null) {
    const reach = (other: NodeRecord): Promise<void> => connectAgain(other.address, { workerId: FOR_DESCRIPTION + config.nodeId, token: config.token }).then((channel) => channel.close());
    return { ...startHead({ ...member, clusterId: realRandom.hex(8), reach, note }), link: null, stopWatching: () => undefined };
  }
  const identity = { workerId: FOR_GCS + config.nodeId, token: config.token };
  const opened = (channel: Channel): GcsLink => {
    const link: GcsLink = openLink(channel);
    link.ref();
    return link;
  };
  const reconnect = (): Promise<GcsLink> => connectAgain(headAddress, identity).then(opened);
  return { ...(await joinHead({ ...member, where: `the head at ${textOf(headAddress)}`, reconnect, headLost }, opened(await connectSocket(headAddress, identity)))), head: null, members: null };
}

/** To where somebody has listened. @throws Gone. */
async function connectAgain(address: NetworkAddress, identity: { readonly workerId: string; readonly token: string }): Promise<Channel> {
  try {
    return await connectSocket(address, { ...identity, timeoutMs: CONNECT_AGAIN_MS_MAX });
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
    throw code === "ECONNREFUSED" ? new Gone() : error;
  }
}

async function connectToNode({ nodeId, token }: SessionConfig, { address }: NodeRecord, openLink: typeof openMessageLink): Promise<PeerNodeLink> {
  const link: PeerNodeLink = openLink(await connectSocket(address, { workerId: FOR_NODE + nodeId, token }));
  link.ref();
  return link;
}

function dispatch(channel: Channel, { config, serve, openLink }: ClusterConnectionsSetting, { cluster, head, members }: Opened): void {
  const { peerId } = channel;
  channel.ref();
  if (peerId.startsWith(FOR_DESCRIPTION)) {
    const { nodeId, isolation, labels } = config;
    const link: MessageLink<NodeDescription, never> = openMessageLink(channel);
    link.onMessage(() => undefined);
    return link.send({ nodeId, isolation, labels, pid: process.pid });
  }
  if (peerId.startsWith(FOR_CONTROL)) return head === null ? channel.close() : control(head, openMessageLink(channel));
  if (peerId.startsWith(FOR_NODE)) return cluster.acceptNode(nodeKeyOf(peerId.slice(FOR_NODE.length)), openLink(channel));
  if (!peerId.startsWith(FOR_GCS)) return serve(peerId, openMessageLink(channel));
  // Only the head can be joined: whoever asks another sees that it closes.
  if (members === null) return channel.close();
  members.accept(nodeKeyOf(peerId.slice(FOR_GCS.length)), openLink(channel));
}

function control(head: ClusterService, link: MessageLink<FromHead, ToHead>): void {
  const endings: (() => void)[] = [];
  link.onMessage(({ node, timeLeftMs }) => void endings.push(head.drain(node, timeLeftMs, (answer) => link.send(answer))));
  link.onClose(() => { for (const end of endings) end(); });
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
}
