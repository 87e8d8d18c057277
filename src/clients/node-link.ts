import { Packr } from "msgpackr/pack";
import type { Channel, ChannelCloseReason } from "../transport/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";

/** Messages of one type each way over a channel; the other side holds the mirror image. */
export interface MessageLink<Outgoing, Incoming> {
  send(message: Outgoing): void;
  onMessage(handler: (message: Incoming) => void): void;
  onClose(handler: (reason: ChannelCloseReason) => void): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/** A core worker's way to its node manager and, through it, to the GCS. */
export type NodeLink = MessageLink<ToNode, FromNode>;
/** The node manager's way to one core worker. */
export type WorkerLink = MessageLink<FromNode, ToNode>;

export function openMessageLink<Outgoing extends object, Incoming>(channel: Channel): MessageLink<Outgoing, Incoming> {
  const packr = new Packr({ useRecords: false, moreTypes: true, encodeUndefinedAsNil: false });
  return {
    send: (message) => void channel.send(packr.pack(message)),
    // Binary fields of a message are views into its bytes, which are scratch memory unless the channel gave them away.
    onMessage: (handler) => channel.onFrame((frame, owned) => handler(packr.unpack(owned ? frame : new Uint8Array(frame)) as Incoming)),
    onClose: (handler) => channel.onClose(handler),
    close: () => channel.close(),
    ref: () => channel.ref(),
    unref: () => channel.unref(),
  };
}
