import { invariant } from "../base/mod.ts";

/**
 * A byte ring in shared memory with one producer and one consumer. A record is a word with its length, a word with its
 * sequence number, and the bytes, padded to whole words. Positions count bytes modulo 2^32, so their difference is what
 * the ring holds. A record counts as written when the write position passes it, never before: a producer that is
 * terminated in the middle of a write leaves no trace.
 *
 * Atomic loads and stores of a position order the plain accesses to the bytes around them.
 */

/** Measured: 64 KiB costs throughput under load, 1 MiB wins nothing and leaves the CPU's cache. */
export const RING_CAPACITY_BYTES = 256 * 1024;

const WORD_BYTES = 4;
const RECORD_HEADER_BYTES = 2 * WORD_BYTES;
/** The sides must not write to one cache line in turns. 128: processors fetch lines of 64 in pairs. */
const WORDS_PER_LINE = 128 / WORD_BYTES;

/* Written by the producer. */
const WRITE_POSITION = 0;
const PORT_ITEMS_SENT = 1;
const IS_PRODUCER_CLOSED = 2;
/* Written by the consumer. */
const READ_POSITION = WORDS_PER_LINE;
/* Written by both, rarely. */
const IS_CONSUMER_PARKED = 2 * WORDS_PER_LINE;
const HEADER_WORDS = 3 * WORDS_PER_LINE;
const HEADER_BYTES = HEADER_WORDS * WORD_BYTES;

/** Up to here a loop over words beats making two views for `TypedArray.prototype.set`. */
const LOOP_COPY_WORDS_MAX = 48;

/**
 * The consumer of a new ring counts as parked: whatever is sent before it opens its end leaves a wake-up behind.
 * `startPosition`: so that a test need not move gigabytes to see positions overflow.
 */
export function createRingMemory(capacityBytes: number = RING_CAPACITY_BYTES, startPosition = 0): SharedArrayBuffer {
  invariant(capacityBytes >= 64 && (capacityBytes & (capacityBytes - 1)) === 0, `a ring's capacity must be a power of two, not ${capacityBytes}`);
  const memory = new SharedArrayBuffer(HEADER_BYTES + capacityBytes);
  const header = new Int32Array(memory, 0, HEADER_WORDS);
  header[WRITE_POSITION] = header[READ_POSITION] = startPosition;
  header[IS_CONSUMER_PARKED] = 1;
  return memory;
}

export function ringCapacityBytes(memory: SharedArrayBuffer): number {
  return memory.byteLength - HEADER_BYTES;
}

function paddedBytes(byteLength: number): number {
  return (byteLength + WORD_BYTES - 1) & -WORD_BYTES;
}

export class RingProducer {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #capacity: number;
  readonly #mask: number;
  #writePosition: number;
  /** Where the consumer was when last looked at: it may have moved on, which only means more room. */
  #knownReadPosition: number;
  #portItemsSent = 0;

  constructor(memory: SharedArrayBuffer) {
    this.#capacity = ringCapacityBytes(memory);
    this.#mask = this.#capacity - 1;
    this.#header = new Int32Array(memory, 0, HEADER_WORDS);
    this.#words = new Int32Array(memory, HEADER_BYTES, this.#capacity / WORD_BYTES);
    this.#bytes = new Uint8Array(memory, HEADER_BYTES, this.#capacity);
    this.#writePosition = Atomics.load(this.#header, WRITE_POSITION);
    this.#knownReadPosition = Atomics.load(this.#header, READ_POSITION);
  }

  /** False when there is no room now. */
  tryWrite(frame: Uint8Array, sequence: number): boolean {
    const byteLength = frame.byteLength;
    if (!this.#hasRoom(byteLength)) return false;
    const start = this.#begin(byteLength, sequence);
    this.#copyIn(frame, start);
    this.#publish(byteLength);
    return true;
  }

  tryWriteParts(parts: readonly Uint8Array[], byteLength: number, sequence: number): boolean {
    if (!this.#hasRoom(byteLength)) return false;
    let position = this.#begin(byteLength, sequence);
    for (const part of parts) {
      this.#copyIn(part, position);
      position += part.byteLength;
    }
    this.#publish(byteLength);
    return true;
  }

  /** Tells a polling consumer that there is one more item in the message port. To be called after it was posted. */
  announcePortItem(): void {
    this.#portItemsSent = (this.#portItemsSent + 1) | 0;
    Atomics.store(this.#header, PORT_ITEMS_SENT, this.#portItemsSent);
  }

  /** True once per parking of the consumer: then the caller must wake it. To be asked after each write. */
  mustWakeConsumer(): boolean {
    return Atomics.load(this.#header, IS_CONSUMER_PARKED) !== 0 && Atomics.exchange(this.#header, IS_CONSUMER_PARKED, 0) !== 0;
  }

  /** Says that the end that will be seen next is an orderly one. */
  markClosed(): void {
    Atomics.store(this.#header, IS_PRODUCER_CLOSED, 1);
  }

  #hasRoom(byteLength: number): boolean {
    const needed = RECORD_HEADER_BYTES + paddedBytes(byteLength);
    if (((this.#writePosition - this.#knownReadPosition) | 0) + needed <= this.#capacity) return true;
    this.#knownReadPosition = Atomics.load(this.#header, READ_POSITION);
    return ((this.#writePosition - this.#knownReadPosition) | 0) + needed <= this.#capacity;
  }

  #begin(byteLength: number, sequence: number): number {
    const start = this.#writePosition;
    this.#words[(start & this.#mask) >>> 2] = byteLength;
    this.#words[((start + WORD_BYTES) & this.#mask) >>> 2] = sequence;
    return start + RECORD_HEADER_BYTES;
  }

  #copyIn(source: Uint8Array, position: number): void {
    const offset = position & this.#mask;
    const untilEnd = this.#capacity - offset;
    // Measured: a loop over the bytes does not beat `set` at any length, since the memory is shared.
    if (source.byteLength <= untilEnd) {
      this.#bytes.set(source, offset);
    } else {
      this.#bytes.set(source.subarray(0, untilEnd), offset);
      this.#bytes.set(source.subarray(untilEnd), 0);
    }
  }

  #publish(byteLength: number): void {
    this.#writePosition = (this.#writePosition + RECORD_HEADER_BYTES + paddedBytes(byteLength)) | 0;
    Atomics.store(this.#header, WRITE_POSITION, this.#writePosition);
  }
}

/** Local memory that ring content is copied to; one serves all rings of a thread in turn. */
export class RingScratch {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;

  constructor(capacityBytes: number = RING_CAPACITY_BYTES) {
    const memory = new ArrayBuffer(capacityBytes);
    this.words = new Int32Array(memory);
    this.bytes = new Uint8Array(memory);
  }

  recordLength(offset: number): number {
    return this.words[offset >>> 2] as number;
  }

  recordSequence(offset: number): number {
    return this.words[(offset + WORD_BYTES) >>> 2] as number;
  }

  /** A view, valid until the scratch is filled again. */
  recordBytes(offset: number, byteLength: number): Uint8Array {
    return new Uint8Array(this.bytes.buffer, offset + RECORD_HEADER_BYTES, byteLength);
  }

  nextRecord(offset: number, byteLength: number): number {
    return offset + RECORD_HEADER_BYTES + paddedBytes(byteLength);
  }
}

export class RingConsumer {
  readonly #header: Int32Array;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  #readPosition: number;

  constructor(memory: SharedArrayBuffer) {
    const capacity = ringCapacityBytes(memory);
    this.#mask = capacity - 1;
    this.#header = new Int32Array(memory, 0, HEADER_WORDS);
    this.#words = new Int32Array(memory, HEADER_BYTES, capacity / WORD_BYTES);
    this.#bytes = new Uint8Array(memory, HEADER_BYTES, capacity);
    this.#readPosition = Atomics.load(this.#header, READ_POSITION);
  }

  hasRecords(): boolean {
    return Atomics.load(this.#header, WRITE_POSITION) !== this.#readPosition;
  }

  /** How many items the producer has put into the message port so far, modulo 2^32. */
  portItemsSent(): number {
    return Atomics.load(this.#header, PORT_ITEMS_SENT);
  }

  isProducerClosed(): boolean {
    return Atomics.load(this.#header, IS_PRODUCER_CLOSED) !== 0;
  }

  /**
   * After `setParked(true)` the consumer must look at the ring once more before it sleeps: a producer writes and then
   * looks at the flag, the consumer sets the flag and then looks at the ring, so that one of them sees the other.
   */
  setParked(isParked: boolean): void {
    Atomics.store(this.#header, IS_CONSUMER_PARKED, isParked ? 1 : 0);
  }

  /** Moves all whole records to `scratch` (from 0) and frees their room. Returns the number of bytes. */
  readInto(scratch: RingScratch): number {
    const start = this.#readPosition;
    const end = Atomics.load(this.#header, WRITE_POSITION);
    const byteLength = (end - start) | 0;
    if (byteLength === 0) return 0;
    const offset = start & this.#mask;
    const wordCount = byteLength >>> 2;
    if (wordCount <= LOOP_COPY_WORDS_MAX) {
      const wordMask = this.#mask >>> 2;
      const firstWord = offset >>> 2;
      const target = scratch.words;
      const source = this.#words;
      for (let index = 0; index < wordCount; index++) target[index] = source[(firstWord + index) & wordMask] as number;
    } else {
      const untilEnd = this.#mask + 1 - offset;
      if (byteLength <= untilEnd) {
        scratch.bytes.set(this.#bytes.subarray(offset, offset + byteLength));
      } else {
        scratch.bytes.set(this.#bytes.subarray(offset));
        scratch.bytes.set(this.#bytes.subarray(0, byteLength - untilEnd), untilEnd);
      }
    }
    this.#readPosition = end;
    Atomics.store(this.#header, READ_POSITION, end);
    return byteLength;
  }
}
