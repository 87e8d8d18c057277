import type { Clock, Timer } from "../base/mod.ts";
import { FRAME_CONNECTION } from "../protocol/mod.ts";
import type { Channel, ChannelCloseReason, CloseHandler, FrameHandler } from "./channel.ts";
import { FrameDelivery } from "./frame-delivery.ts";
import { checkFrameBytes } from "./frame-parser.ts";
import { connectSocket } from "./lazy-sockets.ts";
import { SentMessages } from "./message-session.ts";
import type { SocketAddress, SocketOptions } from "./socket-channel.ts";
import { TransportError } from "./transport-error.ts";

/** What was received is acknowledged together, so often at most, or after so many bytes. */
const ACKNOWLEDGE_MS = 50;
const ACKNOWLEDGE_BYTES = 1024 * 1024;
/** Between attempts to connect again; each waits twice as long as the one before. */
const CONNECT_AGAIN_MS_MIN = 10;
const CONNECT_AGAIN_MS_MAX = 500;
/** After so long without reaching the other side's machine the channel is lost. A worker that is busy has been reached. */
const UNREACHABLE_MS_MAX = 30_000;
/** How long the answer to a greeting may take, once both sides have proven themselves. */
const GREETING_MS_MAX = 10_000;

/**
 * A channel that outlives its connections: both sides keep what they have sent until it is acknowledged. When a connection breaks, the
 * side that opened it opens another:
 *
 * ```
 *   connecting side                                       listening side
 *     FIRST or AGAIN   session, frames received  ─────▶
 *                        ◀─────  RECEIVED   frames received, and what this side has not had
 *     what that side has not had                 ─────▶
 * ```
 *
 * Over a first connection frames follow FIRST at once. A session that is unknown there has ended, unless nothing was ever heard of it. The
 * listening side waits as long as it takes: the other one gives up, or has ended or closed meanwhile, which its node says (`peerEnded`).
 */
const FIRST = 1;
const AGAIN = 2;
const RECEIVED = 3;

/** FRAME_CONNECTION, kind, session, number. */
const CONNECTION_FRAME_BYTES = 18;
/** Before a frame of its users that begins as those of connections do. */
const ESCAPE = Uint8Array.of(FRAME_CONNECTION, 0);

interface Opener {
  readonly session: number;
  /** Once more; `reached`: the other side's machine has answered. @throws TransportError */
  connect(reached: () => void): Promise<Channel>;
}

/** Those of this thread that it has opened. */
let sessionsOpened = 0;

/** Opens a channel to a listener whose channels go through `LastingChannels`. Throws TransportError. */
export function connectLasting(where: SocketAddress, options: SocketOptions, clock: Clock): Promise<Channel> {
  return openLasting(clock, (reached) => connectSocket(where, { ...options, onConnected: reached }));
}

export async function openLasting(clock: Clock, connect: (reached: () => void) => Promise<Channel>): Promise<Channel> {
  const connection = await connect(() => undefined);
  const channel = new LastingChannel(connection.peerId, clock, { session: ++sessionsOpened, connect }, () => undefined);
  channel.begin(connection);
  return channel;
}

/** The listening side: connections become channels, or go on with those that are there. */
export class LastingChannels {
  readonly #clock: Clock;
  readonly #onChannel: (channel: Channel) => void;
  readonly #channels = new Map<string, LastingChannel>();

  constructor(clock: Clock, onChannel: (channel: Channel) => void) {
    this.#clock = clock;
    this.#onChannel = onChannel;
  }

  accept(connection: Channel): void {
    let channel: LastingChannel | null = null;
    connection.onFrame((frame, owned) => {
      if (channel === null) channel = this.#greeted(connection, frame);
      else channel.arrived(connection, frame, owned);
    });
    connection.onClose((reason) => channel?.connectionClosed(connection, reason));
  }

  #greeted(connection: Channel, frame: Uint8Array): LastingChannel | null {
    const greeting = connectionFrameIn(frame);
    if (greeting === null || greeting.kind === RECEIVED) {
      connection.close();
      return null;
    }
    const key = `${connection.peerId} ${greeting.session}`;
    const known = this.#channels.get(key);
    const channel = known ?? (greeting.kind === FIRST ? new LastingChannel(connection.peerId, this.#clock, null, () => this.#channels.delete(key)) : null);
    if (channel === null) {
      connection.close();
      return null;
    }
    this.#channels.set(key, channel);
    connection.send(connectionFrame(RECEIVED, greeting.session, channel.received));
    channel.goOn(connection, greeting.number);
    if (known === undefined) this.#onChannel(channel);
    return channel;
  }
}

class LastingChannel implements Channel {
  readonly peerId: string;
  /** Frames, those of connections aside. */
  received = 0;
  readonly #clock: Clock;
  /** Null on the listening side. */
  readonly #opener: Opener | null;
  readonly #onEnded: () => void;
  readonly #delivery = new FrameDelivery();
  readonly #sent = new SentMessages<Uint8Array>();
  #connection: Channel | null = null;
  /** It has greeted, and waits for the answer; `answered`: null when it goes on. */
  #coming: { readonly connection: Channel; answered(end: ChannelCloseReason | null): void } | null = null;
  /** The other side knows of this session. */
  #isKnown = false;
  #isPeerEnded = false;
  #isReferenced = false;
  #unacknowledgedBytes = 0;
  #acknowledgeTimer: Timer | null = null;

  constructor(peerId: string, clock: Clock, opener: Opener | null, onEnded: () => void) {
    this.peerId = peerId;
    this.#clock = clock;
    this.#opener = opener;
    this.#onEnded = onEnded;
  }

  get isClosed(): boolean {
    return this.#delivery.closeReason !== undefined;
  }

  get hasUndelivered(): boolean {
    return this.#sent.oldest !== null;
  }

  // ------------------------------------------------------------------ what goes

  send(frame: Uint8Array): boolean {
    if (this.isClosed) return false;
    if (frame[0] === FRAME_CONNECTION) return this.sendParts([frame]);
    checkFrameBytes(frame.byteLength);
    const kept = Buffer.allocUnsafe(frame.byteLength);
    kept.set(frame);
    return this.#send(kept);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.isClosed) return false;
    if (firstByteOf(parts) === FRAME_CONNECTION) parts = [ESCAPE, ...parts];
    let byteLength = 0;
    for (const part of parts) byteLength += part.byteLength;
    checkFrameBytes(byteLength);
    const kept = Buffer.allocUnsafe(byteLength);
    let position = 0;
    for (const part of parts) {
      kept.set(part, position);
      position += part.byteLength;
    }
    return this.#send(kept);
  }

  #send(kept: Uint8Array): boolean {
    this.#sent.push(kept);
    this.#connection?.send(kept);
    return true;
  }

  flush(): boolean {
    return this.#connection?.flush() ?? false;
  }

  #acknowledge(): void {
    this.#acknowledgeTimer?.cancel();
    this.#acknowledgeTimer = null;
    this.#unacknowledgedBytes = 0;
    this.#connection?.send(connectionFrame(RECEIVED, 0, this.received));
  }

  // ------------------------------------------------------------------ what comes

  onFrame(handler: FrameHandler): void {
    this.#delivery.onFrame(handler);
  }

  onClose(handler: CloseHandler): void {
    this.#delivery.onClose(handler);
  }

  arrived(connection: Channel, frame: Uint8Array, owned: boolean): void {
    if (connection === this.#coming?.connection) return this.#answered(connection, frame);
    if (connection !== this.#connection) return;
    this.#isKnown = true;
    if (frame[0] === FRAME_CONNECTION) {
      const word = connectionFrameIn(frame);
      if (word !== null) return this.#sent.acknowledged(word.number);
      frame = frame.subarray(ESCAPE.byteLength);
    }
    this.received++;
    this.#unacknowledgedBytes += frame.byteLength;
    if (this.#unacknowledgedBytes >= ACKNOWLEDGE_BYTES) this.#acknowledge();
    else this.#acknowledgeTimer ??= this.#clock.after(ACKNOWLEDGE_MS, () => this.#acknowledge());
    this.#delivery.push(frame, owned);
  }

  // ------------------------------------------------------------------ connections

  /** The first one of the side that opens them. */
  begin(connection: Channel): void {
    this.#greet(connection);
    this.#use(connection);
  }

  #greet(connection: Channel): void {
    connection.onFrame((frame, owned) => this.arrived(connection, frame, owned));
    connection.onClose((reason) => this.connectionClosed(connection, reason));
    connection.send(connectionFrame(this.#isKnown ? AGAIN : FIRST, (this.#opener as Opener).session, this.received));
  }

  #use(connection: Channel): void {
    // An earlier one may be open still, if only this side does not know better.
    const earlier = this.#connection;
    this.#connection = connection;
    earlier?.close();
    if (this.#isReferenced) connection.ref();
  }

  #answered(connection: Channel, frame: Uint8Array): void {
    const word = connectionFrameIn(frame);
    if (word === null) return connection.close();
    this.#isKnown = true;
    const coming = this.#coming;
    this.#coming = null;
    this.goOn(connection, word.number);
    coming?.answered(null);
  }

  /** Over another connection; `received`: what the other side has had. */
  goOn(connection: Channel, received: number): void {
    this.#use(connection);
    this.#sent.acknowledged(received);
    for (const [, frame] of this.#sent.unacknowledged()) connection.send(frame);
  }

  connectionClosed(connection: Channel, reason: ChannelCloseReason): void {
    if (connection === this.#coming?.connection) {
      const { answered } = this.#coming;
      this.#coming = null;
      return answered(reason);
    }
    if (connection !== this.#connection) return;
    this.#connection = null;
    if (reason !== "lost" || this.#isPeerEnded) this.#end(reason);
    else if (this.#opener !== null) void this.#connectAgain(this.#opener);
  }

  async #connectAgain(opener: Opener): Promise<void> {
    let reachedMs = this.#clock.nowMs();
    const reached = (): void => { reachedMs = this.#clock.nowMs(); };
    for (let delayMs = CONNECT_AGAIN_MS_MIN; ; delayMs = Math.min(delayMs * 2, CONNECT_AGAIN_MS_MAX)) {
      const end = await this.#goOnOverAnother(opener, reached);
      if (end === null || this.isClosed) return;
      if (end !== "lost" || this.#clock.nowMs() - reachedMs > UNREACHABLE_MS_MAX) return this.#end("lost");
      await new Promise<void>((resolve) => void this.#clock.after(delayMs, resolve));
      if (this.isClosed) return;
    }
  }

  /** Null when it goes on; "lost" when that may be tried again. */
  async #goOnOverAnother(opener: Opener, reached: () => void): Promise<ChannelCloseReason | null> {
    let connection: Channel;
    try {
      connection = await opener.connect(reached);
    } catch (error) {
      return isSomebodyThere(error as Error) ? "lost" : "invalid";
    }
    if (this.isClosed || connection.peerId !== this.peerId) {
      connection.close();
      return "invalid";
    }
    return new Promise((resolve) => {
      const timer = this.#clock.after(GREETING_MS_MAX, () => {
        if (this.#coming?.connection !== connection) return;
        this.#coming = null;
        connection.close();
        resolve("lost");
      });
      this.#coming = { connection, answered: (end) => { timer.cancel(); resolve(end); } };
      this.#greet(connection);
    });
  }

  peerEnded(): void {
    this.#isPeerEnded = true;
    if (this.#connection === null) this.#end("lost");
  }

  close(): void {
    this.#end("local");
  }

  #end(reason: ChannelCloseReason): void {
    if (this.isClosed) return;
    this.#acknowledgeTimer?.cancel();
    const connections = [this.#connection, this.#coming?.connection];
    this.#connection = null;
    this.#delivery.close(reason);
    for (const connection of connections) connection?.close();
    this.#onEnded();
  }

  ref(): void {
    this.#isReferenced = true;
    this.#connection?.ref();
  }

  unref(): void {
    this.#isReferenced = false;
    this.#connection?.unref();
  }
}

/** False when the port is closed, or another's now. */
function isSomebodyThere(error: Error): boolean {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return error instanceof TransportError && error.code !== "ERR_MANTARAY_PEER_TOKEN" && error.code !== "ERR_MANTARAY_PEER_VERSION" && code !== "ECONNREFUSED";
}

function firstByteOf(parts: readonly Uint8Array[]): number | undefined {
  return parts.find(({ byteLength }) => byteLength > 0)?.[0];
}

function connectionFrame(kind: number, session: number, number: number): Uint8Array {
  const frame = new DataView(new ArrayBuffer(CONNECTION_FRAME_BYTES));
  frame.setUint8(0, FRAME_CONNECTION);
  frame.setUint8(1, kind);
  frame.setFloat64(2, session);
  frame.setFloat64(10, number);
  return new Uint8Array(frame.buffer);
}

function connectionFrameIn(bytes: Uint8Array): { readonly kind: number; readonly session: number; readonly number: number } | null {
  if (bytes.byteLength !== CONNECTION_FRAME_BYTES || bytes[0] !== FRAME_CONNECTION || bytes[1] === ESCAPE[1]) return null;
  const frame = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { kind: frame.getUint8(1), session: frame.getFloat64(2), number: frame.getFloat64(10) };
}
