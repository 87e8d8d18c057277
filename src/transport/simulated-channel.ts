import { Deque } from "../base/mod.ts";
import type { Clock, RandomSource } from "../base/mod.ts";
import type { Channel, ChannelCloseReason, CloseHandler, FrameHandler } from "./channel.ts";
import { FrameDelivery } from "./frame-delivery.ts";

export interface SimulatedLinkOptions {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly delayMsMin: number;
  readonly delayMsMax: number;
  readonly peerIds: readonly [string, string];
}
export interface SimulatedLink {
  readonly ends: readonly [Channel, Channel];
  /** The connection breaks now: what is on its way does not arrive, and both ends are lost. */
  cut(): void;
}

/** Two channels in one thread whose delays come from a random source and pass on a clock that are handed in. */
export function createSimulatedLink(options: SimulatedLinkOptions): SimulatedLink {
  const [firstId, secondId] = options.peerIds;
  const first = new SimulatedChannel(secondId, options);
  const second = new SimulatedChannel(firstId, options);
  first.connect(second);
  second.connect(first);
  return {
    ends: [first, second],
    cut: () => {
      first.lose();
      second.lose();
    },
  };
}

/** One end of a connection that is simulated: how a frame gets to the other end is for who makes it. */
export abstract class SimulatedEnd implements Channel {
  readonly peerId: string;
  readonly #delivery = new FrameDelivery();

  constructor(peerId: string) {
    this.peerId = peerId;
  }

  /** To the other end: where it arrives, `arrived` is called there. */
  protected abstract carry(frame: Uint8Array): void;
  /** After all frames. The other end is `ended` then. */
  protected abstract carryClose(): void;

  get isClosed(): boolean {
    return this.#delivery.closeReason !== undefined;
  }

  send(frame: Uint8Array): boolean {
    return this.sendParts([frame]);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.isClosed) return false;
    this.carry(new Uint8Array(Buffer.concat(parts)));
    return true;
  }

  flush(): boolean {
    return !this.isClosed;
  }

  onFrame(handler: FrameHandler): void {
    this.#delivery.onFrame(handler);
  }

  onClose(handler: CloseHandler): void {
    this.#delivery.onClose(handler);
  }

  close(): void {
    if (this.isClosed) return;
    this.carryClose();
    this.ended("local");
  }

  arrived(frame: Uint8Array): void {
    this.#delivery.push(frame, true);
  }

  ended(reason: ChannelCloseReason): void {
    this.#delivery.close(reason);
  }

  ref(): void {}
  unref(): void {}
}

class SimulatedChannel extends SimulatedEnd {
  readonly #options: SimulatedLinkOptions;
  #other: SimulatedChannel | undefined;
  /** No frame overtakes another: each arrives at the earliest when the one before does. */
  #lastArrivalMs = 0;
  #onItsWay = new Deque<() => void>();

  constructor(peerId: string, options: SimulatedLinkOptions) {
    super(peerId);
    this.#options = options;
  }

  connect(other: SimulatedChannel): void {
    this.#other = other;
  }

  lose(): void {
    this.#onItsWay = new Deque();
    this.ended("lost");
  }

  protected carry(frame: Uint8Array): void {
    this.#travel((other) => other.arrived(frame));
  }

  protected carryClose(): void {
    this.#travel((other) => other.ended("peer"));
  }

  #travel(arrive: (other: SimulatedChannel) => void): void {
    const other = this.#other as SimulatedChannel;
    const { clock, random, delayMsMin, delayMsMax } = this.#options;
    const nowMs = clock.nowMs();
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + delayMsMin + random.below(delayMsMax - delayMsMin + 1));
    this.#onItsWay.push(() => arrive(other));
    // Whichever timer fires first takes the oldest, so that equal times keep the order whatever the clock does.
    clock.after(this.#lastArrivalMs - nowMs, () => this.#onItsWay.shift()?.());
  }
}
