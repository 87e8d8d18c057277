import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";
import { eventuallyCollected } from "./garbage-collection.ts";

const codeOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "no error", (error: { code?: string }) => error.code ?? error);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

underBothIsolations("Queue", { numCpus: 2 }, (isolation) => {
  it("is first in, first out, whatever the items are", async () => {
    class Point {
      #x: number;
      constructor(x: number) { this.#x = x; }
      get x(): number { return this.#x; }
    }
    const queue = new ray.Queue<unknown>();
    const ref = ray.put("a value");
    const items: unknown[] = [1, "two", null, undefined, { three: 3 }, new Float64Array(50_000).fill(4), new Point(5), ref, [[]]];
    for (const item of items) await queue.put(item);
    assert.equal(await queue.size(), items.length);
    const back: unknown[] = [];
    while (!(await queue.empty())) back.push(await queue.get());
    assert.deepEqual(back.slice(0, 6), items.slice(0, 6));
    assert.ok(back[6] instanceof Point && back[6].x === 5);
    assert.ok(back[7] instanceof ray.ObjectRef, "a ref stays a ref");
    assert.equal(await ray.get(back[7]), "a value");
    assert.deepEqual(back[8], [[]]);
  });

  it("is bounded: full and empty, with and without waiting", async () => {
    const queue = new ray.Queue<number>({ maxSize: 2 });
    assert.deepEqual([await queue.empty(), await queue.full()], [true, false]);
    assert.equal(await codeOf(queue.getNoWait()), "ERR_MANTARAY_QUEUE_EMPTY");
    assert.equal(await codeOf(queue.get({ timeoutMs: 0 })), "ERR_MANTARAY_QUEUE_EMPTY");
    assert.equal(await codeOf(queue.get({ timeoutMs: 5 })), "ERR_MANTARAY_QUEUE_EMPTY");
    await queue.putNoWait(1);
    await queue.put(2, { timeoutMs: 0 });
    assert.deepEqual([await queue.empty(), await queue.full(), await queue.size()], [false, true, 2]);
    assert.equal(await codeOf(queue.putNoWait(3)), "ERR_MANTARAY_QUEUE_FULL");
    assert.equal(await codeOf(queue.put(3, { timeoutMs: 0 })), "ERR_MANTARAY_QUEUE_FULL");
    assert.equal(await codeOf(queue.put(3, { timeoutMs: 5 })), "ERR_MANTARAY_QUEUE_FULL");
    assert.deepEqual([await queue.get(), await queue.getNoWait()], [1, 2]);
    assert.equal(await queue.size(), 0, "what was given up is not in");
  });

  it("moves batches whole or not at all", async () => {
    const queue = new ray.Queue<number>({ maxSize: 4 });
    await queue.putBatch([1, 2, 3]);
    assert.equal(await codeOf(queue.putBatch([4, 5])), "ERR_MANTARAY_QUEUE_FULL");
    assert.equal(await codeOf(queue.getBatch(4)), "ERR_MANTARAY_QUEUE_EMPTY");
    await queue.putBatch([]);
    assert.deepEqual(await queue.getBatch(0), []);
    assert.deepEqual(await queue.getBatch(3), [1, 2, 3]);
    assert.equal(await codeOf(queue.getBatch(-1)), "ERR_MANTARAY_INVALID_ARGUMENT");
    assert.equal(await codeOf(queue.putBatch("abc" as never)), "ERR_MANTARAY_INVALID_ARGUMENT");
  });

  it("a batch serves those who wait", async () => {
    const queue = new ray.Queue<number>({ maxSize: 3 });
    const waiting = [queue.get(), queue.get()];
    await queue.putBatch([1, 2, 3]);
    assert.deepEqual(await Promise.all(waiting), [1, 2]);
    const writers = [queue.put(4), queue.put(5), queue.put(6), queue.put(7)];
    assert.deepEqual(await queue.getBatch(3), [3, 4, 5]);
    await Promise.all(writers);
    assert.deepEqual(await queue.getBatch(2), [6, 7]);
  });

  it("a thousand readers wait at once, and are served in order", async () => {
    const queue = new ray.Queue<number>();
    const readers = numbers(1000).map(() => queue.get());
    await queue.putBatch(numbers(500));
    for (const item of numbers(500)) await queue.put(500 + item);
    assert.deepEqual(await Promise.all(readers), numbers(1000));
  });

  it("a thousand writers wait at once, and come in in order", async () => {
    const queue = new ray.Queue<number>({ maxSize: 1 });
    const writers = numbers(1000).map((item) => queue.put(item));
    const got: number[] = [];
    for (let count = 0; count < 1000; count++) got.push(await queue.get());
    await Promise.all(writers);
    assert.deepEqual(got, numbers(1000));
  });

  it("ten thousand readers in one worker do not keep its writers away, nor the other way round", async () => {
    const queue = new ray.Queue<number>({ maxSize: 1 });
    const readers = numbers(10_000).map(() => queue.get());
    const late = codeOf(queue.get({ timeoutMs: 1 }));
    for (let item = 0; item < 10_000; item += 500) await Promise.all(numbers(500).map((next) => queue.put(item + next)));
    assert.equal((await Promise.all(readers)).every((item, index) => item === index), true);
    assert.equal(await late, "ERR_MANTARAY_QUEUE_EMPTY");
    const writers = numbers(10_000).map((item) => queue.put(item));
    const got: number[] = [];
    while (got.length < 10_000) got.push(...await Promise.all(numbers(500).map(() => queue.get())));
    await Promise.all(writers);
    assert.equal(got.every((item, index) => item === index), true);
  });

  it("works in tasks and actors, as an argument, inside values and captured", async () => {
    const queue = new ray.Queue<number>({ maxSize: 10 });
    class Producer {
      readonly #queue: ray.Queue<number>;
      constructor({ target }: { target: ray.Queue<number> }) { this.#queue = target; }
      async produce(from: number, to: number): Promise<void> {
        for (let item = from; item < to; item++) await this.#queue.put(item);
      }
    }
    const RemoteProducer = ray.remote(Producer);
    const producers = [RemoteProducer.remote({ target: queue }), RemoteProducer.remote({ target: queue })] as const;
    const consume = ray.remote(async (from: ray.Queue<number>, count: number) => {
      const items: number[] = [];
      while (items.length < count) items.push(await from.get());
      return items;
    });
    const consumers = [consume.remote(queue, 50), consume.remote(queue, 50)] as const;
    await ray.get([producers[0].produce.remote(0, 50), producers[1].produce.remote(1000, 1050)]);
    const items = await ray.get(consumers);
    assert.deepEqual(items.flat().sort((a, b) => a - b), [...numbers(50), ...numbers(50).map((item) => 1000 + item)]);
    for (const half of items) for (const part of [half.filter((item) => item < 1000), half.filter((item) => item >= 1000)]) assert.deepEqual(part, [...part].sort((a, b) => a - b), "each producer's order is kept");

    const captured = ray.remote(async () => {
      await queue.put(7);
      const passedOn = ray.remote(async (again: ray.Queue<number>) => again.get());
      return { got: await ray.get(passedOn.remote(queue)), queue };
    });
    const { got, queue: back } = await ray.get(captured.remote());
    assert.equal(got, 7);
    assert.ok(back instanceof ray.Queue);
    await back.put(8);
    assert.equal(await queue.get(), 8);
  });

  it("is found by name", async () => {
    const options = { maxSize: 1, actorOptions: { name: `queue-${isolation}`, getIfExists: true } };
    const first = new ray.Queue<string>(options);
    await first.put("here");
    const there = ray.remote(async (given: ray.QueueOptions) => new ray.Queue<string>(given).get());
    assert.equal(await ray.get(there.remote(options)), "here");
  });

  it("a reader that gives up loses nothing: the item goes to the next", async () => {
    const queue = new ray.Queue<number>();
    const abort = new AbortController();
    const aborted = queue.get({ signal: abort.signal });
    const next = queue.get();
    abort.abort(new Error("enough"));
    await assert.rejects(aborted, { message: "enough" });
    await queue.put(1);
    assert.equal(await next, 1);
    await assert.rejects(queue.get({ signal: abort.signal }), { message: "enough" });

    // Giving up races with the items: each of them still arrives exactly once, and in order.
    const total = 300;
    const got: number[] = [];
    const putting = (async () => { for (const item of numbers(total)) await queue.put(item); })();
    while (got.length < total) {
      try {
        got.push(await queue.get({ timeoutMs: 0.05 }));
      } catch (error) {
        assert.ok(error instanceof ray.QueueEmptyError, String(error));
      }
    }
    await putting;
    assert.deepEqual(got, numbers(total));
    assert.equal(await queue.size(), 0);
  });

  it("a writer that gives up leaves nothing behind", async () => {
    const queue = new ray.Queue<string>({ maxSize: 1 });
    await queue.put("first");
    const abort = new AbortController();
    const aborted = queue.put("never", { signal: abort.signal });
    const next = queue.put("second");
    abort.abort();
    await assert.rejects(aborted, { name: "AbortError" });
    assert.deepEqual([await queue.get(), await queue.get()], ["first", "second"]);
    await next;
    assert.equal(await queue.size(), 0);
  });

  it("what a worker waits for goes to the next when the worker dies", async () => {
    class Waiter {
      /** Resolves when both wait in the queue. */
      async begin(queue: ray.Queue<number>, full: ray.Queue<number>): Promise<void> {
        for (const waiting of [queue.get(), queue.get(), full.put(-1)]) waiting.catch(() => undefined);
        await Promise.all([queue.size(), full.size()]);
      }
    }
    const [queue, full] = [new ray.Queue<number>(), new ray.Queue<number>({ maxSize: 1 })];
    await full.put(0);
    const waiter = ray.remote(Waiter).remote();
    await ray.get(waiter.begin.remote(queue, full));
    const next = [queue.get(), queue.get()];
    await ray.kill(waiter);
    await queue.put(1);
    await queue.put(2);
    assert.deepEqual(await Promise.all(next), [1, 2]);
    assert.equal(await full.get(), 0);
  });

  it("ends with shutdown: who waits, who comes later, and who iterates", async () => {
    for (const force of [false, true]) {
      const queue = new ray.Queue<number>({ maxSize: 1 });
      const consume = ray.remote(async (source: ray.Queue<number>) => {
        let sum = 0;
        for await (const item of source) sum += item;
        return sum;
      });
      const sum = consume.remote(queue);
      for (const item of [1, 2, 3]) await queue.put(item);
      while (!(await queue.empty()));
      const waiting = codeOf(queue.get());
      await queue.shutdown({ force });
      assert.equal(await waiting, "ERR_MANTARAY_ACTOR_DIED");
      const late = [queue.get(), queue.put(1), queue.size(), queue.getNoWait(), queue.putBatch([1])];
      assert.deepEqual(await Promise.all(late.map(codeOf)), late.map(() => "ERR_MANTARAY_ACTOR_DIED"));
      assert.equal(await ray.get(sum), 6);
      await queue.shutdown({ force });
    }
  });

  it("an iteration that is left takes nothing more; a queue whose actor crashed ends it with an error", async () => {
    const queue = new ray.Queue<number>();
    await queue.putBatch([1, 2, 3]);
    for await (const item of queue) if (item === 2) break;
    const iterator = queue[Symbol.asyncIterator]();
    assert.deepEqual(await iterator.next(), { done: false, value: 3 });
    const pending = iterator.next();
    await iterator.return?.();
    assert.deepEqual(await pending, { done: true, value: undefined });
    await queue.put(4);
    assert.equal(await queue.get(), 4);

    class Owner {
      readonly #queue = new ray.Queue<number>();
      give(): ray.Queue<number> { return this.#queue; }
      crash(): void { process.exit(3); }
    }
    const owner = ray.remote(Owner).remote();
    const doomed = await ray.get(owner.give.remote());
    const sum = (async () => { for await (const item of doomed) assert.fail(`there is no item, but got ${item}`); })();
    owner.crash.remote();
    await assert.rejects(sum, ray.ActorDiedError);
  });

  it("ends when no Queue object is left that leads to it", async () => {
    const name = `forgotten-${isolation}`;
    await (async () => {
      const queue = new ray.Queue<number>({ actorOptions: { name } });
      await queue.put(1);
      const waiting = [queue.get(), queue.get()];
      await queue.put(2);
      await Promise.all(waiting);
    })();
    await eventuallyCollected("the queue to end", async () => (await ray.listNamedActors()).every((actor) => actor.name !== name));
  });

  it("refuses wrong options", async () => {
    for (const options of [{ maxSize: -1 }, { maxSize: 1.5 }, { size: 1 }, { actorOptions: { numCpu: 1 } }]) assert.throws(() => new ray.Queue(options as never), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
    const queue = new ray.Queue<number>();
    assert.equal(await codeOf(queue.get({ timeoutMs: -1 })), "ERR_MANTARAY_INVALID_ARGUMENT");
    assert.equal(await codeOf(queue.put(1, { timeout: 5 } as never)), "ERR_MANTARAY_INVALID_ARGUMENT");
    assert.equal(await codeOf(queue.put(Promise.resolve(1) as never)), "ERR_MANTARAY_SERIALIZATION");
    assert.equal(await queue.size(), 0);
  });

  it("loses nothing with a call that is cancelled, and goes on for others that use it", async () => {
    class Reader {
      readonly queue: ray.Queue<string>;
      constructor(queue: ray.Queue<string>) { this.queue = queue; }
      async read(): Promise<string> { return this.queue.get(); }
    }
    const queue = new ray.Queue<string>();
    const reader = ray.remote(Reader).remote(queue);
    // The first one is the first to use the queue in that worker.
    const [first, second] = [reader.read.remote(), reader.read.remote()];
    await ray.wait([first, second], { timeoutMs: 50 });
    await ray.cancel(first);
    assert.equal(await codeOf(ray.get(first)), "ERR_MANTARAY_TASK_CANCELLED");
    await queue.put("an item");
    assert.equal(await ray.get(second), "an item");
    const third = reader.read.remote();
    await queue.put("another");
    assert.equal(await ray.get(third), "another");
  });
});
