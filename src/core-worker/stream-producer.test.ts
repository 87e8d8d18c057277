import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { StreamProducer } from "./stream-producer.ts";

describe("StreamProducer", () => {
  test("without a limit it always has room", () => {
    const producer = new StreamProducer(null);
    for (let value = 0; value < 10_000; value++) {
      assert.equal(producer.hasRoom, true);
      assert.equal(producer.yielded(), true);
    }
  });

  test("has room while fewer than the limit are unconsumed, whatever is told twice or late", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 10 }), fc.array(fc.record({ isYield: fc.boolean(), consumed: fc.nat(40) }), { maxLength: 100 }), (unconsumedMax, steps) => {
      const producer = new StreamProducer(unconsumedMax);
      let yielded = 0;
      let consumed = 0;
      for (const step of steps) {
        if (step.isYield && producer.hasRoom) {
          producer.yielded();
          yielded++;
        } else {
          const told = Math.min(step.consumed, yielded);
          producer.consumed(told);
          consumed = Math.max(consumed, told);
        }
        assert.equal(producer.hasRoom, yielded - consumed < unconsumedMax);
      }
    }));
  });

  test("a second run sends only what its owner has not got, and pauses where the first one would", () => {
    const producer = new StreamProducer(3, 5, 4);
    const sent: number[] = [];
    let value = 0;
    for (; producer.hasRoom; value++) if (producer.yielded()) sent.push(value);
    assert.equal(value, 7);
    assert.deepEqual(sent, [5, 6]);
  });

  test("calls back once, when there is room", () => {
    const producer = new StreamProducer(2);
    producer.yielded();
    producer.yielded();
    let calls = 0;
    producer.whenRoom(() => calls++);
    producer.consumed(0);
    assert.equal(calls, 0);
    producer.consumed(1);
    producer.consumed(2);
    assert.equal(calls, 1);
  });

  test("one that is closed does not wait for room, also when it is told so in a pause", () => {
    const producer = new StreamProducer(1);
    producer.yielded();
    assert.equal(producer.hasRoom, false);
    let calls = 0;
    producer.whenRoom(() => calls++);
    producer.close();
    producer.close();
    assert.deepEqual([calls, producer.hasRoom, producer.isClosed], [1, true, true]);
    assert.equal(new StreamProducer(1, 0, 0, true).isClosed, true);
  });
});
