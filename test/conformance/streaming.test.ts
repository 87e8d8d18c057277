import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

async function all<T>(refs: AsyncIterable<ray.ObjectRef<T>>): Promise<T[]> {
  const values: T[] = [];
  for await (const ref of refs) values.push(await ray.get(ref));
  return values;
}

underBothIsolations("streaming", {}, () => {
  it("gives one ref a yielded value", async () => {
    const squares = ray.remote(function* (count: number) { for (let i = 0; i < count; i++) yield i * i; });
    assert.deepEqual(await all(squares.remote(5)), [0, 1, 4, 9, 16]);
    assert.deepEqual(await all(squares.remote(0)), []);
  });

  it("streams from asynchronous generators, values of all kinds", async () => {
    const items = ray.remote(async function* () {
      yield undefined;
      await new Promise((resolve) => setImmediate(resolve));
      yield { list: [1] };
      yield new Float64Array([0.5]);
      yield 2n ** 80n;
    });
    assert.deepEqual(await all(items.remote()), [undefined, { list: [1] }, new Float64Array([0.5]), 2n ** 80n]);
  });

  it("makes each value available while the generator goes on", async () => {
    const gate = ray.remote(class { #open!: () => void; #opened = new Promise<void>((resolve) => { this.#open = resolve; }); async wait() { await this.#opened; } open() { this.#open(); } }).remote();
    const steps = ray.remote(async function* (handle: typeof gate) { yield "before"; await ray.get(handle.wait.remote()); yield "after"; });
    const stream = steps.remote(gate);
    const first = await stream.next();
    assert.equal(await ray.get(first.value as ray.ObjectRef<string>), "before");
    assert.equal(stream.isFinished(), false);
    await ray.get(gate.open.remote());
    assert.equal(await ray.get((await stream.next()).value as ray.ObjectRef<string>), "after");
    assert.equal((await stream.next()).done, true);
    assert.equal(stream.isFinished(), true);
    gate.release();
  });

  it("completed() resolves with the generator's return", async () => {
    const two = ray.remote(function* () { yield 1; yield 2; });
    const stream = two.remote();
    assert.equal(await ray.get(stream.completed()), undefined);
    assert.deepEqual(await all(stream), [1, 2]);
  });

  it("ends with one ref that fails when the generator throws", async () => {
    const breaks = ray.remote(function* (): Generator<number> { yield 1; throw new RangeError("out of numbers"); });
    const stream = breaks.remote();
    const values: unknown[] = [];
    await assert.rejects(async () => { for await (const ref of stream) values.push(await ray.get(ref)); }, (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
    assert.deepEqual(values, [1]);
    assert.equal((await stream.next()).done, true);
    await assert.rejects(ray.get(stream.completed()), ray.TaskError);
  });

  it("streams what an ordinary function returns, with numReturns: 'streaming'", async () => {
    const list = ray.remote(() => ["a", "b"]).options({ numReturns: "streaming" });
    assert.deepEqual(await all(list.remote() as unknown as ray.ObjectRefGenerator<string>), ["a", "b"]);
    const none = ray.remote(() => 5 as unknown).options({ numReturns: "streaming" });
    await assert.rejects(all(none.remote() as unknown as ray.ObjectRefGenerator<string>), (error: unknown) => error instanceof ray.RayError && /streaming/.test(error.message));
  });

  it("passes its refs on to tasks", async () => {
    const numbers = ray.remote(function* () { yield 1; yield 2; yield 3; });
    const add = ray.remote((a: number, b: number) => a + b);
    let sum: ray.ObjectRef<number> = ray.put(0);
    for await (const ref of numbers.remote()) sum = add.remote(sum, ref);
    assert.equal(await ray.get(sum), 6);
  });

  it("may be left early, and the worker goes on with other work", async () => {
    const many = ray.remote(function* () { for (let i = 0; i < 10_000; i++) yield { i }; });
    for await (const ref of many.remote()) { assert.deepEqual(await ray.get(ref), { i: 0 }); break; }
    assert.equal(await ray.get(ray.remote(() => "next").remote()), "next");
  });

  it("is awaited by wait() like a ref", async () => {
    const one = ray.remote(function* () { yield 1; });
    const stream = one.remote();
    const [ready] = await ray.wait([stream]);
    assert.deepEqual(ready, [stream]);
    assert.deepEqual(await all(stream), [1]);
  });

  it("fails with the argument's failure, and with what cannot be sent", async () => {
    const fail = ray.remote((): number => { throw new Error("no argument"); });
    const count = ray.remote(function* (to: number) { for (let i = 0; i < to; i++) yield i; });
    await assert.rejects(all(count.remote(fail.remote())), /no argument/);
    const unsendable = ray.remote(function* (): Generator<unknown> { yield 1; yield new WeakMap(); });
    await assert.rejects(all(unsendable.remote()), ray.SerializationError);
  });
});
