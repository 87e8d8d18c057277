import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as ray from "mantaray";
import { onlyOnOneNode, underBothIsolations } from "./both-isolations.ts";
import { isPatterned, MIB, NEARLY_A_MIB, patterned, spillFiles, storeIsEmpty } from "./store-contents.ts";

const CAPACITY_BYTES = 16 * MIB;
/** Far more objects of one MiB than the store has room for. */
const MANY = 48;

/** In memory that is the worker's own: what it makes is checked by others. */
const make = ray.remote((seed: number, byteLength: number) => {
  const words = new Uint32Array(byteLength / 4);
  for (let index = 0; index < words.length; index++) words[index] = Math.imul(index + 1, 0x9e3779b1) ^ seed;
  return new Uint8Array(words.buffer);
});
const first = ray.remote((value: Uint8Array) => value[0]);

class Stock {
  readonly #refs: ray.ObjectRef<Uint8Array>[] = [];
  #views: Uint8Array[] = [];
  put(value: number, byteLength: number): { ref: ray.ObjectRef<Uint8Array> } {
    const ref = ray.put(new Uint8Array(byteLength).fill(value));
    this.#refs.push(ref);
    return { ref };
  }
  async putAndDrop(count: number, byteLength: number): Promise<number> {
    let sum = 0;
    for (let index = 0; index < count; index++) sum += (await ray.get(ray.put(new Uint8Array(byteLength).fill(index))))[5] as number;
    return sum;
  }
  view(value: Uint8Array): void { this.#views.push(value); }
  async viewAll(refs: ray.ObjectRef<Uint8Array>[]): Promise<void> { this.#views.push(...await ray.get(refs)); }
  isUniform(index: number, value: number): boolean { return (this.#views[index] as Uint8Array).every((byte) => byte === value); }
  drop(): void {
    this.#views = [];
    for (const ref of this.#refs.splice(0)) ref.release();
  }
}
type StockHandle = ray.ActorHandle<Stock>;
const Stocks = ray.remote(Stock);

underBothIsolations("a small store", { objectStoreMemory: CAPACITY_BYTES }, (isolation) => {
  let sessionDir: string;
  before(async () => { ({ sessionDir } = await ray.init({ ignoreReinitError: true })); });
  const nothingSpilled = (): void => assert.deepEqual(spillFiles(sessionDir), []);
  const isEmpty = (): Promise<void> => storeIsEmpty(sessionDir, CAPACITY_BYTES);

  describe("takes memory back, with nothing written to disk,", () => {
    it("from objects that are put and released", () => {
      for (let index = 0; index < MANY; index++) ray.put(new Uint8Array(NEARLY_A_MIB)).release();
      nothingSpilled();
    });

    it("from objects that are put and dropped, whether the loop has turns or not", async () => {
      for (let index = 0; index < MANY; index++) ray.put(new Uint8Array(NEARLY_A_MIB));
      for (let index = 0; index < MANY; index++) await ray.get(ray.put(index)).then(() => ray.put(new Uint8Array(NEARLY_A_MIB)));
      for (let index = 0; index < MANY; index++) { ray.put(new Uint8Array(NEARLY_A_MIB)); await nextTurn(); }
      nothingSpilled();
    });

    it("from objects that are put, read and dropped, whether the loop has turns or not", async () => {
      for (let index = 0; index < MANY; index++) assert.equal((await ray.get(ray.put(new Uint8Array(NEARLY_A_MIB).fill(index))))[9], index);
      for (let index = 0; index < MANY; index++) {
        const ref = ray.put(new Uint8Array(NEARLY_A_MIB).fill(index));
        assert.equal((await ray.get(ref))[9], index);
        ref.release();
        await nextTurn();
      }
      nothingSpilled();
    });

    it("from arguments by value when the call has ended", async () => {
      for (let index = 0; index < MANY; index++) assert.equal(await ray.get(first.remote(new Uint8Array(NEARLY_A_MIB).fill(index))), index);
      await isEmpty();
    });

    it("from results that are dropped, read or not", async () => {
      for (let index = 0; index < MANY / 2; index++) {
        const ref = make.remote(index, NEARLY_A_MIB);
        await ray.wait([ref]);
        ref.release();
      }
      for (let index = 0; index < MANY / 2; index++) assert.ok(isPatterned(await ray.get(make.remote(index, NEARLY_A_MIB)), index));
      await isEmpty();
    });

    it("from what tasks and actors put and drop", async () => {
      const putAndDrop = ray.remote(async (count: number, byteLength: number) => {
        let sum = 0;
        for (let index = 0; index < count; index++) sum += (await ray.get(ray.put(new Uint8Array(byteLength).fill(index))))[5] as number;
        return sum;
      });
      const stock = Stocks.remote();
      const expected = Array.from({ length: MANY }, (_, index) => index).reduce((sum, index) => sum + index);
      assert.equal(await ray.get(putAndDrop.remote(MANY, NEARLY_A_MIB)), expected);
      assert.equal(await ray.get(stock.putAndDrop.remote(MANY, NEARLY_A_MIB)), expected);
      await isEmpty();
      await ray.kill(stock);
    });

    it("from what an actor owns and others held, when all have let go", async () => {
      const [owner, reader] = [Stocks.remote(), Stocks.remote()];
      for (let round = 0; round < 3; round++) {
        for (let index = 0; index < 8; index++) {
          const { ref } = await ray.get(owner.put.remote(index, NEARLY_A_MIB)) as unknown as { ref: ray.ObjectRef<Uint8Array> };
          await ray.get(reader.view.remote(ref));
          assert.equal((await ray.get(ref))[1], index);
          ref.release();
        }
        await ray.get([owner.drop.remote(), reader.drop.remote()]);
      }
      await isEmpty();
      await ray.kill(owner);
      await ray.kill(reader);
      await isEmpty();
    });
  });

  describe("keeps what a view shows, while others want the memory,", () => {
    /** More than the store holds, twice: some of it reused at once, some held and spilled. */
    async function fillWithOthers(): Promise<void> {
      for (let index = 0; index < MANY / 2; index++) ray.put(new Uint8Array(NEARLY_A_MIB).fill(0xff)).release();
      const held = Array.from({ length: 20 }, () => ray.put(new Uint8Array(NEARLY_A_MIB).fill(0xfe)));
      for (const ref of held) assert.equal((await ray.get(ref))[3], 0xfe);
      for (const ref of held) ref.release();
    }

    it("when its ref was released, or collected", async () => {
      const released = ray.put(patterned(1));
      const view = await ray.get(released);
      const part = (await ray.get(released)).subarray(100, 200);
      const unreferenced = await ray.get(ray.put(patterned(2)));
      released.release();
      await fillWithOthers();
      assert.ok(isPatterned(view, 1));
      assert.deepEqual(part, patterned(1).subarray(100, 200));
      assert.ok(isPatterned(unreferenced, 2));
    });

    it("in an actor that kept an argument by value, and one by ref", async () => {
      const stock = Stocks.remote();
      await ray.get(stock.view.remote(new Uint8Array(NEARLY_A_MIB).fill(7)));
      const ref = ray.put(new Uint8Array(NEARLY_A_MIB).fill(8));
      await ray.get(stock.view.remote(ref));
      ref.release();
      await fillWithOthers();
      assert.deepEqual(await ray.get([stock.isUniform.remote(0, 7), stock.isUniform.remote(1, 8)]), [true, true]);
      await ray.kill(stock);
    });

    it("and while objects that were in its place before are brought back", async () => {
      const early = Array.from({ length: 24 }, (_, index) => ray.put(patterned(index)));
      const views: { seed: number; view: Uint8Array }[] = [];
      for (let index = 0; index < 6; index++) {
        const ref = ray.put(patterned(100 + index));
        views.push({ seed: 100 + index, view: await ray.get(ref) });
        if (index % 2 === 0) ref.release();
      }
      for (let round = 0; round < 2; round++) {
        for (let index = 0; index < early.length; index++) assert.ok(isPatterned(await ray.get(early[index] as ray.ObjectRef<Uint8Array>), index), `object ${index}`);
        for (const { seed, view } of views) assert.ok(isPatterned(view, seed), `view ${seed}`);
      }
      for (const ref of early) ref.release();
    });
  });

  describe("holds more than fits", () => {
    it("four times its capacity, from drivers, tasks and actors, every byte equal", async () => {
      await isEmpty();
      const stock = Stocks.remote();
      const refs: { ref: ray.ObjectRef<Uint8Array>; check(value: Uint8Array): boolean }[] = [];
      for (let index = 0; index < 2 * CAPACITY_BYTES / MIB; index++) {
        refs.push({ ref: ray.put(patterned(index)), check: (value) => isPatterned(value, index) });
        if (index % 2 === 0) refs.push({ ref: make.remote(1000 + index, NEARLY_A_MIB), check: (value) => isPatterned(value, 1000 + index) });
        if (index % 2 === 1) refs.push({ ref: (await ray.get(stock.put.remote(index, NEARLY_A_MIB)) as unknown as { ref: ray.ObjectRef<Uint8Array> }).ref, check: (value) => value.every((byte) => byte === index) });
      }
      await ray.wait(refs.map(({ ref }) => ref), { numReturns: refs.length });
      assert.ok(spillFiles(sessionDir).length > 0, "this much cannot be in memory");
      for (const { ref, check } of refs) assert.ok(check(await ray.get(ref)));
      // Workers read what was spilled, too, in another order.
      for (let index = refs.length - 1; index >= 0; index -= 7) await ray.get(first.remote((refs[index] as { ref: ray.ObjectRef<Uint8Array> }).ref));
      await ray.get(stock.drop.remote());
      for (const { ref } of refs) ref.release();
      await isEmpty();
      await ray.kill(stock);
    });

    it("objects of many sizes, up to the whole store", async () => {
      const sizes = [101_000, 15 * MIB, 200_004, 3 * MIB, 12, 9 * MIB, 5_000_000, 15 * MIB, 120_000];
      const refs = sizes.map((byteLength, seed) => ray.put(patterned(seed, byteLength)));
      for (const [seed, byteLength] of sizes.entries()) assert.ok(isPatterned(await ray.get(refs[seed] as ray.ObjectRef<Uint8Array>), seed, byteLength));
      for (const ref of refs) ref.release();
      await isEmpty();
    });
  });

  describe("refuses", () => {
    const isFull = (...mentioned: RegExp[]) => (error: unknown): boolean => {
      const cause = error instanceof ray.TaskError ? error.cause : error;
      assert.ok(cause instanceof ray.ObjectStoreFullError, `${String(error)} is not an ObjectStoreFullError`);
      assert.equal(cause.code, "ERR_MANTARAY_OBJECT_STORE_FULL");
      for (const text of mentioned) assert.match(cause.message, text);
      return true;
    };

    it("an object that is larger than it, at once, and says how large one can be", async () => {
      const tooLarge = new Uint8Array(CAPACITY_BYTES);
      const names = [/16\.0 MB/, /objectStoreMemory/];
      assert.throws(() => ray.put(tooLarge), isFull(...names));
      assert.throws(() => first.remote(tooLarge), isFull(...names));
      await assert.rejects(ray.get(make.remote(1, CAPACITY_BYTES)), isFull(...names));
      const putTooLarge = ray.remote((byteLength: number) => { ray.put(new Uint8Array(byteLength)); });
      await assert.rejects(ray.get(putTooLarge.remote(CAPACITY_BYTES)), isFull(...names));
      await isEmpty();
    });

    it("more while all of it is being looked at, and works again when the views are gone", { skip: onlyOnOneNode("what does not fit into the store of one node has room in that of another") }, async () => {
      const stock = Stocks.remote();
      const held = Array.from({ length: CAPACITY_BYTES / MIB }, (_, index) => ray.put(new Uint8Array(NEARLY_A_MIB).fill(index)));
      const further = [ray.put(patterned(50)), ray.put(patterned(51))];
      const look = async (): Promise<void> => {
        const shares = [held.slice(0, 10), held.slice(10)];
        const views = await ray.get(shares[0] as typeof held);
        await ray.get((stock as StockHandle).viewAll.remote(shares[1] as never));
        const refused: Promise<void>[] = [assert.rejects(ray.get(make.remote(1, NEARLY_A_MIB)), isFull(/16\.0 MB of 16\.0 MB/, /views/))];
        // What is on disk cannot come back either. That takes longer to say, so it is tried once.
        if (isolation === "thread") refused.push(assert.rejects(ray.get(further[0] as ray.ObjectRef<Uint8Array>), isFull(/on disk/)));
        await Promise.all(refused);
        views.forEach((view, index) => assert.ok(view.every((byte) => byte === index)));
      };
      await look();
      await ray.get(stock.drop.remote());
      assert.ok(isPatterned(await ray.get(make.remote(60, NEARLY_A_MIB)), 60));
      assert.ok(isPatterned(await ray.get(further[0] as ray.ObjectRef<Uint8Array>), 50));
      assert.ok(isPatterned(await ray.get(further[1] as ray.ObjectRef<Uint8Array>), 51));
      for (const ref of [...held, ...further]) ref.release();
      await isEmpty();
      await ray.kill(stock);
    });
  });
});
