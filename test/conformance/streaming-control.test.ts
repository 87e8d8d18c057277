import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";
import { eventuallyCollected } from "./garbage-collection.ts";

/** What happened elsewhere, in order. */
class Journal {
  readonly #lines: string[] = [];
  note(line: string): void { this.#lines.push(line); }
  lines(): string[] { return this.#lines; }
}
type JournalHandle = ray.ActorHandle<Journal>;

/** Notes each value before it yields it, and its end. */
const counts = ray.remote(async function* counts(journal: JournalHandle, to: number) {
  try {
    for (let value = 0; value < to; value++) {
      await ray.get(journal.note.remote(`${value}`));
      yield value;
    }
    await ray.get(journal.note.remote("done"));
  } finally {
    await ray.get(journal.note.remote("finally"));
  }
});

/** Never waits for anything, and never ends by itself. */
const endless = ray.remote(function* endless(journal: JournalHandle) {
  try {
    for (let value = 0; ; value++) yield { value };
  } finally {
    journal.note.remote("finally").release();
  }
});

async function all<T>(refs: AsyncIterable<ray.ObjectRef<T>>): Promise<T[]> {
  const values: T[] = [];
  for await (const ref of refs) values.push(await ray.get(ref));
  return values;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

async function withJournal(body: (journal: JournalHandle, lines: () => Promise<string[]>) => Promise<void>): Promise<void> {
  const journal = ray.remote(Journal).remote();
  await body(journal, () => ray.get(journal.lines.remote()));
  journal.release();
}

const CPUS = 2;

underBothIsolations("generatorBackpressure", { numCpus: CPUS, isOnOneOfThem: true }, (isolation) => {
  for (const bound of [1, 3, 4]) {
    it(`${bound}: pauses with so many values that nobody has taken, and goes on with each that is`, () => withJournal(async (journal, lines) => {
      const stream = counts.options({ generatorBackpressure: bound }).remote(journal, 10);
      await eventually(`${bound} values`, async () => (await lines()).length === bound);
      for (let round = 0; round < 20; round++) assert.equal((await lines()).length, bound);
      assert.equal(await ray.get((await stream.next()).value as ray.ObjectRef<number>), 0);
      await eventually("one more value", async () => (await lines()).length === bound + 1);
      for (let round = 0; round < 20; round++) assert.equal((await lines()).length, bound + 1);
      assert.equal(stream.isFinished(), false);
      assert.deepEqual(await all(stream), upTo(10).slice(1));
      assert.deepEqual(await lines(), [...upTo(10).map(String), "done", "finally"]);
    }));
  }

  it("-1 and undefined: without limit", () => withJournal(async (journal, lines) => {
    for (const generatorBackpressure of [-1, undefined as never]) {
      const stream = counts.options({ generatorBackpressure }).remote(journal, 5);
      await ray.get(stream.completed());
      assert.deepEqual(await all(stream), upTo(5));
    }
    assert.equal((await lines()).length, 14);
  }));

  it("gives its processors to others while it is paused", async () => {
    const numbers = ray.remote(function* () { for (let value = 0; value < 6; value++) yield value; }, { numCpus: CPUS, generatorBackpressure: 1 });
    const twice = ray.remote((value: number) => value * 2, { numCpus: CPUS });
    const stream = numbers.remote();
    const values: number[] = [];
    for await (const ref of stream) values.push(await ray.get(twice.remote(ref)));
    assert.deepEqual(values, [0, 2, 4, 6, 8, 10]);
  });

  it("lets a task consume a generator that needs the same processors", async () => {
    const sums = ray.remote(async () => {
      const numbers = ray.remote(function* () { for (let value = 1; value <= 10; value++) yield value; }, { numCpus: 2, generatorBackpressure: 2 });
      let sum = 0;
      for await (const ref of numbers.remote()) sum += await ray.get(ref);
      return sum;
    }, { numCpus: CPUS });
    assert.deepEqual(await ray.get([sums.remote(), sums.remote()]), [55, 55]);
  });

  it("works with wait(), and with several streams at once", async () => {
    const letters = ray.remote(function* (name: string) { for (let index = 0; index < 5; index++) yield `${name}${index}`; }, { generatorBackpressure: 1 });
    let streams = ["a", "b", "c"].map((name) => letters.remote(name));
    const seen: string[] = [];
    while (streams.length > 0) {
      const [[ready]] = await ray.wait(streams);
      const { value, done } = await (ready as (typeof streams)[number]).next();
      if (done === true) streams = streams.filter((stream) => stream !== ready);
      else seen.push(await ray.get(value));
    }
    assert.deepEqual(seen.sort(), ["a", "b", "c"].flatMap((name) => upTo(5).map((index) => `${name}${index}`)));
  });

  it("answers several next() at once, in order", async () => {
    const numbers = ray.remote(function* () { for (let value = 0; value < 3; value++) yield value; }, { generatorBackpressure: 1 });
    const stream = numbers.remote();
    const results = await Promise.all(upTo(5).map(() => stream.next()));
    assert.deepEqual(results.map(({ done }) => done), [false, false, false, true, true]);
    assert.deepEqual(await ray.get(results.slice(0, 3).map(({ value }) => value as ray.ObjectRef<number>)), [0, 1, 2]);
  });

  it("streams large values, one at a time", async () => {
    const blocks = ray.remote(function* (count: number) { for (let block = 0; block < count; block++) yield { block, bytes: new Uint8Array(200 * 1024).fill(block), numbers: new Float64Array(50_000).fill(block / 2) }; }, { generatorBackpressure: 1 });
    let expected = 0;
    for await (const ref of blocks.remote(6)) {
      const { block, bytes, numbers } = await ray.get(ref);
      assert.equal(block, expected);
      assert.equal(bytes.length, 200 * 1024);
      assert.ok(bytes.every((byte) => byte === block) && numbers.every((number) => number === block / 2));
      expected++;
    }
    assert.equal(expected, 6);
  });

  it("is an option of methods: in the class's options, and of one call", () => withJournal(async (journal, lines) => {
    class Source {
      *numbers(log: JournalHandle) { for (let value = 0; value < 5; value++) { log.note.remote(`${value}`).release(); yield value; } }
    }
    const bounded = ray.remote(Source, { methods: { numbers: { generatorBackpressure: 2 } } }).remote();
    const stream = bounded.numbers.remote(journal);
    await eventually("2 values", async () => (await lines()).length === 2);
    for (let round = 0; round < 20; round++) assert.equal((await lines()).length, 2);
    assert.deepEqual(await all(stream), upTo(5));
    const free = ray.remote(Source).remote();
    const one = free.numbers.options({ generatorBackpressure: 1 }).remote(journal) as unknown as ray.ObjectRefGenerator<number>;
    await eventually("1 value more", async () => (await lines()).length === 6);
    for (let round = 0; round < 20; round++) assert.equal((await lines()).length, 6);
    assert.deepEqual(await all(one), upTo(5));
    bounded.release();
    free.release();
  }));

  it("pauses one stream of an actor with async methods and not the other", async () => {
    class Source { async *numbers(to: number) { for (let value = 0; value < to; value++) yield value; } }
    const source = ray.remote(Source, { methods: { numbers: { generatorBackpressure: 1 } } }).remote();
    const [paused, other] = [source.numbers.remote(4), source.numbers.remote(4)];
    assert.deepEqual(await all(other), upTo(4));
    assert.deepEqual(await all(paused), upTo(4));
    source.release();
  });

  it("refuses what is no limit, and calls that stream nothing", () => {
    for (const wrong of [0, -2, 1.5, "2", null, Number.NaN]) {
      const options = { generatorBackpressure: wrong as number };
      assert.throws(() => counts.options(options), (error: unknown) => error instanceof ray.InvalidArgumentError && /generatorBackpressure.*1 or more/.test(error.message));
      assert.throws(() => ray.remote(class { *list() { yield 1; } }, { methods: { list: options } }), ray.InvalidArgumentError);
    }
    const plain = ray.remote(function plain() { return 1; });
    assert.throws(() => plain.options({ generatorBackpressure: 2 }).remote(), (error: unknown) => error instanceof ray.InvalidArgumentError && /generatorBackpressure.*plain/.test(error.message));
    const actor = ray.remote(class Plain { one() { return 1; } }).remote();
    assert.throws(() => actor.one.options({ generatorBackpressure: 2 }).remote(), (error: unknown) => error instanceof ray.InvalidArgumentError && /generatorBackpressure.*Plain\.one/.test(error.message));
    actor.release();
  });

  it("is no value: refs from it are", async () => {
    const numbers = ray.remote(function* () { yield 1; });
    const take = ray.remote((value: unknown) => value);
    const stream = numbers.remote();
    for (const wrong of [stream, { deep: [stream] }]) assert.throws(() => take.remote(wrong), (error: unknown) => error instanceof ray.SerializationError && /ObjectRefGenerator cannot be passed on/.test(error.message));
    assert.equal(await ray.get(take.remote((await stream.next()).value)), 1);
  });

  it("ends with its owner, also while it is paused", () => withJournal(async (journal, lines) => {
    class Owner {
      stream: ray.ObjectRefGenerator<number> | null = null;
      async begin(log: JournalHandle) { this.stream = counts.options({ generatorBackpressure: 1 }).remote(log, 100); await this.stream.next(); return "begun"; }
    }
    const owner = ray.remote(Owner).remote();
    await ray.get(owner.begin.remote(journal));
    await eventually("the pause", async () => (await lines()).length === 2);
    ray.kill(owner);
    await eventually("the end", async () => (await lines()).includes("finally"));
    assert.deepEqual(await lines(), ["0", "1", "finally"]);
    await everythingFree();
  }));

  for (const generatorBackpressure of [undefined, 1, 3]) {
    it(`${generatorBackpressure}: goes on where it was when its worker dies; nothing is lost, nothing comes twice`, () => withJournal(async (journal, lines) => {
      const breaks = ray.remote(async function* (log: JournalHandle) {
        await ray.get(log.note.remote("run"));
        const runs = (await ray.get(log.lines.remote())).length;
        for (let value = 0; value < 6; value++) {
          if (value === 2 * runs && runs < 3) process.exit(1);
          yield value;
        }
      });
      // The worker of the log must not be the one that ends: an actor has one of its own.
      const stream = breaks.options({ generatorBackpressure: generatorBackpressure as number }).remote(journal) as unknown as ray.ObjectRefGenerator<number>;
      assert.deepEqual(await all(stream), upTo(6));
      assert.equal((await lines()).length, 3);
    }));
  }

  if (isolation === "process") {
    it("reports a worker that was killed in the middle, after what it had yielded", async () => {
      const pids = ray.remote(function* () { for (;;) yield process.pid; }, { generatorBackpressure: 1, maxRetries: 0 });
      const stream = pids.remote();
      const pid = await ray.get((await stream.next()).value as ray.ObjectRef<number>);
      await ray.get((await stream.next()).value as ray.ObjectRef<number>);
      process.kill(pid, "SIGKILL");
      await assert.rejects(all(stream), ray.WorkerCrashedError);
      await assert.rejects(ray.get(stream.completed()), ray.WorkerCrashedError);
    });
  }
});

underBothIsolations("the end of a stream", { numCpus: CPUS, isOnOneOfThem: true }, () => {
  it("comes early with break: an endless generator is stopped, its finally runs, and its worker is free", () => withJournal(async (journal, lines) => {
    const stream = endless.options({ numCpus: CPUS }).remote(journal);
    for await (const ref of stream) if ((await ray.get(ref)).value === 3) break;
    assert.equal(stream.isFinished(), true);
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
    assert.equal(await ray.get(stream.completed()), undefined);
    await eventually("its finally", async () => (await lines()).length === 1);
    await everythingFree();
  }));

  it("comes early for one that never lets its worker's event loop turn by itself", () => withJournal(async (journal) => {
    const spinning = ray.remote(async function* () { for (;;) yield 1; });
    const paused = endless.options({ generatorBackpressure: 1 }).remote(journal);
    for (const begin of [() => endless.remote(journal), () => spinning.remote(), () => endless.options({ generatorBackpressure: 2 }).remote(journal), () => spinning.options({ generatorBackpressure: 1000 }).remote()]) {
      const stream = begin();
      await stream.next();
      await stream.return?.();
      await ray.get(stream.completed());
    }
    await paused.return?.();
    await ray.get(paused.completed());
  }));

  it("comes early in a pause", () => withJournal(async (journal, lines) => {
    const stream = counts.options({ generatorBackpressure: 2 }).remote(journal, 100);
    await eventually("the pause", async () => (await lines()).length === 2);
    assert.deepEqual(await stream.return?.(), { done: true, value: undefined });
    await ray.get(stream.completed());
    assert.deepEqual(await lines(), ["0", "1", "finally"]);
    assert.deepEqual(await ray.wait([stream]), [[stream], []]);
  }));

  it("comes early for next() that waits already, and for wait()", () => withJournal(async (journal) => {
    const stuck = ray.remote(async function* (log: JournalHandle) { await ray.get(log.note.remote("begun")); await new Promise((resolve) => setTimeout(resolve, 50)); yield 1; });
    const stream = stuck.remote(journal);
    const waiting = [stream.next(), ray.wait([stream])] as const;
    await stream.return?.();
    assert.deepEqual(await waiting[0], { done: true, value: undefined });
    assert.deepEqual(await waiting[1], [[stream], []]);
    await ray.get(stream.completed());
  }));

  it("before the beginning: the generator's body never runs", () => withJournal(async (journal, lines) => {
    class Gate {
      #open = (): void => undefined;
      readonly #opened = new Promise<void>((resolve) => { this.#open = resolve; });
      async wait() { await this.#opened; }
      open() { this.#open(); }
    }
    const gate = ray.remote(Gate).remote();
    const opened = gate.wait.remote();
    // One waits for its argument, one for its turn in an actor.
    const afterGate = ray.remote(async function* (_: void, log: JournalHandle) { await ray.get(log.note.remote("ran")); yield 1; }).remote(opened, journal);
    const Busy = ray.remote(class Busy { async block(handle: ray.ActorHandle<Gate>) { await ray.get(handle.wait.remote()); } *list(log: JournalHandle) { log.note.remote("ran").release(); yield 1; } }, { maxConcurrency: 1 });
    const busy = Busy.remote();
    const blocked = busy.block.remote(gate);
    const afterBlock = busy.list.remote(journal);
    for (const stream of [afterGate, afterBlock]) await stream.return?.();
    await ray.get(gate.open.remote());
    await ray.get(blocked);
    for (const stream of [afterGate, afterBlock]) assert.equal(await ray.get(stream.completed()), undefined);
    assert.deepEqual(await lines(), []);
    for (const handle of [gate, busy]) handle.release();
  }));

  it("early in a method lets the actor go on with its next call", () => withJournal(async (journal, lines) => {
    class Source {
      *numbers(log: JournalHandle) { try { for (let value = 0; ; value++) yield value; } finally { log.note.remote("finally").release(); } }
      ping() { return "pong"; }
    }
    const source = ray.remote(Source).remote();
    for await (const ref of source.numbers.remote(journal)) if (await ray.get(ref) === 2) break;
    assert.equal(await ray.get(source.ping.remote()), "pong");
    await eventually("its finally", async () => (await lines()).length === 1);
    source.release();
  }));

  it("is an error when the generator's finally throws, seen by completed() alone", async () => {
    const cleanUp = (): never => { throw new RangeError("cannot clean up"); };
    const breaks = ray.remote(function* () { try { for (;;) yield 1; } finally { cleanUp(); } });
    const stream = breaks.remote();
    await stream.next();
    assert.deepEqual(await stream.return?.(), { done: true, value: undefined });
    assert.equal((await stream.next()).done, true);
    await assert.rejects(ray.get(stream.completed()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
  });

  it("comes after the error's ref, which comes after the values", async () => {
    const breaks = ray.remote(function* (): Generator<number> { yield 1; yield 2; throw new RangeError("out of numbers"); }, { generatorBackpressure: 5 });
    const stream = breaks.remote();
    await assert.rejects(ray.get(stream.completed()), ray.TaskError);
    assert.equal(stream.isFinished(), false);
    assert.equal(await ray.get((await stream.next()).value as ray.ObjectRef<number>), 1);
    assert.equal(await ray.get((await stream.next()).value as ray.ObjectRef<number>), 2);
    assert.equal(stream.isFinished(), false);
    const last = await stream.next();
    assert.equal(last.done, false);
    await assert.rejects(ray.get(last.value as ray.ObjectRef<number>), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
    assert.equal(stream.isFinished(), true);
    assert.equal((await stream.next()).done, true);
  });

  it("lets the generator clean up when one of its values cannot be sent", () => withJournal(async (journal, lines) => {
    const unsendable = ray.remote(async function* (log: JournalHandle): AsyncGenerator<unknown> { try { yield 1; yield new WeakMap(); } finally { await ray.get(log.note.remote("finally")); } });
    await assert.rejects(all(unsendable.remote(journal)), ray.SerializationError);
    assert.deepEqual(await lines(), ["finally"]);
  }));

  it("comes when nobody holds the stream any more", () => withJournal(async (journal, lines) => {
    const begin = async (): Promise<void> => {
      for (const stream of [endless.options({ generatorBackpressure: 100 }).remote(journal), counts.options({ generatorBackpressure: 1 }).remote(journal, 100)]) await stream.next();
    };
    await begin();
    await eventuallyCollected("both to end", async () => (await lines()).filter((line) => line === "finally").length === 2);
    assert.equal((await lines()).includes("done"), false);
    await everythingFree();
  }));

  it("is not hastened when only completed() is held: the values are dropped", () => withJournal(async (journal, lines) => {
    const begin = async (): Promise<ray.ObjectRef<void>> => {
      const stream = counts.options({ generatorBackpressure: 1 }).remote(journal, 20);
      await stream.next();
      return stream.completed();
    };
    const completed = await begin();
    await eventuallyCollected("the end", async () => (await lines()).includes("finally"));
    assert.equal(await ray.get(completed), undefined);
    assert.deepEqual(await lines(), [...upTo(20).map(String), "done", "finally"]);
  }));

  it("finds its task in every generator of a worker: each gives up its processor for what it waits for", async () => {
    const child = ray.remote((value: number) => value + 1, { numCpus: CPUS });
    const parent = ray.remote(async function* (task: typeof child) { for (let value = 0; value < 3; value++) yield await ray.get(task.remote(value)); });
    const promising = ray.remote(function* (task: typeof child) { for (let value = 0; value < 3; value++) yield ray.get(task.remote(value)); });
    const streams = [parent, promising as unknown as typeof parent, parent, parent].map((generator) => generator.remote(child));
    assert.deepEqual(await Promise.all(streams.map((stream) => all(stream))), streams.map(() => [1, 2, 3]));
  });
});

it("a paused generator does not keep a program from its end", async () => {
  const run = await runProgram({ files: { "main.mjs": `
    import * as ray from "mantaray";
    const stream = ray.remote(function* () { for (;;) yield 1; }, { generatorBackpressure: 2 }).remote();
    console.log(await ray.get((await stream.next()).value));
    globalThis.kept = stream;
  ` } });
  assert.deepEqual({ exitCode: run.exitCode, stdout: run.stdout, stderr: run.stderr }, { exitCode: 0, stdout: "1\n", stderr: "" });
});
