import { afterThis } from "../base/mod.ts";
import type { Channel, ChannelCloseReason } from "../transport/mod.ts";
import type { FromNode, ToNode } from "../protocol/mod.ts";
import { packMessage, unpackMessage } from "./message-codec.ts";

/** Messages of one type each way over a channel; the other side holds the mirror image. */
export interface MessageLink<Outgoing, Incoming> {
  send(message: Outgoing): void;
  /** At the end of the turn, with all else that is sent so: for what comes by the thousand. Keeps the order with `send`. */
  sendSoon(message: Outgoing): void;
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

/** Messages of `sendSoon` in one frame. */
const FRAME_MESSAGES_MAX = 512;

export function openMessageLink<Outgoing extends object, Incoming>(channel: Channel): MessageLink<Outgoing, Incoming> {
  let waiting: Outgoing[] = [];
  const sendWaiting = (): void => {
    if (waiting.length === 0) return;
    const messages = waiting;
    waiting = [];
    channel.send(packMessage(messages));
  };
  return {
    send: (message) => {
      sendWaiting();
      channel.send(packMessage(message));
    },
    sendSoon: (message) => {
      const count = waiting.push(message);
      if (count === 1) afterThis(sendWaiting);
      else if (count >= FRAME_MESSAGES_MAX) sendWaiting();
    },
    onMessage: (handler) => channel.onFrame((frame) => {
      const received = unpackMessage(frame) as Incoming | Incoming[];
      if (!Array.isArray(received)) return handler(received);
      for (const message of received) handler(message);
    }),
    onClose: (handler) => channel.onClose(handler),
    flush: () => {
      sendWaiting();
      return channel.flush();
    },
    close: () => {
      sendWaiting();
      channel.close();
    },
    ref: () => channel.ref(),
    unref: () => channel.unref(),
  };
}
