import { nodeKeyOf, RuntimeStateError, type Clock, type NodeKey } from "../base/mod.ts";
import type { MessageLink } from "../clients/mod.ts";
import { ClusterService } from "../gcs/mod.ts";
import type { PeerNodeLink } from "../node-manager/mod.ts";
import type { FromGcs, NodeRecord, ToGcs } from "../protocol/mod.ts";
import { NodeCluster } from "./node-cluster.ts";

/** The head asks its nodes every second whether they are alive. */
const HEAD_SILENT_MS_MAX = 15_000;
const HEAD_LOOKS_MAX = 5;
const JOIN_MS_MAX = 10_000;

export type GcsLink = MessageLink<ToGcs, FromGcs>;
export type NodeLinkOfGcs = MessageLink<FromGcs, ToGcs>;
type Joined = FromGcs & { readonly type: "joined" };

/** A node, as it comes into a cluster. */
export interface MemberSetting {
  readonly clock: Clock;
  readonly record: NodeRecord;
  readonly packageVersion: string;
  /** Opens the link on which this node sends to another. */
  connect(other: NodeRecord): Promise<PeerNodeLink>;
  /** It has drained, or has no time left for that. `reason` follows "the node …". */
  leave(reason: string): void;
}

export interface HeadSetting extends MemberSetting {
  readonly clusterId: string;
  /** For the node's log. */
  note(text: string): void;
}

export interface JoiningSetting extends MemberSetting {
  /** For messages: "the head at 10.0.0.1:6380". */
  readonly where: string;
  /** It is gone, and with it the cluster. */
  headLost(reason: string): void;
}

/** A new cluster, whose GCS is in the process of its first node. */
export function startHead(setting: HeadSetting): { readonly cluster: NodeCluster; readonly head: ClusterService } {
  const { clock, record, packageVersion, clusterId, note } = setting;
  const head = new ClusterService({ clock, clusterId, packageVersion, note });
  const key = nodeKeyOf(record.nodeId);
  let cluster: NodeCluster | null = null;
  let joined: Joined | null = null;
  const receive = (message: FromGcs): void => {
    if (message.type === "joined") joined = message;
    else cluster?.onGcsMessage(message);
  };
  head.join({ type: "join", record, packageVersion, clusterId: null }, { send: receive, sendSoon: receive, close: () => undefined });
  cluster = new NodeCluster({ clock, record, joined: joined as unknown as Joined, toGcs: (message) => head.onMessage(key, message), connect: setting.connect, leave: setting.leave });
  return { cluster, head };
}

/** A node of a cluster whose head is at the other end of the link. @throws RuntimeStateError when it refuses, or does not answer. */
export async function joinHead(setting: JoiningSetting, link: GcsLink): Promise<{ readonly cluster: NodeCluster; stopWatching(): void }> {
  const { clock, record, packageVersion, where, headLost } = setting;
  let cluster: NodeCluster | null = null;
  /** What comes between the answer and the moment that somebody takes it. */
  const early: FromGcs[] = [];
  // Not a time: while this process stands still, nobody is heard.
  let looksInSilence = 0;
  let isOver = false;
  const over = (reason: string): void => {
    if (isOver) return;
    isOver = true;
    watch.cancel();
    headLost(reason);
  };
  let watch = clock.after(HEAD_SILENT_MS_MAX, () => undefined);
  const watchHead = (): void => {
    watch = clock.after(HEAD_SILENT_MS_MAX / HEAD_LOOKS_MAX, () => {
      if (++looksInSilence > HEAD_LOOKS_MAX) over(`has been silent for ${HEAD_SILENT_MS_MAX / 1000} s`);
      else watchHead();
    });
  };
  const joined = await new Promise<Joined>((resolve, reject) => {
    const timer = clock.after(JOIN_MS_MAX, () => reject(new RuntimeStateError(`${where} did not answer within ${JOIN_MS_MAX / 1000} s; is it the address of a head node?`)));
    link.onMessage((message) => {
      looksInSilence = 0;
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
    link.send({ type: "join", record, packageVersion, clusterId: null });
  }).catch((error: Error) => {
    isOver = true;
    link.close();
    throw error;
  });
  const member = new NodeCluster({ clock, record, joined, toGcs: (message) => link.sendSoon(message), connect: setting.connect, leave: setting.leave });
  member.onAttached(() => {
    cluster = member;
    for (const message of early) member.onGcsMessage(message);
  });
  watch.cancel();
  watchHead();
  return { cluster: member, stopWatching: () => { isOver = true; watch.cancel(); } };
}

/** At the head: a node that wants to join. */
export function acceptMember(head: ClusterService, key: NodeKey, link: NodeLinkOfGcs): void {
  let isIn = false;
  link.onMessage((message) => {
    if (isIn) return head.onMessage(key, message);
    if (message.type === "join" && nodeKeyOf(message.record.nodeId) === key) isIn = head.join(message, link);
    if (!isIn) link.close();
  });
  link.onClose((reason) => { if (isIn) head.nodeLost(key, reason === "peer" ? "has ended" : "was lost: its connection broke"); });
}
