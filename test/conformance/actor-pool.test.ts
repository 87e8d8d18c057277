import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import * as ray from "mantaray";

class Squarer {
  square(value: number): number {
    if (value < 0) throw new RangeError(`negative: ${value}`);
    return value * value;
  }
}

for (const isolation of ["thread", "process"] as const) {
  describe(`ActorPool, ${isolation}`, () => {
    let actors: ray.ActorHandle<Squarer>[] = [];
    before(async () => {
      await ray.init({ numCpus: 2, isolation });
      const Remote = ray.remote(Squarer);
      actors = [Remote.remote(), Remote.remote()];
    });
    after(() => ray.shutdown());

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
  });
}
