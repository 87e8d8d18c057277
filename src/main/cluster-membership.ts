import { nodeKeyOf, RuntimeStateError, type Clock } from "../base/mod.ts";
import { LastingLink, type MessageLink, type Received } from "../clients/mod.ts";
import { ClusterService } from "../gcs/mod.ts";
import type { PeerNodeLink } from "../node-manager/mod.ts";
import type { FromGcs, NodeRecord, ToGcs } from "../protocol/mod.ts";
import { Gone, HeadMembers } from "./head-members.ts";
import { NodeCluster } from "./node-cluster.ts";

/** The head asks its nodes every second whether they are alive, and gives them up after ten answers that did not come. */
const HEAD_SILENT_MS_MAX = 10_000;
const HEAD_LOOKS_MAX = 10;
/** After a connection with the head broke, and between attempts. */
const CONNECT_AGAIN_MS = 50;
const JOIN_MS_MAX = 10_000;

export type GcsLink = MessageLink<ToGcs | Received, FromGcs | Received>;
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
  /** See HeadMembersSetting. */
  readonly reach: ((record: NodeRecord) => Promise<void>) | null;
  /** For the node's log. */
  note(text: string): void;
}

export interface JoiningSetting extends MemberSetting {
  /** For messages: "the head at 10.0.0.1:6380". */
  readonly where: string;
  /** Another connection with the head. Rejects with a `Gone` if nothing listens there any more. Null: when the connection breaks, it is over. */
  readonly reconnect: (() => Promise<GcsLink>) | null;
  /** It is gone, and with it the cluster. */
  headLost(reason: string): void;
}

/** A new cluster, whose GCS is in the process of its first node. */
export function startHead(setting: HeadSetting): { readonly cluster: NodeCluster; readonly head: ClusterService; readonly members: HeadMembers } {
  const { clock, record, packageVersion, clusterId, reach, note } = setting;
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
  return { cluster, head, members: new HeadMembers({ head, clock, reach, note }) };
}

/** A node of a cluster whose head is at the other end of the connection. @throws RuntimeStateError when it refuses, or does not answer. */
export async function joinHead(setting: JoiningSetting, connection: GcsLink): Promise<{ readonly cluster: NodeCluster; readonly link: Pick<LastingLink<ToGcs, FromGcs>, "send" | "close">; stopWatching(): void }> {
  const { clock, record, packageVersion, where, headLost } = setting;
  const link = new LastingLink<ToGcs, FromGcs>(clock, connection, 0);
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
  const heard = (message: FromGcs): void => {
    looksInSilence = 0;
    if (cluster === null) early.push(message);
    else cluster.onGcsMessage(message);
  };
  const listenTo = (one: GcsLink): void => {
    one.onMessage((message) => link.arrived(one, message));
    one.onClose((reason) => link.closed(one, reason));
  };
  const joined = await new Promise<Joined>((resolve, reject) => {
    const timer = clock.after(JOIN_MS_MAX, () => reject(new RuntimeStateError(`${where} did not answer within ${JOIN_MS_MAX / 1000} s; is it the address of a head node?`)));
    link.onMessage((message) => {
      if (message.type === "joined") {
        timer.cancel();
        link.onMessage(heard);
        resolve(message);
      } else if (message.type === "refused") {
        timer.cancel();
        reject(new RuntimeStateError(`${where} has refused this node: ${message.reason}`));
      }
    });
    link.onBroken(() => {
      timer.cancel();
      reject(new RuntimeStateError(`${where} closed the connection before this node had joined; is it the address of a head node?`));
    });
    listenTo(connection);
    link.send({ type: "join", record, packageVersion, clusterId: null });
  }).catch((error: Error) => {
    isOver = true;
    link.close();
    connection.close();
    throw error;
  });
  let isResuming = false;
  link.onBroken((reason) => {
    const how = reason === "peer" ? "has ended" : "is gone: the connection broke";
    if (setting.reconnect === null) over(how);
    else if (!isResuming) void resumeWith(setting.reconnect, how);
  });
  /** Until the head answers, is gone, or was silent for too long. */
  const resumeWith = async (reconnect: () => Promise<GcsLink>, how: string): Promise<void> => {
    isResuming = true;
    for (;;) {
      await new Promise<void>((resolve) => { clock.after(CONNECT_AGAIN_MS, resolve); });
      const next = isOver ? null : await reconnect().catch((error: unknown) => {
        if (error instanceof Gone) over(how);
        return null;
      });
      if (next !== null && !(await isResumed(next))) next.close();
      if (isOver || !link.isBroken) break;
    }
    // In the same step as the look at the link, so that no break falls between.
    isResuming = false;
  };
  const isResumed = (next: GcsLink): Promise<boolean> => new Promise((resolve) => {
    let isTaken = false;
    next.onMessage((message) => {
      if (isTaken) return link.arrived(next, message);
      if (message.type === "refused" && !isOver) {
        isOver = true;
        watch.cancel();
        setting.leave(`was taken out of its cluster: it ${message.reason}`);
      }
      isTaken = !isOver && message.type === "resumed";
      if (isTaken) link.resume(next, (message as FromGcs & { readonly type: "resumed" }).received);
      resolve(isTaken);
    });
    next.onClose((reason) => {
      link.closed(next, reason);
      resolve(false);
    });
    next.send({ type: "resume", received: link.received });
  });
  const member = new NodeCluster({ clock, record, joined, toGcs: (message) => link.sendSoon(message), connect: setting.connect, leave: setting.leave });
  member.onAttached(() => {
    cluster = member;
    for (const message of early) member.onGcsMessage(message);
  });
  watch.cancel();
  watchHead();
  return { cluster: member, link, stopWatching: () => { isOver = true; watch.cancel(); } };
}
