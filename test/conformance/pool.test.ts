import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const codeOf = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "no error", (error: { code?: string }) => error.code ?? error);
const whoAmI = (): string => ray.getRuntimeContext().actorId as string;

/** Lets two go on when both are there. */
class Meeting {
  #arrive!: () => void;
  readonly #met = new Promise<void>((resolve) => { this.#arrive = resolve; });
  #count = 0;
  async meet(): Promise<number> {
    if (++this.#count === 2) this.#arrive();
    await this.#met;
    return this.#count;
  }
}

underBothIsolations("Pool", { numCpus: 2 }, () => {
  it("applies and maps functions, synchronous and asynchronous, in order", async () => {
    await using pool = new ray.Pool({ processes: 2 });
    const offset = 100;
    assert.equal(await pool.apply((a: number, b: number) => a + b + offset, [1, 2]), 103);
    assert.equal(await pool.apply(() => "no arguments"), "no arguments");
    assert.deepEqual(await pool.map((value: number) => value * value, numbers(50)), numbers(50).map((value) => value * value));
    assert.deepEqual(await pool.map(async (value: number) => value + offset, new Set([1, 2, 3]), { chunkSize: 2 }), [101, 102, 103]);
    assert.deepEqual(await pool.starmap((text: string, times: number) => text.repeat(times), [["a", 1], ["b", 2], ["c", 3]]), ["a", "bb", "ccc"]);
    assert.deepEqual(await pool.map((value: number) => value, []), []);
  });

  it("has as many workers as the cluster has processors, and uses all", async () => {
    await using pool = new ray.Pool();
    const meeting = ray.remote(Meeting).remote();
    // Each waits for the other: this ends only if both run at once.
    const seen = await pool.map(async (handle: typeof meeting) => [await ray.get(handle.meet.remote()), whoAmI()] as const, [meeting, meeting], { chunkSize: 1 });
    assert.equal(new Set(seen.map(([, actorId]) => actorId)).size, 2);
  });

  it("gives results that may be asked for later", async () => {
    await using pool = new ray.Pool({ processes: 1 });
    class Gate {
      open!: () => void;
      readonly opened = new Promise<void>((resolve) => { this.open = resolve; });
      pass(): Promise<void> { return this.opened; }
      let(): void { this.open(); }
    }
    const gate = ray.remote(Gate, { maxConcurrency: 2 }).remote();
    const result = pool.applyAsync(async (handle: typeof gate) => { await ray.get(handle.pass.remote()); return "passed"; }, [gate]);
    const behind = pool.mapAsync((value: number) => value + 1, [1, 2]);
    assert.equal(result.ready(), false);
    assert.throws(() => result.successful(), { code: "ERR_MANTARAY_RUNTIME_STATE" });
    assert.equal(await result.wait({ timeoutMs: 5 }), false);
    assert.equal(await codeOf(result.get({ timeoutMs: 5 })), "ERR_MANTARAY_GET_TIMEOUT");
    await assert.rejects(result.get({ signal: AbortSignal.abort(new Error("no more")) }), { message: "no more" });
    const abort = new AbortController();
    const aborted = behind.wait({ signal: abort.signal });
    abort.abort(new Error("enough"));
    await assert.rejects(aborted, { message: "enough" });
    gate.let.remote();
    assert.equal(await result.get({ timeoutMs: 60_000 }), "passed");
    assert.deepEqual(await behind.get(), [2, 3]);
    assert.deepEqual([result.ready(), result.successful(), behind.successful()], [true, true, true]);

    const failing = pool.applyAsync(() => { throw new RangeError("no"); });
    assert.equal(await failing.wait(), true);
    assert.equal(failing.successful(), false);
    await assert.rejects(failing.get(), ray.TaskError);
    await assert.rejects(failing.get(), ray.TaskError);
  });

  it("reads what imap is given as results are taken, in order or as they come", async () => {
    await using pool = new ray.Pool({ processes: 2 });
    let read = 0;
    async function* endless(): AsyncGenerator<number> { for (;;) yield read++; }
    const ordered: number[] = [];
    for await (const value of pool.imap((value: number) => value * 2, endless())) if (ordered.push(value) === 10) break;
    assert.deepEqual(ordered, numbers(10).map((value) => value * 2));
    assert.ok(read <= 10 + 2 * 2 + 1, `${read} values were read for 10 results`);
    const unordered: number[] = [];
    for await (const value of pool.imapUnordered((value: number) => value * 2, numbers(25), { chunkSize: 4 })) unordered.push(value);
    assert.deepEqual(unordered.sort((a, b) => a - b), numbers(25).map((value) => value * 2));
    assert.equal(await pool.apply(() => "still usable"), "still usable");
  });

  it("rejects with the first error, and shows others", async () => {
    await using pool = new ray.Pool({ processes: 2 });
    class OutOfRange extends RangeError {}
    const square = function square(value: number): number {
      if (value === 3) throw new OutOfRange(`${value} is too large`);
      return value * value;
    };
    const error = await pool.map(square, numbers(5), { chunkSize: 1 }).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof ray.TaskError && error.cause instanceof OutOfRange, String(error));
    assert.equal(error.functionName, "square");
    const results: unknown[] = [];
    const iterator = pool.imap(square, numbers(5));
    for (let step = 0; step < 6; step++) results.push(await iterator.next().then(({ value }) => value as number | undefined, ({ cause }: Error) => (cause as Error).message));
    assert.deepEqual(results, [0, 1, 4, "3 is too large", 16, undefined]);

    const warning = new Promise<Error>((resolve) => {
      process.on("warning", function hear(one) {
        if (!one.message.includes("both()")) return;
        process.off("warning", hear);
        resolve(one);
      });
    });
    const meeting = ray.remote(Meeting).remote();
    await assert.rejects(pool.map(async function both(handle: typeof meeting) {
      await ray.get(handle.meet.remote());
      throw new Error("one of two");
    }, [meeting, meeting], { chunkSize: 1 }), ray.TaskError);
    assert.match((await warning).message, /a further call of both\(\) in a Pool failed/);
    assert.equal(await codeOf(pool.map((value: unknown) => value, [Promise.resolve(1)])), "ERR_MANTARAY_SERIALIZATION");
    assert.equal(await pool.apply(() => "still usable"), "still usable");
  });

  it("prepares each worker, and replaces it after so many tasks, or when it dies", async () => {
    await using pool = new ray.Pool({
      processes: 1, maxTasksPerChild: 2,
      initializer: async (name: string) => { (globalThis as { prepared?: string }).prepared = `${name} ${whoAmI()}`; }, initArgs: ["by"],
    });
    const seen = await pool.map((_: number) => [(globalThis as { prepared?: string }).prepared, whoAmI()] as const, numbers(5), { chunkSize: 1 });
    for (const [prepared, actorId] of seen) assert.equal(prepared, `by ${actorId}`);
    const workers = seen.map(([, actorId]) => actorId);
    assert.deepEqual(workers.map((worker) => workers.indexOf(worker)), [0, 0, 2, 2, 4]);

    await using fragile = new ray.Pool({ processes: 1 });
    const results = [fragile.apply(() => "before"), fragile.apply(() => process.exit(3)), fragile.apply(() => "after")];
    assert.deepEqual(await Promise.all(results.map((result) => result.catch((error: { code: string }) => error.code))), ["before", "ERR_MANTARAY_ACTOR_DIED", "after"]);

    await using broken = new ray.Pool({ processes: 1, initializer: () => { throw new RangeError("not today"); } });
    for (let attempt = 0; attempt < 2; attempt++) await assert.rejects(broken.apply(() => 1), (error: ray.ActorDiedError) => error instanceof ray.ActorDiedError && (error.cause as Error) instanceof RangeError);
  });

  it("close lets the work end, join waits for it, terminate does not", async () => {
    const pool = new ray.Pool({ processes: 2 });
    await assert.rejects(pool.join(), { code: "ERR_MANTARAY_RUNTIME_STATE" });
    const mapped = pool.mapAsync((value: number) => value + 1, numbers(20), { chunkSize: 1 });
    const iterated = pool.imap((value: number) => value - 1, numbers(20));
    const worker = await pool.apply(whoAmI);
    pool.close();
    pool.close();
    assert.equal(await codeOf(pool.apply(() => 1)), "ERR_MANTARAY_RUNTIME_STATE");
    assert.equal(await codeOf(pool.map((value: number) => value, [1])), "ERR_MANTARAY_RUNTIME_STATE");
    assert.throws(() => pool.imap((value: number) => value, [1]), { code: "ERR_MANTARAY_RUNTIME_STATE", message: /closed/ });
    await pool.join();
    assert.equal(mapped.ready(), true);
    assert.deepEqual(await mapped.get(), numbers(20).map((value) => value + 1));
    const rest: number[] = [];
    for await (const value of iterated) rest.push(value);
    assert.deepEqual(rest, numbers(20).map((value) => value - 1));
    assert.equal(typeof worker, "string");

    const ended = new ray.Pool({ processes: 1 });
    const never = [ended.applyAsync(() => new Promise(() => undefined)), ended.applyAsync(() => "behind it")];
    const iterator = ended.imap((value: number) => value, numbers(3))[Symbol.asyncIterator]();
    const next = codeOf(iterator.next());
    await ended.terminate();
    await ended.join();
    for (const result of never) assert.equal(await codeOf(result.get()), "ERR_MANTARAY_RUNTIME_STATE");
    assert.equal(await next, "ERR_MANTARAY_RUNTIME_STATE");
    assert.throws(() => ended.applyAsync(() => 1), { message: /terminated/ });
  });

  it("refuses wrong options and arguments", async () => {
    for (const options of [{ processes: 0 }, { processes: 1.5 }, { initializer: 1 }, { initArgs: 1 }, { maxTasksPerChild: 0 }, { process: 1 }]) assert.throws(() => new ray.Pool(options as never), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
    await using pool = new ray.Pool({ processes: 1 });
    assert.throws(() => pool.mapAsync("no function" as never, [1]), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
    assert.throws(() => pool.imap((value: number) => value, [1], { chunkSize: 0 }), { code: "ERR_MANTARAY_INVALID_ARGUMENT" });
  });
});
