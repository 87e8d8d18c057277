import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, NODES, underBothIsolations } from "./both-isolations.ts";

/** They may have different memories. */
const ON_SEVERAL_NODES = NODES > 0 && "workers of several nodes have no memory in common";

const KIB = 1024;
const MIB = 1024 * KIB;
/** More than what travels inside messages. */
const LARGE_BYTES = 200 * KIB;

class Reading {
  readonly #unit: string;
  readonly samples: Float64Array;
  constructor(samples: Float64Array, unit: string) {
    this.samples = samples;
    this.#unit = unit;
  }
  describe(): string {
    return `${this.samples.length} ${this.#unit}, the last is ${this.samples.at(-1)}`;
  }
}
class Overheated extends Error {
  readonly trace: Uint8Array;
  constructor(trace: Uint8Array) {
    super("too hot");
    this.name = "Overheated";
    this.trace = trace;
  }
}

function bytes(byteLength: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, index) => index * 31 + seed + (index >>> 8));
}
function samples(count: number, seed: number): Float64Array {
  return Float64Array.from({ length: count }, (_, index) => index / 8 + seed);
}

/** Large values of every kind that can be compared, by name. */
function largeValues(): Record<string, unknown> {
  const raw = bytes(LARGE_BYTES, 1).buffer;
  const shared = new ArrayBuffer(LARGE_BYTES);
  new Uint8Array(shared).set(bytes(LARGE_BYTES, 2));
  const typed = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, BigInt64Array, BigUint64Array]
    .map((kind): [string, unknown] => [kind.name, new (kind as new (buffer: ArrayBufferLike) => unknown)(raw.slice(0))]);
  return {
    ...Object.fromEntries(typed),
    Float32Array: new Float32Array(samples(LARGE_BYTES / 4, 1)),
    Float64Array: samples(LARGE_BYTES / 8, 1),
    Buffer: Buffer.from(bytes(LARGE_BYTES, 3)),
    ArrayBuffer: raw,
    DataView: new DataView(raw.slice(0), 8, LARGE_BYTES - 16),
    "a part of an array": bytes(LARGE_BYTES + 100, 4).subarray(50, LARGE_BYTES),
    "an object with several arrays": { name: "day", hours: samples(LARGE_BYTES / 16, 2), flags: bytes(LARGE_BYTES, 5), small: new Uint8Array([1, 2, 3]), nothing: new Float32Array(0) },
    "a map and a set with arrays": new Map<unknown, unknown>([["a", samples(20_000, 3)], [{ b: 1 }, new Set([bytes(LARGE_BYTES, 6)])]]),
    "views of one buffer": { all: new Uint8Array(shared), half: new Float64Array(shared, LARGE_BYTES / 2), part: new Uint16Array(shared, 64, 100) },
    "a string of 1 MB": "grün 🐟 ".repeat(120_000),
    "a Latin string of 1 MB": "abcdefgh".repeat(MIB / 8),
    "many small objects": Array.from({ length: 8_000 }, (_, index) => ({ index, name: `item ${index}`, tags: [index % 7, null] })),
    "a large bigint": 2n ** BigInt(LARGE_BYTES * 8) - 3n,
  };
}

class Shelf {
  #kept: unknown = null;
  keep(value: unknown): void { this.#kept = value; }
  kept(): unknown { return this.#kept; }
  echo(value: unknown): unknown { return value; }
  async keepRef(box: { ref: ray.ObjectRef<unknown> }): Promise<void> { this.#kept = box.ref; }
  async passOn(next: ray.ActorHandle<Shelf>): Promise<void> { await ray.get(next.keepRef.remote({ ref: this.#kept } as never)); }
  async open(): Promise<unknown> { return ray.get(this.#kept as ray.ObjectRef<unknown>); }
  drop(): void {
    if (this.#kept instanceof ray.ObjectRef) this.#kept.release();
    this.#kept = null;
  }
}
const Shelves = ray.remote(Shelf);
const echo = ray.remote((value: unknown) => value);
const thrice = ray.remote((value: unknown) => [value, "small", value]);
const stream = ray.remote(function* (value: unknown) { yield value; yield 1; yield value; });
const makeOf = ray.remote(async (box: { ref: ray.ObjectRef<unknown> }) => ray.get(box.ref));

underBothIsolations("large values", { objectStoreMemory: 64 * MIB }, () => {
  let first: ray.ActorHandle<Shelf>;
  let second: ray.ActorHandle<Shelf>;
  before(() => { [first, second] = [Shelves.remote(), Shelves.remote()]; });

  for (const [name, value] of Object.entries(largeValues())) {
    it(`come back equal in every way they can go: ${name}`, async () => {
      using stored = ray.put(value);
      assert.deepEqual(await ray.get(stored), value, "put");
      assert.deepEqual(await ray.get(stored), value, "a second get");
      assert.deepEqual(await ray.get(echo.remote(value)), value, "an argument and a result");
      assert.deepEqual(await ray.get(echo.remote(stored)), value, "a ref as an argument");
      assert.deepEqual(await ray.get(makeOf.remote({ ref: stored } as never)), value, "a ref inside of an argument");
      assert.deepEqual(await ray.get(thrice.options({ numReturns: 3 }).remote(value) as ray.ObjectRef[]), [value, "small", value], "one of several results");
      const streamed: unknown[] = [];
      for await (const ref of stream.remote(stored)) streamed.push(await ray.get(ref));
      assert.deepEqual(streamed, [value, 1, value], "streamed");
    });

    it(`come back equal from actors: ${name}`, async () => {
      assert.deepEqual(await ray.get(first.echo.remote(value)), value, "to and fro");
      await ray.get(first.keep.remote(value));
      await ray.get(first.echo.remote(new Uint8Array(LARGE_BYTES)));
      assert.deepEqual(await ray.get(first.kept.remote()), value, "kept from a call by value");
      const ref = ray.put(value);
      await ray.get(first.keep.remote(ref));
      await ray.get(first.keepRef.remote({ ref } as never));
      ref.release();
      await ray.get(first.passOn.remote(second as never));
      await ray.get(first.drop.remote());
      assert.deepEqual(await ray.get(second.open.remote()), value, "through two borrowers, when the owner and the first have let go");
      await ray.get(second.drop.remote());
    });
  }

  it("keep views of one buffer on one buffer", async () => {
    const buffer = new ArrayBuffer(LARGE_BYTES);
    const value = { a: new Uint8Array(buffer), b: new Uint8Array(buffer, 8), c: new DataView(buffer, 8) };
    for (const { a, b, c } of await ray.get([ray.put(value), echo.remote(value)]) as (typeof value)[]) {
      assert.equal(a.buffer, b.buffer);
      assert.equal(a.buffer, c.buffer);
      a[8] = 5;
      assert.deepEqual([b[0], c.getUint8(0)], [5, 5]);
    }
  });

  it("keep their classes, with private fields and views of shared memory", async () => {
    const reading = new Reading(samples(LARGE_BYTES / 8, 4), "kelvin");
    const ask = ray.remote((given: Reading) => ({ text: given.describe(), isOne: given instanceof Reading, given }));
    for (const argument of [reading, ray.put(reading)]) {
      const { text, isOne, given } = await ray.get(ask.remote(argument));
      assert.deepEqual([text, isOne], [reading.describe(), true]);
      assert.ok(given instanceof Reading);
      assert.equal(given.describe(), reading.describe());
      assert.deepEqual(given.samples, reading.samples);
    }
  });

  it("may be errors with large fields: put, returned, and thrown", async () => {
    const error = new Overheated(bytes(LARGE_BYTES, 7));
    for (const copy of await ray.get([ray.put(error), echo.remote(error)]) as Overheated[]) {
      assert.ok(copy instanceof Overheated);
      assert.equal(copy.message, "too hot");
      assert.deepEqual(copy.trace, error.trace);
    }
    const throws = ray.remote((length: number) => { throw new Overheated(new Uint8Array(length).fill(9)); }, { maxRetries: 0 });
    await assert.rejects(ray.get(throws.remote(LARGE_BYTES)), (thrown: unknown) => {
      assert.ok(thrown instanceof ray.TaskError);
      assert.ok(thrown.cause instanceof Overheated);
      assert.deepEqual(thrown.cause.trace, new Uint8Array(LARGE_BYTES).fill(9));
      return true;
    });
  });

  it("may contain refs, handles and functions", async () => {
    const inner = ray.put(bytes(LARGE_BYTES, 8));
    const offset = samples(LARGE_BYTES / 8, 5);
    const value = { large: bytes(LARGE_BYTES, 9), inner, shelf: first, last: (by: number) => (offset.at(-1) as number) + by };
    const outer = ray.put(value);
    const open = ray.remote(async (given: { large: Uint8Array; inner: ray.ObjectRef<Uint8Array>; shelf: ray.ActorHandle<Shelf>; last(by: number): number }) => {
      const content = await ray.get(given.inner);
      await ray.get(given.shelf.keep.remote(content));
      return { large: given.large, content, last: given.last(2), inner: given.inner };
    });
    const results = [open.remote(value as never), open.remote(outer as never)];
    await ray.wait(results, { numReturns: 2 });
    inner.release();
    outer.release();
    for (const result of results) {
      const opened = await ray.get(result) as unknown as { large: Uint8Array; content: Uint8Array; last: number; inner: ray.ObjectRef<Uint8Array> };
      assert.deepEqual(opened.large, bytes(LARGE_BYTES, 9));
      assert.deepEqual(opened.content, bytes(LARGE_BYTES, 8));
      assert.equal(opened.last, (offset.at(-1) as number) + 2);
      assert.deepEqual(await ray.get(opened.inner), bytes(LARGE_BYTES, 8), "a ref out of a result, when all that had it before have let go");
    }
    assert.deepEqual(await ray.get(first.kept.remote()), bytes(LARGE_BYTES, 8));
  });

  it("are captured when they are handed over: later changes are not seen", async () => {
    const value = bytes(LARGE_BYTES, 10);
    const stored = ray.put(value);
    const result = echo.remote(value);
    value.fill(0);
    assert.deepEqual(await ray.get(stored), bytes(LARGE_BYTES, 10));
    assert.deepEqual(await ray.get(result), bytes(LARGE_BYTES, 10));
  });

  it("are arguments of constructors, too", async () => {
    class Holder {
      readonly #value: Uint8Array;
      constructor(value: Uint8Array) { this.#value = value; }
      value(): Uint8Array { return this.#value; }
    }
    const Holders = ray.remote(Holder);
    for (const argument of [bytes(LARGE_BYTES, 11), ray.put(bytes(LARGE_BYTES, 11))]) {
      const holder = Holders.remote(argument);
      assert.deepEqual(await ray.get(holder.value.remote()), bytes(LARGE_BYTES, 11));
      await ray.kill(holder);
    }
  });

  it("at the border of what travels inside messages come back equal", async () => {
    for (let byteLength = 100 * KIB - 80; byteLength <= 100 * KIB + 16; byteLength += 8) {
      const value = bytes(byteLength, byteLength);
      assert.deepEqual(await ray.get(ray.put(value)), value);
      assert.deepEqual(await ray.get(echo.remote(value)), value);
    }
  });

  describe("without a copy", () => {
    /** Writes where nobody should, to show whose memory it is. */
    const mark = ray.remote((view: Uint8Array, at: number, value: number) => { view[at] = value; });

    it("every get gives views whose buffer is exactly the object", async () => {
      const check = ray.remote((array: Uint8Array, view: DataView, buffer: ArrayBuffer) => [array.byteOffset, array.buffer.byteLength, view.byteOffset, view.buffer.byteLength, buffer.byteLength]);
      const [array, view, buffer] = [ray.put(bytes(LARGE_BYTES, 1)), ray.put(new DataView(new ArrayBuffer(LARGE_BYTES))), ray.put(new ArrayBuffer(LARGE_BYTES + 8))];
      const expected = [0, LARGE_BYTES, 0, LARGE_BYTES, LARGE_BYTES + 8];
      assert.deepEqual(await ray.get(check.remote(array, view, buffer)), expected);
      const [gotArray, gotView, gotBuffer] = await ray.get([array, view, buffer]);
      assert.deepEqual([gotArray.byteOffset, gotArray.buffer.byteLength, gotView.byteOffset, gotView.buffer.byteLength, gotBuffer.byteLength], expected);
      const { a, b } = await ray.get(ray.put({ a: samples(20_000, 1), b: bytes(LARGE_BYTES, 2) }));
      assert.deepEqual([a.buffer.byteLength, b.buffer.byteLength, a.byteOffset, b.byteOffset], [160_000, LARGE_BYTES, 0, 0]);
    });

    it("driver and worker see the same bytes of a stored object", { skip: ON_SEVERAL_NODES }, async () => {
      const ref = ray.put(new Uint8Array(LARGE_BYTES));
      const here = await ray.get(ref);
      await ray.get(mark.remote(ref, 5, 42));
      await ray.get(mark.remote(ref, LARGE_BYTES - 1, 43));
      assert.deepEqual([here[5], here[LARGE_BYTES - 1], here[6]], [42, 43, 0]);
      assert.equal((await ray.get(ref)).buffer, here.buffer, "one buffer for all who look at it");
      assert.notEqual(await ray.get(ref), here);
      assert.equal((await ray.get(ref))[5], 42);
    });

    it("driver and actor see the same bytes of what the actor stored, and of its result", { skip: ON_SEVERAL_NODES }, async () => {
      class Maker {
        #view: Uint8Array | null = null;
        readonly #refs: ray.ObjectRef<Uint8Array>[] = [];
        async store(): Promise<{ ref: ray.ObjectRef<Uint8Array> }> {
          const ref = ray.put(new Uint8Array(200 * 1024));
          this.#refs.push(ref);
          this.#view = await ray.get(ref);
          return { ref };
        }
        make(): Uint8Array { return new Uint8Array(200 * 1024); }
        look(view: Uint8Array): void { this.#view = view; }
        at(index: number): number { return this.#view?.[index] as number; }
      }
      const maker = ray.remote(Maker).remote();
      const { ref } = await ray.get(maker.store.remote()) as unknown as { ref: ray.ObjectRef<Uint8Array> };
      (await ray.get(ref))[7] = 77;
      assert.equal(await ray.get(maker.at.remote(7)), 77);
      const result = maker.make.remote();
      await ray.get(maker.look.remote(result));
      (await ray.get(result))[8] = 88;
      assert.equal(await ray.get(maker.at.remote(8)), 88);
      await ray.kill(maker);
    });

    it("what a ref in a value stands for is read without its owner, which may be busy", async () => {
      const folder = mkdtempSync(join(tmpdir(), "busy-owner-"));
      const [started, mayEnd] = [join(folder, "started"), join(folder, "may-end")];
      class Owner {
        make(): { ref: ray.ObjectRef<Uint8Array> } { return { ref: ray.put(new Uint8Array(200 * 1024).fill(9)) }; }
        beBusy(): void {
          writeFileSync(started, "");
          while (!existsSync(mayEnd)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }
      }
      const read = ray.remote(async (box: { ref: ray.ObjectRef<Uint8Array> }) => (await ray.get(box.ref)).every((byte) => byte === 9));
      const owner = ray.remote(Owner).remote();
      try {
        const box = await ray.get(owner.make.remote()) as unknown as { ref: ray.ObjectRef<Uint8Array> };
        const busy = owner.beBusy.remote();
        await eventually("the owner to be busy", () => existsSync(started));
        assert.equal((await ray.get(box.ref, { timeoutMs: 20_000 }))[100_000], 9);
        assert.deepEqual(await ray.wait([box.ref], { timeoutMs: 0 }), [[box.ref], []]);
        const isRight = read.remote(box);
        writeFileSync(mayEnd, "");
        await ray.get(busy);
        assert.equal(await ray.get(isRight), true);
      } finally {
        writeFileSync(mayEnd, "");
        await ray.kill(owner);
        rmSync(folder, { recursive: true });
      }
    });

    it("two workers see the same bytes of an argument by ref", { skip: ON_SEVERAL_NODES }, async () => {
      class Looker {
        #view: Uint8Array | null = null;
        look(view: Uint8Array): void { this.#view = view; }
        set(index: number, value: number): void { (this.#view as Uint8Array)[index] = value; }
        at(index: number): number { return (this.#view as Uint8Array)[index] as number; }
      }
      const Lookers = ray.remote(Looker);
      const [writer, reader] = [Lookers.remote(), Lookers.remote()];
      const ref = ray.put(new Uint8Array(LARGE_BYTES));
      await ray.get([writer.look.remote(ref), reader.look.remote(ref)]);
      await ray.get(writer.set.remote(3, 33));
      assert.equal(await ray.get(reader.at.remote(3)), 33);
      await ray.kill(writer);
      await ray.kill(reader);
    });
  });
});
