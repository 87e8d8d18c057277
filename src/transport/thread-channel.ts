import type { MessagePort, TransferListItem } from "node:worker_threads";
import { MessageChannel, receiveMessageOnPort } from "node:worker_threads";
import { afterThis, Deque, invariant } from "../base/mod.ts";
import type { Channel, ChannelCloseReason, CloseHandler, FrameHandler } from "./channel.ts";
import { deliverFrame } from "./frame-delivery.ts";
import { FrameRun, RUN_BYTES_MAX, WAKE_UP, walkRun } from "./port-items.ts";
import type { PortItem, PortMessage } from "./port-items.ts";
import { createRingMemory, RingConsumer, RingProducer } from "./ring-buffer.ts";
import type { RingScratch } from "./ring-buffer.ts";
import type { PolledSource, ThreadPoller } from "./thread-poller.ts";

/** A thread may end in the middle of a turn, by `process.exit()`: what it has sent until then is posted still. */
const channelsWithRun = new Set<() => void>();
process.on("exit", () => {
  for (const postRun of channelsWithRun) postRun();
});

/** One end of a channel between threads; goes through `postMessage` or `workerData` with `transferList(end)`. */
export interface ThreadChannelEnd {
  readonly port: MessagePort;
  readonly inbound: SharedArrayBuffer;
  readonly outbound: SharedArrayBuffer;
}

/** A larger frame gets memory of its own, which is transferred: cheaper than two copies, and the receiver may keep it. */
export const RING_FRAME_BYTES_MAX = 32 * 1024;

export function createThreadChannelPair(): [ThreadChannelEnd, ThreadChannelEnd] {
  const { port1, port2 } = new MessageChannel();
  const there = createRingMemory();
  const back = createRingMemory();
  return [
    { port: port1, inbound: back, outbound: there },
    { port: port2, inbound: there, outbound: back },
  ];
}

export function transferList(end: ThreadChannelEnd): TransferListItem[] {
  return [end.port];
}

/** To be called in the thread that received the end, once. */
export function openThreadChannel(end: ThreadChannelEnd, options: { peerId: string; poller: ThreadPoller }): Channel {
  return new ThreadChannel(end, options.peerId, options.poller);
}

/**
 * Frames go through a ring in shared memory, or through the message port when they are large or the ring is full. All
 * carry one sequence, by which the receiver merges the two ways.
 *
 * Invariant: what precedes a record of the ring is in the ring too or has already been posted. So a receiver that meets a
 * gap in the ring finds what fills it in the port, at once. It holds because a run that waits to be posted takes up every
 * frame that follows, and is posted before a large frame is.
 */
class ThreadChannel implements Channel, PolledSource {
  readonly peerId: string;
  readonly #port: MessagePort;
  readonly #poller: ThreadPoller;
  readonly #producer: RingProducer;
  readonly #consumer: RingConsumer;
  #frameHandler: FrameHandler | undefined;
  #closeHandler: CloseHandler | undefined;
  #closeReason: ChannelCloseReason | undefined;
  #isPortClosed = false;
  #isReferenced = false;

  #sendSequence = 0;
  /** Frames of this turn that found the ring full, until the end of the turn. */
  #run: FrameRun | undefined;
  readonly #postRun = (): void => {
    const run = this.#run;
    if (run === undefined) return;
    this.#dropRun();
    if (!this.isClosed) this.#post(run.toItem());
  };

  #receiveSequence = 0;
  #portItems = new Deque<PortItem>();
  #portItemsReceived = 0;

  constructor(end: ThreadChannelEnd, peerId: string, poller: ThreadPoller) {
    this.peerId = peerId;
    this.#port = end.port;
    this.#poller = poller;
    this.#producer = new RingProducer(end.outbound);
    this.#consumer = new RingConsumer(end.inbound);
    poller.register(this);
    this.#port.on("message", (message: PortMessage) => {
      this.#takePortMessage(message);
      poller.wake();
    });
    this.#port.on("close", () => {
      this.#isPortClosed = true;
      if (this.#closeReason !== undefined) return;
      // Also because the peer may have died between taking note that this thread is parked and waking it: then another
      // channel's sender relies on that wake-up.
      poller.wake();
      this.#finishIfDrained();
    });
    this.#port.unref(); // A 'message' listener refers the port.
  }

  get isClosed(): boolean {
    return this.#isPortClosed || this.#closeReason !== undefined;
  }

  send(frame: Uint8Array): boolean {
    if (this.#isPortClosed || this.#closeReason !== undefined) return false;
    if (this.#run === undefined && frame.byteLength <= RING_FRAME_BYTES_MAX && this.#producer.tryWrite(frame, this.#sendSequence)) {
      this.#sendSequence = (this.#sendSequence + 1) | 0;
      if (this.#producer.mustWakeConsumer()) this.#port.postMessage(WAKE_UP);
    } else {
      this.#sendThroughPort([frame], frame.byteLength);
    }
    return true;
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#isPortClosed || this.#closeReason !== undefined) return false;
    let byteLength = 0;
    for (const part of parts) byteLength += part.byteLength;
    if (this.#run === undefined && byteLength <= RING_FRAME_BYTES_MAX && this.#producer.tryWriteParts(parts, byteLength, this.#sendSequence)) {
      this.#sendSequence = (this.#sendSequence + 1) | 0;
      if (this.#producer.mustWakeConsumer()) this.#port.postMessage(WAKE_UP);
    } else {
      this.#sendThroughPort(parts, byteLength);
    }
    return true;
  }

  flush(): boolean {
    this.#postRun();
    return !this.isClosed;
  }

  onFrame(handler: FrameHandler): void {
    invariant(this.#frameHandler === undefined, "a channel was given a second frame handler");
    this.#frameHandler = handler;
    queueMicrotask(() => {
      if (this.#closeReason !== undefined) return;
      this.#poller.wake();
      this.#finishIfDrained();
    });
  }

  onClose(handler: CloseHandler): void {
    invariant(this.#closeHandler === undefined, "a channel was given a second close handler");
    this.#closeHandler = handler;
    const reason = this.#closeReason;
    if (reason !== undefined) queueMicrotask(() => handler(reason));
  }

  close(): void {
    if (this.#closeReason !== undefined) return;
    this.#postRun();
    this.#finish("local");
  }

  ref(): void {
    if (this.#isReferenced || this.isClosed) return;
    this.#isReferenced = true;
    this.#port.ref();
    this.#poller.keepAlive(1);
  }

  unref(): void {
    if (!this.#isReferenced) return;
    this.#isReferenced = false;
    this.#port.unref();
    this.#poller.keepAlive(-1);
  }

  hasArrivals(): boolean {
    if (this.#frameHandler === undefined || this.#closeReason !== undefined) return false;
    return this.#consumer.hasRecords() || this.#portItems.length > 0 || this.#hasUnreceivedPortItems();
  }

  setParked(isParked: boolean): void {
    this.#consumer.setParked(isParked);
  }

  deliverArrivals(scratch: RingScratch): void {
    const handler = this.#frameHandler;
    if (handler === undefined) return;
    const end = this.#consumer.readInto(scratch);
    let offset = 0;
    while (offset < end) {
      if (this.#closeReason !== undefined) return;
      if (scratch.recordSequence(offset) !== this.#receiveSequence) {
        if (!this.#deliverPortItem(handler)) {
          this.#finish("invalid");
          return;
        }
        continue;
      }
      const byteLength = scratch.recordLength(offset);
      this.#receiveSequence = (this.#receiveSequence + 1) | 0;
      deliverFrame(handler, scratch.recordBytes(offset, byteLength), false);
      offset = scratch.nextRecord(offset, byteLength);
    }
    // One item at most, so that this pass ends even when the sender is faster than this thread.
    if (this.#portItems.length > 0 || this.#hasUnreceivedPortItems()) this.#deliverPortItem(handler);
    if (this.#isPortClosed) this.#finishIfDrained();
  }

  #sendThroughPort(parts: readonly Uint8Array[], byteLength: number): void {
    if (byteLength > RING_FRAME_BYTES_MAX) {
      this.#postRun();
      const memory = new ArrayBuffer(byteLength);
      const bytes = new Uint8Array(memory);
      let position = 0;
      for (const part of parts) {
        bytes.set(part, position);
        position += part.byteLength;
      }
      this.#post({ kind: "frame", firstSequence: this.#sendSequence, byteLength, memory });
    } else {
      if (this.#run === undefined) {
        this.#run = new FrameRun(this.#sendSequence);
        channelsWithRun.add(this.#postRun);
        afterThis(this.#postRun);
      }
      this.#run.append(parts, byteLength);
    }
    this.#sendSequence = (this.#sendSequence + 1) | 0;
    if (this.#run !== undefined && this.#run.byteLength >= RUN_BYTES_MAX) this.#postRun();
  }

  #dropRun(): void {
    this.#run = undefined;
    channelsWithRun.delete(this.#postRun);
  }

  #post(item: PortItem): void {
    this.#port.postMessage(item, [item.memory]);
    this.#producer.announcePortItem();
  }

  #hasUnreceivedPortItems(): boolean {
    // An item is posted before it is counted, so for a moment more may have been received than sent.
    return !this.#isPortClosed && ((this.#consumer.portItemsSent() - this.#portItemsReceived) | 0) > 0;
  }

  #takePortMessage(message: PortMessage): void {
    if (message === WAKE_UP) return;
    this.#portItemsReceived = (this.#portItemsReceived + 1) | 0;
    this.#portItems.push(message);
  }

  /** Delivers the next item of the port if it is the next in sequence. */
  #deliverPortItem(handler: FrameHandler): boolean {
    while (this.#portItems.length === 0) {
      const received = this.#isPortClosed ? undefined : receiveMessageOnPort(this.#port);
      if (received === undefined) return false;
      this.#takePortMessage(received.message as PortMessage);
    }
    if (this.#portItems.peek()?.firstSequence !== this.#receiveSequence) return false;
    const item = this.#portItems.shift() as PortItem;
    if (item.kind === "frame") {
      this.#receiveSequence = (this.#receiveSequence + 1) | 0;
      deliverFrame(handler, new Uint8Array(item.memory, 0, item.byteLength), true);
    } else {
      walkRun(item, (frame) => {
        this.#receiveSequence = (this.#receiveSequence + 1) | 0;
        deliverFrame(handler, frame, false);
        return this.#closeReason === undefined;
      });
    }
    return true;
  }

  #finishIfDrained(): void {
    if (!this.#isPortClosed || this.#closeReason !== undefined) return;
    // Without a handler frames may still be wanted: the end is told when there is one.
    if (this.#consumer.hasRecords() || this.#portItems.length > 0) return;
    this.#finish(this.#consumer.isProducerClosed() ? "peer" : "lost");
  }

  #finish(reason: ChannelCloseReason): void {
    this.unref();
    this.#closeReason = reason;
    this.#poller.unregister(this);
    this.#portItems = new Deque();
    this.#dropRun();
    if (!this.#isPortClosed) {
      this.#producer.markClosed();
      this.#port.close();
    }
    const handler = this.#closeHandler;
    if (handler !== undefined) queueMicrotask(() => handler(reason));
  }
}
