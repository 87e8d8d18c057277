import { nodeKeyOf, type Clock, type NodeKey } from "../base/mod.ts";
import { LastingLink, type MessageLink, type Received } from "../clients/mod.ts";
import type { ClusterService } from "../gcs/mod.ts";
import type { FromGcs, NodeRecord, ToGcs } from "../protocol/mod.ts";

export type NodeLinkOfGcs = MessageLink<FromGcs | Received, ToGcs | Received>;

/** Between attempts to reach a node whose connection broke. */
const REACH_AGAIN_MS = 50;

export interface HeadMembersSetting {
  readonly head: ClusterService;
  readonly clock: Clock;
  /** Rejects with a `Gone` if nothing listens there any more. Null: a node whose connection breaks is lost. */
  readonly reach: ((record: NodeRecord) => Promise<void>) | null;
  /** For the node's log. */
  note(text: string): void;
}

/** Nobody listens there any more: the process has ended. */
export class Gone extends Error {}

/**
 * The nodes as they come in at the head. A node whose connection breaks connects again, and nothing is lost; meanwhile the head tries to
 * reach it, since the connection of one that was killed breaks in the same way. Who is neither reached nor back is silent, see ClusterService.
 */
export class HeadMembers {
  readonly #setting: HeadMembersSetting;
  readonly #members = new Map<NodeKey, { readonly record: NodeRecord; readonly link: LastingLink<FromGcs, ToGcs> }>();

  constructor(setting: HeadMembersSetting) {
    this.#setting = setting;
  }

  accept(key: NodeKey, connection: NodeLinkOfGcs): void {
    let member: LastingLink<FromGcs, ToGcs> | null = null;
    connection.onMessage((message) => {
      if (member !== null) return member.arrived(connection, message);
      if (message.type === "join" && nodeKeyOf(message.record.nodeId) === key) member = this.#join(key, message, connection);
      else if (message.type === "resume") member = this.#resume(key, message.received, connection);
      if (member === null) connection.close();
    });
    connection.onClose((reason) => member?.closed(connection, reason));
  }

  #join(key: NodeKey, message: ToGcs & { readonly type: "join" }, connection: NodeLinkOfGcs): LastingLink<FromGcs, ToGcs> | null {
    const { head, clock, reach } = this.#setting;
    const link = new LastingLink<FromGcs, ToGcs>(clock, connection, 1);
    link.onMessage((next) => head.onMessage(key, next));
    link.onBroken((reason) => {
      if (reach === null) head.nodeLost(key, howItEnded(reason));
      else void this.#watch(key, message.record, howItEnded(reason), reach);
    });
    const member = {
      send: (one: FromGcs) => link.send(one),
      sendSoon: (one: FromGcs) => link.sendSoon(one),
      close: () => {
        if (this.#members.get(key)?.link === link) this.#members.delete(key);
        link.close();
      },
    };
    // Before the answer: the node is in from then on.
    this.#members.set(key, { record: message.record, link });
    if (head.join(message, member)) return link;
    this.#members.delete(key);
    return null;
  }

  #resume(key: NodeKey, received: number, connection: NodeLinkOfGcs): LastingLink<FromGcs, ToGcs> | null {
    const member = this.#members.get(key);
    if (member === undefined) {
      connection.send({ type: "refused", reason: "was given up while its connection with the head was broken" });
      return null;
    }
    const { record, link } = member;
    connection.send({ type: "resumed", received: link.received });
    link.resume(connection, received);
    this.#setting.note(`node ${record.nodeId} has connected again`);
    return link;
  }

  /** Until it is back, or its end is known. */
  async #watch(key: NodeKey, record: NodeRecord, how: string, reach: (record: NodeRecord) => Promise<void>): Promise<void> {
    const { head, clock } = this.#setting;
    const link = this.#members.get(key)?.link;
    const isBroken = (): boolean => link?.isBroken === true && this.#members.get(key)?.link === link;
    while (isBroken()) {
      const error = await reach(record).then(() => null, (failure: unknown) => failure);
      if (!isBroken()) return undefined;
      if (error instanceof Gone) return head.nodeLost(key, how);
      await new Promise<void>((resolve) => { clock.after(REACH_AGAIN_MS, resolve); });
    }
  }
}

function howItEnded(reason: string): string {
  return reason === "peer" ? "has ended" : "was lost: its connection broke";
}
