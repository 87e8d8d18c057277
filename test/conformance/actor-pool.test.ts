import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { ISOLATIONS, startRuntime, type TestRuntime } from "./both-isolations.ts";

class Squarer {
  square(value: number): number {
    if (value < 0) throw new RangeError(`negative: ${value}`);
    return value * value;
  }
}

/** Calls wait until it is opened. */
class Gate {
  #resolve!: () => void;
  readonly #opened = new Promise<void>((resolve) => { this.#resolve = resolve; });
  open(): void { this.#resolve(); }
  async pass(value: number): Promise<number> {
    await this.#opened;
    return value;
  }
}

for (const isolation of ISOLATIONS) {
  describe(`ActorPool, ${isolation}`, () => {
    let actors: ray.ActorHandle<Squarer>[] = [];
    let runtime: TestRuntime;
    before(async () => {
      runtime = await startRuntime({ numCpus: 2, isolation });
      const Remote = ray.remote(Squarer);
      actors = [Remote.remote(), Remote.remote()];
    });
    after(() => runtime.stop());

    it("maps in order and in any order, over more values than actors", async () => {
      const pool = new ray.ActorPool(actors);
      const values = Array.from({ length: 20 }, (_, index) => index);
      const ordered: number[] = [];
      for await (const result of pool.map((actor, value: number) => actor.square.remote(value), values)) ordered.push(result);
      assert.deepEqual(ordered, values.map((value) => value * value));
      const unordered: number[] = [];
      for await (const result of pool.mapUnordered((actor, value: number) => actor.square.remote(value), values)) unordered.push(result);
      assert.deepEqual(unordered.sort((a, b) => a - b), ordered);
      assert.equal(pool.hasNext(), false);
      assert.equal(pool.hasFree(), true);
    });

    it("takes values from an endless asynchronous source only as actors get free", async () => {
      let taken = 0;
      async function* source(): AsyncGenerator<number> {
        for (;;) yield taken++;
      }
      const pool = new ray.ActorPool(actors);
      const results: number[] = [];
      for await (const result of pool.map((actor, value: number) => actor.square.remote(value), source())) {
        results.push(result);
        if (results.length === 5) break;
      }
      assert.deepEqual(results, [0, 1, 4, 9, 16]);
      assert.ok(taken <= 9, `${taken} values were taken for 5 results`);
    });

    it("hands out results of submit one by one, and says when there is none", async () => {
      const pool = new ray.ActorPool(actors);
      for (const value of [1, 2, 3]) pool.submit((actor, each: number) => actor.square.remote(each), value);
      assert.equal(pool.hasFree(), false);
      assert.equal(pool.popIdle(), undefined);
      assert.deepEqual([await pool.getNext(), await pool.getNext(), await pool.getNext()], [1, 4, 9]);
      assert.equal(pool.hasNext(), false);
      await assert.rejects(() => pool.getNext(), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
      const idle = pool.popIdle();
      assert.ok(idle !== undefined);
      pool.push(idle);
    });

    it("an error of one job frees its actor for the next", async () => {
      const pool = new ray.ActorPool(actors.slice(0, 1));
      for (const value of [-1, 5]) pool.submit((actor, each: number) => actor.square.remote(each), value);
      await assert.rejects(() => pool.getNext(), (error: ray.TaskError) => error.cause instanceof RangeError);
      assert.equal(await pool.getNext(), 25);
    });

    it("several may ask for results at once, each gets another one", async () => {
      const pool = new ray.ActorPool(actors);
      for (const value of [1, 2, 3, 4, 5]) pool.submit((actor, each: number) => actor.square.remote(each), value);
      assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map(() => pool.getNext())), [1, 4, 9, 16, 25]);
      for (const value of [1, 2, 3, 4, 5]) pool.submit((actor, each: number) => actor.square.remote(each), value);
      assert.deepEqual((await Promise.all([1, 2, 3, 4, 5].map(() => pool.getNextUnordered<number>()))).sort((a, b) => a - b), [1, 4, 9, 16, 25]);
      pool.submit((actor, each: number) => actor.square.remote(each), 6);
      const taken = pool.getNext();
      await assert.rejects(pool.getNext(), { message: /somebody waits/ });
      await assert.rejects(pool.getNextUnordered(), { message: /somebody waits/ });
      assert.equal(await taken, 36);
    });

    it("a wait that was given up can be taken up again, and what was not taken stays in its order", async () => {
      const gate = ray.remote(Gate, { maxConcurrency: 10 }).remote();
      const pool = new ray.ActorPool([gate]);
      for (const value of [1, 2]) pool.submit((actor, each: number) => actor.pass.remote(each), value);
      await assert.rejects(pool.getNext({ timeoutMs: 0 }), { code: "ERR_MANTARAY_GET_TIMEOUT" });
      await assert.rejects(pool.getNextUnordered({ timeoutMs: 5 }), { code: "ERR_MANTARAY_GET_TIMEOUT" });
      const both = [pool.getNext(), pool.getNext({ signal: AbortSignal.timeout(5) })];
      await assert.rejects(both[1] as Promise<unknown>, { name: "TimeoutError" });
      await assert.rejects(pool.getNext({ timeoutMs: 5 }), { code: "ERR_MANTARAY_GET_TIMEOUT" }, "its call has not begun");
      gate.open.remote();
      assert.equal(await both[0], 1);
      assert.equal(await pool.getNext(), 2);
      await assert.rejects(pool.getNext({ timeout: 5 } as never), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
    });

    it("after getNextUnordered, getNext goes on behind what was taken", async () => {
      const RemoteGate = ray.remote(Gate, { maxConcurrency: 10 });
      const [opened, gate] = [RemoteGate.remote(), RemoteGate.remote()];
      opened.open.remote();
      const pool = new ray.ActorPool([opened, gate]);
      for (const value of [0, 1]) pool.submit((actor, each: number) => actor.pass.remote(each), value);
      assert.equal(await pool.getNextUnordered(), 1);
      await assert.rejects(pool.getNext(), { message: /after getNextUnordered/ });
      gate.open.remote();
      assert.equal(await pool.getNextUnordered(), 0);
    });

    it("an actor belongs to the pool once; without actors nobody waits for ever", async () => {
      const [first, second] = actors as [ray.ActorHandle<Squarer>, ray.ActorHandle<Squarer>];
      assert.throws(() => new ray.ActorPool([]), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
      assert.throws(() => new ray.ActorPool([first, first]), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
      const pool = new ray.ActorPool([first]);
      pool.submit((actor, each: number) => actor.square.remote(each), 2);
      assert.throws(() => pool.push(first), { message: /in this ActorPool already/ });
      pool.submit((actor, each: number) => actor.square.remote(each), 3);
      pool.push(second);
      assert.equal(pool.hasFree(), false, "it has begun what waited");
      assert.deepEqual([await pool.getNext(), await pool.getNext()], [4, 9]);
      assert.equal([pool.popIdle(), pool.popIdle()].includes(undefined), false);
      assert.equal(pool.popIdle(), undefined);
      pool.submit((actor, each: number) => actor.square.remote(each), 4);
      await assert.rejects(pool.getNext(), { message: /no actor left/ });
      pool.push(first);
      assert.equal(await pool.getNext(), 16);
    });

    it("a function that makes no call leaves its actor in the pool", async () => {
      const pool = new ray.ActorPool(actors.slice(0, 1));
      assert.throws(() => pool.submit(() => { throw new RangeError("no call"); }, 1), RangeError);
      assert.throws(() => pool.submit(() => 5 as never, 1), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
      assert.equal(pool.hasNext(), false);
      pool.submit((actor, each: number) => actor.square.remote(each), 2);
      pool.submit(() => { throw new RangeError("no call"); }, 1);
      pool.submit((actor, each: number) => actor.square.remote(each), 3);
      assert.equal(await pool.getNext(), 4);
      await assert.rejects(pool.getNext(), RangeError);
      assert.equal(await pool.getNext(), 9);
    });

    it("map stays usable after an error, after being left, beside another map and beside submit", async () => {
      const pool = new ray.ActorPool(actors);
      const square = (actor: ray.ActorHandle<Squarer>, value: number): ray.ObjectRef<number> => actor.square.remote(value);
      pool.submit(square, 10);
      const iterator = pool.map(square, [1, -2, 3]);
      assert.equal((await iterator.next()).value, 1);
      await assert.rejects(iterator.next(), (error: ray.TaskError) => error.cause instanceof RangeError);
      assert.deepEqual([await iterator.next(), (await iterator.next()).done], [{ done: false, value: 9 }, true]);
      for await (const result of pool.mapUnordered(square, Array.from({ length: 50 }, (_, index) => index))) if (result > 4) break;
      const collect = async (values: number[]): Promise<number[]> => {
        const results: number[] = [];
        for await (const result of pool.map(square, values)) results.push(result);
        return results;
      };
      assert.deepEqual(await Promise.all([collect([1, 2, 3, 4]), collect([5, 6, 7, 8])]), [[1, 4, 9, 16], [25, 36, 49, 64]]);
      assert.equal(await pool.getNext(), 100);
      assert.equal(pool.hasNext(), false);
    });

    it("map gives results that are there while its source is still to come up with the next value", async () => {
      const pool = new ray.ActorPool(actors);
      let answered!: (result: number) => void;
      async function* dialogue(): AsyncGenerator<number> {
        let value = 2;
        while (value < 1000) {
          const answer = new Promise<number>((resolve) => { answered = resolve; });
          yield value;
          value = await answer;
        }
      }
      const results: number[] = [];
      for await (const result of pool.map((actor, value: number) => actor.square.remote(value), dialogue())) {
        results.push(result);
        answered(result);
      }
      assert.deepEqual(results, [4, 16, 256, 65536]);
    });
  });
}
