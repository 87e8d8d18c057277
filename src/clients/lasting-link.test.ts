import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../base/mod.ts";
import { LastingLink, type Received } from "./lasting-link.ts";
import type { MessageLink } from "./node-link.ts";

interface Message {
  readonly type: "message";
  readonly value: number;
}
type Sent = Message | Received;

/** Timers go off when they are told to. */
class StoppedClock implements Clock {
  #due: (() => void)[] = [];
  nowMs(): number { return 0; }
  after(_delayMs: number, callback: () => void): { cancel(): void } {
    this.#due.push(callback);
    return { cancel: () => { this.#due = this.#due.filter((one) => one !== callback); } };
  }
  goOff(): void {
    for (const callback of this.#due.splice(0)) callback();
  }
}

/** One end of a connection: what it sends is on its way until the test lets it arrive, and lost if the connection breaks before. */
function connection(): { readonly link: MessageLink<Sent, Sent>; readonly onTheirWay: Sent[] } {
  const onTheirWay: Sent[] = [];
  const nothing = (): void => undefined;
  const send = (message: Sent): void => void onTheirWay.push(message);
  return { onTheirWay, link: { send, sendSoon: send, onMessage: nothing, onClose: nothing, flush: () => true, close: nothing, ref: nothing, unref: nothing } };
}

/** Two sides, and what each has read. */
class Pair {
  readonly clock = new StoppedClock();
  readonly read: [number[], number[]] = [[], []];
  #ends = [connection(), connection()] as const;
  readonly links = this.#ends.map(({ link }) => new LastingLink<Message, Message>(this.clock, link, 0)) as [LastingLink<Message, Message>, LastingLink<Message, Message>];

  constructor() {
    this.links.forEach((link, side) => link.onMessage(({ value }) => this.read[side as 0 | 1].push(value)));
  }

  arrive(to: 0 | 1): void {
    const message = this.#ends[1 - to as 0 | 1].onTheirWay.shift();
    if (message !== undefined) this.links[to].arrived(this.#ends[to].link, message);
  }

  /** Perhaps before one side has noticed that the last connection is gone. */
  connectAgain(noticed: 0 | 1): void {
    this.links[noticed].closed(this.#ends[noticed].link, "lost");
    const received = this.links.map((link) => link.received) as [number, number];
    this.#ends = [connection(), connection()];
    this.links.forEach((link, side) => link.resume(this.#ends[side as 0 | 1].link, received[1 - side as 0 | 1]));
  }

  settle(): void {
    this.clock.goOff();
    for (const to of [0, 1] as const) while (this.#ends[1 - to as 0 | 1].onTheirWay.length > 0) this.arrive(to);
  }
}

describe("a link that lasts", () => {
  test("is told when its connection ends, and keeps what is sent until there is another", () => {
    const pair = new Pair();
    const broken: string[] = [];
    pair.links[0].onBroken((reason) => broken.push(reason));
    const stranger = connection();
    pair.links[0].closed(stranger.link, "lost");
    assert.deepEqual(broken, [], "it was not its connection");
    pair.connectAgain(0);
    assert.deepEqual(broken, ["lost"]);
    pair.links[0].send({ type: "message", value: 1 });
    pair.links[1].arrived(stranger.link, { type: "message", value: 2 });
    pair.settle();
    assert.deepEqual(pair.read, [[], [1]]);
  });

  test("delivers each message once and in order, wherever connections break", () => {
    const side = fc.constantFrom<0 | 1>(0, 1);
    const step = fc.oneof(fc.record({ send: side }), fc.record({ arrive: side }), fc.record({ again: side }), fc.constant({ acknowledge: true }));
    fc.assert(fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const pair = new Pair();
      const sent: [number[], number[]] = [[], []];
      for (const [value, one] of steps.entries()) {
        if ("send" in one) {
          pair.links[one.send].send({ type: "message", value });
          sent[one.send].push(value);
        } else if ("arrive" in one) pair.arrive(one.arrive);
        else if ("again" in one) pair.connectAgain(one.again);
        else pair.clock.goOff();
      }
      pair.settle();
      assert.deepEqual(pair.read, [sent[1], sent[0]]);
    }));
  });
});
