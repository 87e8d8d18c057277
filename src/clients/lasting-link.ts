import type { Clock, Timer } from "../base/mod.ts";
import { type ChannelCloseReason, SentMessages } from "../transport/mod.ts";
import type { MessageLink } from "./node-link.ts";

/** What was received is acknowledged together, so often at most. */
const ACKNOWLEDGE_MS = 50;

/** Counts the messages of its link, itself and those of a greeting aside. */
export interface Received {
  readonly type: "received";
  readonly number: number;
}

interface Typed {
  readonly type: string;
}

/**
 * Messages of one type each way, over one connection after the other: when one breaks, what the other side has not had is sent again over
 * the next. Whoever has connections hands in what comes over each of them (`arrived`, `closed`), and brings the next (`resume`).
 */
export class LastingLink<Outgoing extends Typed, Incoming extends Typed> {
  readonly #clock: Clock;
  readonly #sent = new SentMessages<Outgoing>();
  #connection: MessageLink<Outgoing | Received, Incoming | Received> | null;
  #received: number;
  #acknowledgeTimer: Timer | null = null;
  #onMessage: (message: Incoming) => void = () => undefined;
  #onBroken: (reason: ChannelCloseReason) => void = () => undefined;

  /** `received`: messages that were read before. */
  constructor(clock: Clock, connection: MessageLink<Outgoing | Received, Incoming | Received>, received: number) {
    this.#clock = clock;
    this.#connection = connection;
    this.#received = received;
  }

  /** For the other side, when there is another connection. */
  get received(): number {
    return this.#received;
  }

  get isBroken(): boolean {
    return this.#connection === null;
  }

  onMessage(handler: (message: Incoming) => void): void {
    this.#onMessage = handler;
  }

  /** Called for each connection that ends, unless this side ends it. */
  onBroken(handler: (reason: ChannelCloseReason) => void): void {
    this.#onBroken = handler;
  }

  send(message: Outgoing): void {
    this.#sent.push(message);
    this.#connection?.send(message);
  }

  /** As for a MessageLink. */
  sendSoon(message: Outgoing): void {
    this.#sent.push(message);
    this.#connection?.sendSoon(message);
  }

  arrived(connection: object, message: Incoming | Received): void {
    if (connection !== this.#connection) return;
    if (isReceived(message)) return this.#sent.acknowledged(message.number);
    this.#received++;
    this.#acknowledgeTimer ??= this.#clock.after(ACKNOWLEDGE_MS, () => {
      this.#acknowledgeTimer = null;
      this.#connection?.send({ type: "received", number: this.#received });
    });
    this.#onMessage(message);
  }

  closed(connection: object, reason: ChannelCloseReason): void {
    if (connection !== this.#connection) return;
    this.#connection = null;
    this.#onBroken(reason);
  }

  /** `received`: what the other side has had. An earlier connection may be open still, if only this side does not know better. */
  resume(connection: MessageLink<Outgoing | Received, Incoming | Received>, received: number): void {
    const earlier = this.#connection;
    this.#connection = connection;
    earlier?.close();
    this.#sent.acknowledged(received);
    for (const [, message] of this.#sent.unacknowledged()) connection.sendSoon(message);
  }

  close(): void {
    this.#acknowledgeTimer?.cancel();
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
  }
}

function isReceived(message: Typed): message is Received {
  return message.type === "received";
}
