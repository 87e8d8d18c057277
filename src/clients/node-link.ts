import type { Channel, ChannelCloseReason } from "../transport/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";
import { packMessage, unpackMessage } from "./message-codec.ts";

/** Messages of one type each way over a channel; the other side holds the mirror image. */
export interface MessageLink<Outgoing, Incoming> {
  send(message: Outgoing): void;
  onMessage(handler: (message: Incoming) => void): void;
  onClose(handler: (reason: ChannelCloseReason) => void): void;
  /** Makes what was sent leave this thread now; false if it could not. */
  flush(): boolean;
  close(): void;
  ref(): void;
  unref(): void;
}

/** A core worker's way to its node manager and, through it, to the GCS. */
export type NodeLink = MessageLink<ToNode, FromNode>;
/** The node manager's way to one core worker. */
export type WorkerLink = MessageLink<FromNode, ToNode>;

export function openMessageLink<Outgoing extends object, Incoming>(channel: Channel): MessageLink<Outgoing, Incoming> {
  return {
    send: (message) => void channel.send(packMessage(message)),
    onMessage: (handler) => channel.onFrame((frame) => handler(unpackMessage(frame) as Incoming)),
    onClose: (handler) => channel.onClose(handler),
    flush: () => channel.flush(),
    close: () => channel.close(),
    ref: () => channel.ref(),
    unref: () => channel.unref(),
  };
}
