import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ChunkOutcome, PoolIterator } from "./pool-iterator.ts";

interface Submitted {
  readonly chunk: readonly number[];
  isTakenBack: boolean;
  settle(outcome: ChunkOutcome<number>): void;
}

function iteratorOver(source: Iterable<number> | AsyncIterable<number>, options: { isOrdered?: boolean; chunkSize?: number; aheadMax?: number } = {}) {
  const submitted: Submitted[] = [];
  let fedCount = 0;
  const iterator = new PoolIterator<number, number>({
    source, chunkSize: options.chunkSize ?? 1, isOrdered: options.isOrdered ?? true,
    chunksAheadMax: () => Promise.resolve(options.aheadMax ?? 2),
    submit: (chunk, settle) => {
      const entry: Submitted = { chunk, isTakenBack: false, settle };
      submitted.push(entry);
      return () => { entry.isTakenBack = true; };
    },
    fed: () => { fedCount++; },
  });
  return { iterator, submitted, done: (index: number) => submitted[index]?.settle({ results: (submitted[index] as Submitted).chunk.map((value) => value * 10) }), fedCount: () => fedCount };
}
const turn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

describe("PoolIterator", () => {
  it("reads nothing before the first next(), and then no further ahead than the bound", async () => {
    let read = 0;
    function* source(): Generator<number> { for (;;) yield read++; }
    const { iterator, submitted, done } = iteratorOver(source());
    await turn();
    assert.equal(read, 0);
    const first = iterator.next();
    await turn();
    assert.equal(submitted.length, 2);
    done(0);
    assert.deepEqual(await first, { done: false, value: 0 });
    await turn();
    assert.equal(submitted.length, 3);
    await iterator.return();
    assert.deepEqual(submitted.map(({ isTakenBack }) => isTakenBack), [false, true, true]);
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  });

  it("gives results in order, or as they come", async () => {
    for (const [isOrdered, expected] of [[true, [10, 20, 30]], [false, [30, 10, 20]]] as const) {
      const { iterator, done, fedCount } = iteratorOver([1, 2, 3], { isOrdered, aheadMax: 9 });
      const results = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
      await turn();
      for (const index of [2, 0, 1]) done(index);
      assert.deepEqual((await Promise.all(results)).map(({ value }) => value as number | undefined), [...expected, undefined]);
      assert.equal(fedCount(), 1);
    }
  });

  it("a chunk that fails rejects at its place, and what follows comes", async () => {
    const { iterator, submitted, done } = iteratorOver([1, 2, 3, 4], { chunkSize: 2, aheadMax: 9 });
    const results = [iterator.next(), iterator.next(), iterator.next(), iterator.next()];
    await turn();
    done(1);
    submitted[0]?.settle({ error: new Error("first chunk") });
    await assert.rejects(results[0] as Promise<unknown>, { message: "first chunk" });
    assert.deepEqual((await Promise.all(results.slice(1))).map(({ value }) => value as number | undefined), [30, 40, undefined]);
  });

  it("what the source throws comes after the results before it", async () => {
    async function* source(): AsyncGenerator<number> { yield 1; throw new Error("torn"); }
    const { iterator, done } = iteratorOver(source());
    const first = iterator.next();
    await turn();
    done(0);
    assert.deepEqual(await first, { done: false, value: 10 });
    await assert.rejects(iterator.next(), { message: "torn" });
    assert.deepEqual(await iterator.next(), { done: true, value: undefined });
  });

  it("being left ends the source and whoever waits, also while the source is at work", async () => {
    let ended = 0;
    function* finite(): Generator<number> { try { for (;;) yield 1; } finally { ended++; } }
    const { iterator } = iteratorOver(finite());
    const pending = iterator.next();
    await turn();
    await iterator.return();
    assert.deepEqual(await pending, { done: true, value: undefined });
    assert.equal(ended, 1);

    const stuck = iteratorOver({ [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => undefined), return: () => new Promise<never>(() => undefined) }) });
    const never = stuck.iterator.next();
    await turn();
    await stuck.iterator.return();
    assert.deepEqual(await never, { done: true, value: undefined });
  });

  it("reads to the end when asked, and keeps what nobody has taken yet", async () => {
    const { iterator, submitted, done, fedCount } = iteratorOver([1, 2, 3, 4, 5]);
    iterator.readToTheEnd();
    await turn();
    assert.equal(submitted.length, 5);
    assert.equal(fedCount(), 1);
    submitted.forEach((_, index) => done(index));
    const all: number[] = [];
    for await (const value of iterator) all.push(value);
    assert.deepEqual(all, [10, 20, 30, 40, 50]);
  });
});
