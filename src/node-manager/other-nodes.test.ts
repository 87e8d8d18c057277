import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Clock, RandomSource, Timer } from "../base/mod.ts";
import { openMessageLink } from "../clients/mod.ts";
import type { NodeRecord, NodeToNode } from "../protocol/mod.ts";
import { createSimulatedLink } from "../transport/mod.ts";
import { OtherNodes } from "./other-nodes.ts";

/** Timers go off in their order; promises are settled between them. */
class TestClock implements Clock {
  #timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  #nowMs = 0;
  nowMs(): number {
    return this.#nowMs;
  }
  after(delayMs: number, callback: () => void): Timer {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => { this.#timers = this.#timers.filter((other) => other !== timer); } };
  }
  async advance(milliseconds: number): Promise<void> {
    const untilMs = this.#nowMs + milliseconds;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      this.#timers.sort((a, b) => a.atMs - b.atMs);
      const next = this.#timers[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers.shift();
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = untilMs;
  }
}

const A = "aaaaaaaa";
const B = "bbbbbbbb";
const recordOf = (key: string): NodeRecord => ({ nodeId: `${key}00000000`, name: null, hostname: "h", pid: 1, address: { host: "h", port: 1 }, objectAddress: null, totals: {}, labels: {} });
const numbered = (surveyId: number): NodeToNode => ({ type: "surveyed", surveyId, answer: null });

class Pair {
  readonly clock = new TestClock();
  readonly received: number[] = [];
  readonly unreachable: string[] = [];
  connects = 0;
  /** While there is no way from A to B. */
  isCut = false;
  /** B reads nothing, and says so to nobody. */
  isSilent = false;
  #cuts: (() => void)[] = [];
  readonly a: OtherNodes;
  readonly b: OtherNodes;
  readonly #random: RandomSource;

  constructor(seed = 1, isAKnown = true) {
    let state = seed;
    const next = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    this.#random = { below: (limit) => Math.floor(next() * limit), hex: () => "0" };
    this.b = this.#side((message) => { if (message.type === "surveyed") this.received.push(message.surveyId); });
    this.a = this.#side(() => undefined);
    this.a.joined(recordOf(B));
    if (isAKnown) this.b.joined(recordOf(A));
  }

  #side(onMessage: (message: NodeToNode) => void): OtherNodes {
    return new OtherNodes({
      clock: this.clock, askerOf: () => null, unreachable: (node) => void this.unreachable.push(node), onMessage: (_key, message) => onMessage(message),
      connect: () => {
        this.connects++;
        if (this.isCut) return Promise.reject(new Error("there is no way"));
        const { ends: [ours, theirs], cut } = createSimulatedLink({ clock: this.clock, random: this.#random, delayMsMin: 1, delayMsMax: 20, peerIds: [A, B] });
        this.#cuts.push(cut);
        if (!this.isSilent) this.b.accept(A, openMessageLink(theirs));
        return Promise.resolve(openMessageLink(ours));
      },
    });
  }

  cut(): void {
    for (const cut of this.#cuts.splice(0)) cut();
  }
}

describe("the links between nodes", () => {
  test("what comes of a node before the head has told of it is taken then, once and in order: an answer would have nowhere to go", async () => {
    const pair = new Pair(1, false);
    for (const number of [1, 2, 3]) pair.a.send(B, numbered(number));
    await pair.clock.advance(500);
    assert.deepEqual(pair.received, []);
    pair.b.joined(recordOf(A));
    pair.a.send(B, numbered(4));
    await pair.clock.advance(1_000);
    assert.deepEqual(pair.received, [1, 2, 3, 4]);
  });

  test("whatever breaks, each message arrives once, in its order", async () => {
    await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), fc.array(fc.oneof(fc.record({ type: fc.constant("send" as const), count: fc.integer({ min: 1, max: 5 }) }), fc.record({ type: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 60 }) }), fc.record({ type: fc.constant("cut" as const) })), { maxLength: 30 }), async (seed, steps) => {
      const pair = new Pair(seed);
      let sent = 0;
      for (const step of steps) {
        if (step.type === "send") for (let count = 0; count < step.count; count++) pair.a.send(B, numbered(++sent));
        else if (step.type === "wait") await pair.clock.advance(step.ms);
        else pair.cut();
      }
      await pair.clock.advance(20_000);
      assert.deepEqual(pair.received, Array.from({ length: sent }, (_, index) => index + 1));
      assert.deepEqual(pair.unreachable, []);
    }), { numRuns: 60 });
  });

  test("a link on which nothing is acknowledged is given up for another one", async () => {
    const pair = new Pair();
    pair.isSilent = true;
    pair.a.send(B, numbered(1));
    await pair.clock.advance(1_000);
    pair.isSilent = false;
    await pair.clock.advance(20_000);
    assert.deepEqual([pair.received, pair.connects], [[1], 2]);
  });

  test("an idle link that breaks is not opened again before something is to be sent", async () => {
    const pair = new Pair();
    pair.a.send(B, numbered(1));
    await pair.clock.advance(1_000);
    pair.cut();
    await pair.clock.advance(10_000);
    assert.equal(pair.connects, 1);
    pair.a.send(B, numbered(2));
    await pair.clock.advance(1_000);
    assert.deepEqual(pair.received, [1, 2]);
  });

  test("a node that cannot be reached for a while is told of; nothing is lost if it can after all", async () => {
    const pair = new Pair();
    pair.isCut = true;
    pair.a.send(B, numbered(1));
    await pair.clock.advance(4_000);
    assert.deepEqual(pair.unreachable, []);
    await pair.clock.advance(3_000);
    assert.deepEqual(pair.unreachable, [B]);
    pair.isCut = false;
    await pair.clock.advance(1_000);
    assert.deepEqual(pair.received, [1]);
  });

  test("what a node has sent that is gone is void, also when it comes later than that news", async () => {
    const pair = new Pair();
    pair.a.send(B, numbered(1));
    await pair.clock.advance(1_000);
    pair.a.send(B, numbered(2));
    await pair.clock.advance(0);
    pair.b.lost(A);
    await pair.clock.advance(10_000);
    assert.deepEqual(pair.received, [1]);
    assert.ok(pair.connects > 1, "it was not let in again");
  });

  test("of a node that is lost nothing is tried any more", async () => {
    const pair = new Pair();
    pair.isCut = true;
    pair.a.send(B, numbered(1));
    await pair.clock.advance(100);
    pair.a.lost(B);
    const { connects } = pair;
    await pair.clock.advance(20_000);
    assert.deepEqual([pair.connects, pair.unreachable, pair.a.send(B, numbered(2))], [connects, [], false]);
  });
});
