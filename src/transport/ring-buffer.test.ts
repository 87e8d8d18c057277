import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createRingMemory, RingConsumer, RingProducer, RingScratch } from "./ring-buffer.ts";

function readRecords(consumer: RingConsumer, scratch: RingScratch): { sequence: number; bytes: number[] }[] {
  const records = [];
  const end = consumer.readInto(scratch);
  for (let offset = 0; offset < end; ) {
    const byteLength = scratch.recordLength(offset);
    records.push({ sequence: scratch.recordSequence(offset), bytes: [...scratch.recordBytes(offset, byteLength)] });
    offset = scratch.nextRecord(offset, byteLength);
  }
  return records;
}

/** Where positions overflow: 32 bits with sign, and without. */
const startPosition = fc.constantFrom(0, 2 ** 31 - 512, -512, 1024 - 8);
const step = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), frame: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ kind: fc.constant("writeParts" as const), parts: fc.array(fc.uint8Array({ maxLength: 120 }), { maxLength: 4 }) }),
  fc.record({ kind: fc.constant("read" as const) }),
);

test("the ring behaves like a queue with a limited number of bytes", () => {
  const capacity = 1024;
  fc.assert(
    fc.property(startPosition, fc.array(step, { maxLength: 200 }), (start, steps) => {
      const memory = createRingMemory(capacity, start | 0);
      const producer = new RingProducer(memory);
      const consumer = new RingConsumer(memory);
      const scratch = new RingScratch(capacity);
      let queue: { sequence: number; bytes: number[] }[] = [];
      let usedBytes = 0;
      steps.forEach((action, sequence) => {
        if (action.kind === "read") {
          assert.equal(consumer.hasRecords(), queue.length > 0);
          assert.deepEqual(readRecords(consumer, scratch), queue);
          queue = [];
          usedBytes = 0;
          return;
        }
        const bytes = action.kind === "write" ? [...action.frame] : action.parts.flatMap((part) => [...part]);
        const recordBytes = 8 + Math.ceil(bytes.length / 4) * 4;
        const isWritten = action.kind === "write" ? producer.tryWrite(action.frame, sequence) : producer.tryWriteParts(action.parts, bytes.length, sequence);
        assert.equal(isWritten, usedBytes + recordBytes <= capacity);
        if (!isWritten) return;
        usedBytes += recordBytes;
        queue.push({ sequence, bytes });
      });
      assert.deepEqual(readRecords(consumer, scratch), queue);
    }),
    { numRuns: 300 },
  );
});

test("a parked consumer is to be woken once, and a new one counts as parked", () => {
  const memory = createRingMemory(64);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  assert.deepEqual([producer.mustWakeConsumer(), producer.mustWakeConsumer()], [true, false]);
  consumer.setParked(true);
  assert.deepEqual([producer.mustWakeConsumer(), producer.mustWakeConsumer()], [true, false]);
  consumer.setParked(true);
  consumer.setParked(false);
  assert.equal(producer.mustWakeConsumer(), false);
});

test("port items and the orderly end are seen by the consumer", () => {
  const memory = createRingMemory(64);
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  assert.deepEqual([consumer.portItemsSent(), consumer.isProducerClosed()], [0, false]);
  producer.announcePortItem();
  producer.announcePortItem();
  producer.markClosed();
  assert.deepEqual([consumer.portItemsSent(), consumer.isProducerClosed()], [2, true]);
});
