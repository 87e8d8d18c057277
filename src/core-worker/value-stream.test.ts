import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PeerMessage } from "../protocol/mod.ts";
import { ObjectEntry, systemFailure } from "./object-entry.ts";
import type { ObjectRef } from "./object-ref.ts";
import { RefGenerator, ValueStream, type StreamHost } from "./value-stream.ts";

const TASK = 7;
const FAILURE = systemFailure({ kind: "WorkerCrashedError", message: "its worker is gone", subjectId: null });

/** A stream with everything around it recorded. A ref is its entry here. */
class Consumer {
  readonly told: PeerMessage[] = [];
  readonly dropped: number[] = [];
  readonly pauses: boolean[] = [];
  held = 0;
  blocked = 0;
  readonly stream: ValueStream;
  readonly generator: RefGenerator<number>;

  constructor(unconsumedMax: number | null) {
    let sequence = 100;
    const host: StreamHost = {
      newEntry: (taskSequence) => new ObjectEntry("owner", sequence++, taskSequence),
      refOf: (entry) => entry as unknown as ObjectRef,
      hold: () => { this.held++; return () => { this.held--; }; },
      block: () => { this.blocked++; return () => { this.blocked--; }; },
      dropped: (entry) => { this.dropped.push(entry.content as number); },
      paused: (isPaused) => { this.pauses.push(isPaused); },
    };
    this.stream = new ValueStream(host, new ObjectEntry("owner", TASK, TASK), TASK, unconsumedMax);
    this.stream.sentTo({ sendMessage: (message) => this.told.push(message) > 0 });
    this.generator = new RefGenerator<number>(this.stream);
  }

  arrive(...values: number[]): void {
    for (const value of values) {
      this.stream.nextEntry()?.settlePrimitive(value);
      this.stream.arrived();
    }
  }

  async next(): Promise<unknown> {
    const { done, value } = await this.generator.next();
    return done === true ? "done" : (value as unknown as ObjectEntry).content;
  }

  get counts(): number[] {
    return this.told.map((message) => (message.type === "streamConsumed" ? message.count : -1));
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe("ValueStream", () => {
  test("without a limit tells its producer nothing", async () => {
    const consumer = new Consumer(null);
    consumer.arrive(1, 2, 3);
    for (const value of [1, 2, 3]) assert.equal(await consumer.next(), value);
    await nextTurn();
    assert.deepEqual([consumer.told, consumer.pauses], [[], []]);
  });

  test("tells what was consumed at half of the limit, and the rest once a turn", async () => {
    const consumer = new Consumer(10);
    consumer.arrive(1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    for (let count = 0; count < 8; count++) await consumer.next();
    assert.deepEqual(consumer.counts, [5]);
    await nextTurn();
    assert.deepEqual(consumer.counts, [5, 8]);
    await nextTurn();
    assert.deepEqual(consumer.counts, [5, 8]);
  });

  test("with a limit of one tells each at once", async () => {
    const consumer = new Consumer(1);
    for (const value of [1, 2, 3]) {
      consumer.arrive(value);
      await consumer.next();
    }
    assert.deepEqual(consumer.counts, [1, 2, 3]);
  });

  test("says when its generator is paused, and never leaves it at that", async () => {
    for (const end of ["return", "end", "failure", "consumed"] as const) {
      const consumer = new Consumer(2);
      consumer.arrive(1);
      assert.deepEqual(consumer.pauses, []);
      consumer.arrive(2);
      assert.deepEqual(consumer.pauses, [true]);
      if (end === "return") await consumer.generator.return();
      else if (end === "consumed") await consumer.next();
      else consumer.stream.ended(end === "end" ? null : FAILURE);
      assert.deepEqual(consumer.pauses, [true, false], end);
    }
  });

  test("return() tells the producer once, drops what was not handed out, and takes nothing more", async () => {
    const consumer = new Consumer(null);
    consumer.arrive(1, 2, 3);
    assert.equal(await consumer.next(), 1);
    await consumer.generator.return();
    await consumer.generator.return();
    assert.deepEqual(consumer.told, [{ type: "streamClosed", taskSequence: TASK }]);
    assert.deepEqual(consumer.dropped, [2, 3]);
    assert.equal(consumer.stream.nextEntry(), null);
    assert.equal(await consumer.next(), "done");
    assert.deepEqual([consumer.generator.isFinished(), consumer.generator.isReady()], [true, true]);
  });

  test("return() after the end drops the values and tells nobody", async () => {
    const consumer = new Consumer(null);
    consumer.arrive(1);
    consumer.stream.ended(null);
    await consumer.generator.return();
    assert.deepEqual([consumer.told, consumer.dropped], [[], [1]]);
  });

  test("a next() that waits gives up its slot and keeps the process, until return() or a value answers it", async () => {
    const consumer = new Consumer(null);
    const [first, second, third] = [consumer.next(), consumer.next(), consumer.next()];
    assert.deepEqual([consumer.held, consumer.blocked], [3, 3]);
    consumer.arrive(1);
    assert.equal(await first, 1);
    consumer.arrive(2);
    assert.equal(await second, 2);
    await consumer.generator.return();
    assert.equal(await third, "done");
    assert.deepEqual([consumer.held, consumer.blocked], [0, 0]);
  });

  test("abandoned, it is closed; unless its end was asked for: then all counts as consumed", () => {
    const closed = new Consumer(2);
    closed.arrive(1, 2);
    closed.stream.abandoned();
    assert.deepEqual([closed.told, closed.dropped], [[{ type: "streamClosed", taskSequence: TASK }], [1, 2]]);

    const dropping = new Consumer(2);
    dropping.arrive(1, 2);
    dropping.generator.completed();
    dropping.stream.abandoned();
    assert.deepEqual([dropping.counts, dropping.dropped, dropping.pauses], [[Number.MAX_SAFE_INTEGER], [1, 2], [true, false]]);
    assert.equal(dropping.stream.nextEntry(), null);
  });

  test("a failure comes after the values, as one last ref; only then it is finished", async () => {
    const consumer = new Consumer(null);
    consumer.arrive(1);
    consumer.stream.ended(FAILURE);
    assert.equal(await consumer.next(), 1);
    assert.equal(consumer.generator.isFinished(), false);
    assert.equal(await consumer.next(), FAILURE);
    assert.equal(consumer.generator.isFinished(), true);
    assert.equal(await consumer.next(), "done");
  });

  test("is sent again with all that was received and consumed", async () => {
    const consumer = new Consumer(3);
    consumer.arrive(1, 2, 3);
    await consumer.next();
    const { received, consumed, isClosed, unconsumedMax } = consumer.stream;
    assert.deepEqual({ received, consumed, isClosed, unconsumedMax }, { received: 3, consumed: 1, isClosed: false, unconsumedMax: 3 });
    const told: PeerMessage[] = [];
    consumer.stream.sentTo({ sendMessage: (message) => told.push(message) > 0 });
    await nextTurn();
    assert.deepEqual(told, [], "the frame said it already");
    await consumer.next();
    await nextTurn();
    assert.deepEqual(told, [{ type: "streamConsumed", taskSequence: TASK, count: 2 }]);
  });
});
