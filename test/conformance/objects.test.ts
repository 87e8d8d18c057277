import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as ray from "mantaray";
import { eventually, underBothIsolations } from "./both-isolations.ts";

class Temperature {
  readonly #kelvin: number;
  readonly label: string;
  constructor(kelvin: number, label: string) {
    this.#kelvin = kelvin;
    this.label = label;
  }
  get celsius(): number {
    return Math.round(this.#kelvin - 273);
  }
  warmer(by: number): Temperature {
    return new Temperature(this.#kelvin + by, this.label);
  }
}

class OutOfPaper extends Error {
  readonly tray: number;
  constructor(tray: number, options?: ErrorOptions) {
    super(`tray ${tray} is empty`, options);
    this.name = "OutOfPaper";
    this.tray = tray;
  }
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Runs what makes tens of megabytes of garbage, and resolves once that is gone. */
async function leavesNoMemory(body: () => Promise<void>): Promise<void> {
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  await body();
  await eventually("the memory to come back", () => { collectGarbage(); return process.memoryUsage().arrayBuffers < before + 10_000_000; });
}

/** Everything that v8 can serialize, by name. */
function values(): Record<string, unknown> {
  const bytes = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]);
  const sparse: unknown[] = [1];
  sparse[5] = 6;
  return {
    undefined: undefined, null: null, true: true, zero: 0, "minus zero": -0, NaN: Number.NaN, infinity: -Infinity, "a large integer": 2 ** 53,
    "an empty string": "", "a string": "grün 🐟", "a lone surrogate": "\ud800", "a long string": "ab".repeat(100_000), bigint: -(2n ** 100n),
    "an empty array": [], array: [1, "a", null, undefined, [2]], "a sparse array": sparse, object: { a: 1, "b c": { d: [2] }, 7: 8 }, "no prototype": Object.assign(Object.create(null), { a: 1 }),
    date: new Date(1234567890), regexp: /a+\/b/giu, map: new Map<unknown, unknown>([["a", 1], [{ b: 2 }, new Map()]]), set: new Set<unknown>([1, "a", new Set([2])]),
    "boxed primitives": [new Number(1), new String("a"), new Boolean(false), Object(3n)],
    "typed arrays": [new Int8Array([-1]), new Uint8ClampedArray([255]), new Int16Array([-2]), new Uint16Array([2]), new Int32Array([-3]), new Uint32Array([3]), new Float32Array([0.5]), new Float64Array([0.1]), new BigInt64Array([-4n]), new BigUint64Array([4n])],
    "an empty typed array": new Float64Array(0), "a view of a part": bytes.subarray(2, 5), "a data view": new DataView(bytes.buffer, 1, 3), "an array buffer": bytes.buffer, buffer: Buffer.from("bytes"),
  };
}

underBothIsolations("objects", {}, () => {
  describe("a value that is stored and that goes through a task", () => {
    for (const [name, value] of Object.entries(values())) {
      it(`comes back equal: ${name}`, async () => {
        const echo = ray.remote((argument: unknown) => argument);
        const stored = ray.put(value);
        assert.deepEqual(await ray.get(stored), value);
        assert.deepEqual(await ray.get(echo.remote(value)), value);
        assert.deepEqual(await ray.get(echo.remote(stored)), value);
      });
    }

    it("keeps cycles and shared parts", async () => {
      const shared = { name: "shared" };
      const cyclic: { a: object; b: object; self?: unknown; map: Map<unknown, unknown> } = { a: shared, b: shared, map: new Map() };
      cyclic.self = cyclic;
      cyclic.map.set(cyclic, shared);
      const echo = ray.remote((argument: typeof cyclic) => argument);
      for (const copy of await ray.get([ray.put(cyclic), echo.remote(cyclic)])) {
        assert.equal(copy.self, copy);
        assert.equal(copy.a, copy.b);
        assert.equal(copy.map.get(copy), copy.a);
        assert.notEqual(copy, cyclic);
      }
    });

    it("keeps two views of one buffer on one buffer", async () => {
      const buffer = new ArrayBuffer(16);
      const echo = ray.remote((argument: { a: Uint8Array; b: Uint8Array }) => argument);
      for (const { a, b } of await ray.get([ray.put({ a: new Uint8Array(buffer), b: new Uint8Array(buffer, 8) }), echo.remote({ a: new Uint8Array(buffer), b: new Uint8Array(buffer, 8) })])) {
        a[8] = 5;
        assert.equal(b[0], 5);
      }
    });

    it("keeps the class of the program's own classes, private fields included", async () => {
      const warm = ray.remote((temperature: Temperature) => ({ isOne: temperature instanceof Temperature, celsius: temperature.celsius, warmer: temperature.warmer(10) }));
      const freezing = new Temperature(273, "outside");
      const stored = await ray.get(ray.put(freezing));
      assert.ok(stored instanceof Temperature);
      assert.equal(stored.celsius, 0);
      const { isOne, celsius, warmer } = await ray.get(warm.remote(freezing));
      assert.deepEqual([isOne, celsius], [true, 0]);
      assert.ok(warmer instanceof Temperature);
      assert.deepEqual([warmer.celsius, warmer.label], [10, "outside"]);
    });

    it("keeps errors: their class, cause, fields and stack", async () => {
      const echo = ray.remote((argument: Error) => argument);
      const cause = new RangeError("too small");
      const error = new OutOfPaper(2, { cause });
      for (const copy of await ray.get([ray.put(error), echo.remote(error)])) {
        assert.ok(copy instanceof OutOfPaper);
        assert.deepEqual([copy.message, copy.name, copy.tray, copy.stack], ["tray 2 is empty", "OutOfPaper", 2, error.stack]);
        assert.ok(copy.cause instanceof RangeError);
        assert.equal(copy.cause.message, "too small");
      }
      const many = await ray.get(ray.put(new AggregateError([cause, error], "both")));
      assert.ok(many instanceof AggregateError);
      assert.ok(many.errors[1] instanceof OutOfPaper);
    });

    it("may be a function", async () => {
      const offset = 5;
      const call = ray.remote((fn: (value: number) => number) => fn(1));
      assert.equal(await ray.get(call.remote((value) => value + offset)), 6);
      assert.equal((await ray.get(ray.put((value: number) => value * offset)))(2), 10);
    });

    it("may be 100 MB", async () => {
      const numbers = new Float64Array(100_000_000 / 8).fill(0.5);
      numbers[numbers.length - 1] = 7;
      const sum = ray.remote((all: Float64Array) => ({ length: all.length, last: all.at(-1), all }));
      const { length, last, all } = await ray.get(sum.remote(ray.put(numbers)));
      assert.deepEqual([length, last, all.length, all.at(-1), all[0]], [numbers.length, 7, numbers.length, 7, 0.5]);
    });
  });

  describe("put", () => {
    it("refuses a ref with a TypeError", () => {
      const ref = ray.put(1);
      assert.throws(() => ray.put(ref), (error: unknown) => error instanceof TypeError && (error as { code?: string }).code === "ERR_MANTARAY_INVALID_ARGUMENT");
    });

    it("captures the value as it is now", async () => {
      const value = { list: [1], bytes: new Float64Array([1]) };
      const ref = ray.put(value);
      value.list.push(2);
      value.bytes[0] = 2;
      assert.deepEqual(await ray.get(ref), { list: [1], bytes: new Float64Array([1]) });
    });

    it("gives every get a value of its own", async () => {
      const ref = ray.put({ list: [1] });
      const [a, b] = await ray.get([ref, ref]);
      assert.notEqual(a, b);
      a.list.push(2);
      assert.deepEqual(b, { list: [1] });
    });

    it("works in a task, and its ref outlives the task", async () => {
      const make = ray.remote((text: string) => ({ ref: ray.put({ text }) }));
      const { ref } = await ray.get(make.remote("made there"));
      assert.deepEqual(await ray.get(ref), { text: "made there" });
    });
  });

  describe("refs", () => {
    it("are equal by hex() wherever they are", async () => {
      const ref = ray.put("x");
      const hexOf = ray.remote((box: { ref: ray.ObjectRef }) => box.ref.hex());
      assert.equal(await ray.get(hexOf.remote({ ref })), ref.hex());
      assert.match(ref.hex(), /^[0-9a-f]+$/);
      assert.notEqual(ray.put("x").hex(), ref.hex());
    });

    it("get by themselves", async () => {
      assert.equal(await ray.put(5).get(), 5);
      await assert.rejects(ray.remote(() => new Promise(() => {}), { numCpus: 0 }).remote().get({ timeoutMs: 0 }), ray.GetTimeoutError);
    });

    it("are no promises: an async function may return one", async () => {
      const ref = await (async () => ray.put("not unwrapped"))();
      assert.ok(ref instanceof ray.ObjectRef);
      const inner = ray.remote(async () => ray.put("inner"));
      const made = await ray.get(inner.remote());
      assert.ok(made instanceof ray.ObjectRef);
      assert.equal(await ray.get(made as unknown as ray.ObjectRef<string>), "inner");
    });

    it("cannot be used after release()", async () => {
      const ref = ray.put(1);
      ref.release();
      ref.release();
      await assert.rejects(ray.get(ref), ray.ObjectFreedError);
      assert.throws(() => ray.remote((value: number) => value).remote(ref), ray.ObjectFreedError);
      assert.throws(() => ray.put([ref]), ray.RayError);
    });

    it("in a stored object keep what they name, after every other handle is gone", async () => {
      const box = (() => ray.put({ inner: ray.put({ text: "kept" }), list: [ray.put(2)] }))();
      for (let round = 0; round < 3; round++) {
        collectGarbage();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { inner, list } = await ray.get(box);
      assert.deepEqual([(await ray.get(inner)).text, await ray.get(list[0]!)], ["kept", 2]);
    });

    it("in a returned value keep what a worker stored, over several workers and after collections", async () => {
      const make = ray.remote(() => ({ ref: ray.put({ text: "from afar" }) }));
      const pass = ray.remote(async (box: ray.ObjectRef<{ ref: ray.ObjectRef<{ text: string }> }>[]) => ({ ref: (await ray.get(box[0]!)).ref }));
      const boxed = pass.remote([pass.remote([make.remote()])]);
      await ray.wait([boxed]);
      for (let round = 0; round < 3; round++) {
        collectGarbage();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const { ref } = await ray.get(boxed);
      assert.deepEqual(await ray.get(ref), { text: "from afar" });
      const read = ray.remote((value: { text: string }) => value.text);
      assert.equal(await ray.get(read.remote(ref)), "from afar");
    });

    it("given to a task keep their objects until it is done, though the caller dropped them at once", async () => {
      const read = ray.remote(async (box: { ref: ray.ObjectRef<number[]> }, later: number) => (await ray.get(box.ref)).length + later);
      const slow = ray.remote(async () => { await new Promise((resolve) => setTimeout(resolve, 50)); return 1; });
      const results = Array.from({ length: 5 }, () => read.remote({ ref: ray.put([1, 2, 3]) }, slow.remote()));
      collectGarbage();
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      assert.deepEqual(await ray.get(results), Array(5).fill(4));
    });

    it("let go of their objects although calls with them were refused", async () => {
      const take = ray.remote((...args: unknown[]) => args.length);
      await leavesNoMemory(async () => {
        for (let index = 0; index < 50; index++) {
          const ref = ray.put(new Uint8Array(1_000_000));
          assert.throws(() => take.remote({ ref }, new WeakMap()), ray.SerializationError);
        }
      });
    });

    it("let go of what nobody can reach, also after tasks had it", async () => {
      const take = ray.remote(async (box: { ref: ray.ObjectRef<Uint8Array> }) => {
        // Released, as nothing says when the worker will collect its garbage.
        using ref = box.ref;
        return (await ray.get(ref)).length;
      });
      await leavesNoMemory(async () => {
        const lengths = await ray.get(Array.from({ length: 50 }, () => take.remote({ ref: ray.put(new Uint8Array(1_000_000)) })));
        assert.deepEqual(lengths, Array(50).fill(1_000_000));
      });
    });

    it("let go of what nobody can reach", async () => {
      let collected = 0;
      const registry = new FinalizationRegistry(() => collected++);
      await leavesNoMemory(async () => {
        for (let index = 0; index < 50; index++) registry.register(ray.put({ large: new Uint8Array(1_000_000) }), index);
      });
      await eventually("the refs to be collected", () => { collectGarbage(); return collected >= 45; });
    });
  });

  describe("get", () => {
    const never = ray.remote(() => new Promise<number>((resolve) => { setTimeout(resolve, 3_000, 1).unref(); }), { numCpus: 0 });

    it("takes one, many, none and the same one twice", async () => {
      const [a, b] = [ray.put("a"), ray.put("b")];
      assert.equal(await ray.get(a), "a");
      assert.deepEqual(await ray.get([b, a, b]), ["b", "a", "b"]);
      assert.deepEqual(await ray.get([]), []);
    });

    it("answers at once with timeoutMs: 0", async () => {
      assert.equal(await ray.get(ray.put(1), { timeoutMs: 0 }), 1);
      const pending = never.remote();
      await assert.rejects(ray.get([ray.put(1), pending], { timeoutMs: 0 }), (error: unknown) => error instanceof ray.GetTimeoutError && error.code === "ERR_MANTARAY_GET_TIMEOUT");
    });

    it("gives up after timeoutMs, and may be called again", async () => {
      const gate = ray.remote(class { #open!: () => void; #opened = new Promise<void>((resolve) => { this.#open = resolve; }); async wait() { await this.#opened; return "open"; } open() { this.#open(); } }).remote();
      const ref = gate.wait.remote();
      await assert.rejects(ray.get(ref, { timeoutMs: 5 }), ray.GetTimeoutError);
      await gate.open.remote().get();
      assert.equal(await ray.get(ref, { timeoutMs: 60_000 }), "open");
      gate.release();
    });

    it("rejects with the signal's reason, before and while it waits", async () => {
      const reason = new Error("changed my mind");
      await assert.rejects(ray.get(never.remote(), { signal: AbortSignal.abort(reason) }), reason);
      const controller = new AbortController();
      const waiting = ray.get(never.remote(), { signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(waiting, reason);
      assert.equal(await ray.get(ray.put(1), { signal: new AbortController().signal }), 1);
    });

    it("rejects with the first failure, without waiting for the rest", async () => {
      const fail = ray.remote((): number => { throw new Error("first"); });
      const pending = never.remote();
      await assert.rejects(ray.get([pending, fail.remote()]), /first/);
      assert.deepEqual((await ray.wait([pending], { timeoutMs: 0 }))[0], []);
    });

    it("makes a new error for every get of the same failure", async () => {
      const ref = ray.remote((): number => { throw new Error("again"); }).remote();
      const [a, b] = await Promise.all([ref.get().catch((error: unknown) => error), ref.get().catch((error: unknown) => error)]);
      assert.ok(a instanceof ray.TaskError && b instanceof ray.TaskError);
      assert.notEqual(a, b);
    });

    it("refuses everything else, with what it got", async () => {
      for (const wrong of [1, "ref", null, undefined, {}, Promise.resolve(1), [1], [ray.put(1), Promise.resolve(1)]]) {
        await assert.rejects(async () => ray.get(wrong as never), (error: unknown) => error instanceof ray.InvalidArgumentError && error.code === "ERR_MANTARAY_INVALID_ARGUMENT" && /ObjectRef/.test(error.message));
      }
    });
  });

  describe("wait", () => {
    const gate = () => ray.remote(class { #open!: () => void; #opened = new Promise<void>((resolve) => { this.#open = resolve; }); async wait(value: number) { await this.#opened; return value; } open() { this.#open(); } }).remote();

    it("gives at most numReturns ready ones, both lists in the given order", async () => {
      const refs = [ray.put(1), ray.put(2), ray.put(3)];
      const [ready, rest] = await ray.wait(refs);
      assert.deepEqual([ready, rest], [[refs[0]], [refs[1], refs[2]]]);
      const [both, last] = await ray.wait(refs, { numReturns: 2 });
      assert.deepEqual([both, last], [[refs[0], refs[1]], [refs[2]]]);
    });

    it("waits until enough are ready, whichever these are", async () => {
      const handle = gate();
      const waiting = handle.wait.remote(1);
      const refs = [waiting, ray.put(2), handle.wait.remote(3), ray.put(4)];
      const [ready, rest] = await ray.wait(refs, { numReturns: 2 });
      assert.deepEqual([ready, rest], [[refs[1], refs[3]], [refs[0], refs[2]]]);
      const all = ray.wait(refs, { numReturns: 4 });
      handle.open.remote();
      assert.deepEqual(await all, [refs, []]);
      handle.release();
    });

    it("counts a failed one as ready", async () => {
      const failed = ray.remote((): number => { throw new Error("failed"); }).remote();
      assert.deepEqual(await ray.wait([failed]), [[failed], []]);
    });

    it("returns what is ready after timeoutMs, with 0 at once", async () => {
      const handle = gate();
      const refs = [handle.wait.remote(1), ray.put(2)];
      assert.deepEqual(await ray.wait(refs, { numReturns: 2, timeoutMs: 0 }), [[refs[1]], [refs[0]]]);
      assert.deepEqual(await ray.wait(refs, { numReturns: 2, timeoutMs: 5 }), [[refs[1]], [refs[0]]]);
      await handle.open.remote().get();
      handle.release();
    });

    it("can be aborted", async () => {
      const handle = gate();
      const reason = new Error("enough");
      const controller = new AbortController();
      const waiting = ray.wait([handle.wait.remote(1)], { signal: controller.signal });
      controller.abort(reason);
      await assert.rejects(waiting, reason);
      await assert.rejects(ray.wait([ray.put(1)], { signal: AbortSignal.abort(reason) }), reason);
      await handle.open.remote().get();
      handle.release();
    });

    it("returns at once for an empty list", async () => {
      assert.deepEqual(await ray.wait([]), [[], []]);
    });

    it("refuses duplicates, other things than refs, and numbers that cannot be reached", async () => {
      const ref = ray.put(1);
      const wrong: [unknown, ray.WaitOptions?][] = [[[ref, ref]], [[ray.put(1), 2]], [ref], [null], ["refs"], [[ref], { numReturns: 2 }], [[ref], { numReturns: 0 }], [[ref], { numReturns: -1 }], [[ref], { numReturns: 1.5 }], [[ref], { timeoutMs: -1 }], [[ref], { timeoutMs: "1" as never }]];
      for (const [refs, options] of wrong) await assert.rejects(ray.wait(refs as ray.ObjectRef[], options), ray.InvalidArgumentError);
    });

    it("as asCompleted yields each ref once, in the order in which they finish", async () => {
      const handle = gate();
      const refs = [handle.wait.remote(1), ray.put(2), ray.put(3)];
      const seen: number[] = [];
      for await (const ref of ray.asCompleted(refs)) {
        seen.push(await ray.get(ref));
        if (seen.length === 2) handle.open.remote();
      }
      assert.deepEqual(seen, [2, 3, 1]);
      handle.release();
    });
  });
});
