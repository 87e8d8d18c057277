import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

class Busy extends Error {
  readonly attempt: number;
  constructor(attempt: number) {
    super(`attempt ${attempt}`);
    this.attempt = attempt;
  }
}
class VeryBusy extends Busy {}

const isTaskErrorOf = (type: abstract new (...args: any[]) => Error, message: string | RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskError, `${String(error)} is not a TaskError`);
  assert.ok(error.cause instanceof type, `${String(error.cause)} is not a ${type.name}`);
  if (typeof message === "string") assert.equal(error.cause.message, message);
  else assert.match(error.cause.message, message);
  return true;
};

underBothIsolations("retryExceptions of tasks", {}, () => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  let unique = 0;
  const newFile = (): string => join(folder, `runs-${++unique}`);
  /** Every run leaves a letter. */
  const runs = (file: string): number => (existsSync(file) ? readFileSync(file, "utf8").length : 0);

  /** Throws an error of that kind in the first `failures` runs. */
  const fails = ray.remote(function fails(file: string, failures: number, kind: "busy" | "very busy" | "range" | "text" | "untransferable" = "busy") {
    appendFileSync(file, "x");
    const attempt = readFileSync(file, "utf8").length;
    if (attempt > failures) return attempt;
    switch (kind) {
      case "busy": throw new Busy(attempt);
      case "very busy": throw new VeryBusy(attempt);
      case "range": throw new RangeError(`attempt ${attempt}`);
      case "text": throw `attempt ${attempt}`;
      case "untransferable": throw Object.assign(new Busy(attempt), { map: new WeakMap() });
    }
  });

  describe("runs", () => {
    const cases: [string, ray.TaskOptions, number][] = [
      ["once without it", {}, 1], ["once when it is false", { retryExceptions: false, maxRetries: 5 }, 1], ["once when there are no classes", { retryExceptions: [], maxRetries: 5 }, 1],
      ["1 + 3 times by default", { retryExceptions: true }, 4], ["1 + maxRetries times", { retryExceptions: true, maxRetries: 2 }, 3],
      ["once with maxRetries 0", { retryExceptions: true, maxRetries: 0 }, 1],
    ];
    for (const [name, options, expected] of cases) {
      it(`${name}, and the error is that of the last run`, async () => {
        const file = newFile();
        await assert.rejects(ray.get(fails.options(options).remote(file, 100)), isTaskErrorOf(Busy, `attempt ${expected}`));
        assert.equal(runs(file), expected);
      });
    }

    it("until it succeeds, as the same task", async () => {
      const file = newFile();
      const ref = fails.options({ retryExceptions: true }).remote(file, 2);
      assert.equal(await ray.get(ref), 3);
      assert.equal(runs(file), 3);
    });

    it("without limit with maxRetries -1", async () => {
      const file = newFile();
      assert.equal(await ray.get(fails.options({ retryExceptions: [Busy], maxRetries: -1 }).remote(file, 6)), 7);
      assert.equal(runs(file), 7);
    });
  });

  describe("with classes", () => {
    const cases: [string, (abstract new (...args: any[]) => Error)[], Parameters<typeof fails.remote>[2], number][] = [
      ["an error of the class", [RangeError, Busy], "busy", 3], ["an error of a class that extends it", [Busy], "very busy", 3], ["a built-in one", [RangeError], "range", 3],
      ["any error, by the class of all", [Error], "range", 3], ["an error that cannot travel, by its name", [Busy], "untransferable", 3],
      ["no error of a class above", [VeryBusy], "busy", 1], ["no other error", [TypeError, Busy], "range", 1], ["nothing that is no error", [Error], "text", 1],
    ];
    for (const [name, classes, kind, expected] of cases) {
      it(`retries ${name}`, async () => {
        const file = newFile();
        await assert.rejects(ray.get(fails.options({ retryExceptions: classes, maxRetries: 2 }).remote(file, 100, kind)), (error: unknown) => {
          assert.ok(error instanceof ray.TaskError);
          assert.match(error.message, new RegExp(`attempt ${expected}`));
          return true;
        });
        assert.equal(runs(file), expected);
      });
    }

    it("retries what a nested task threw", async () => {
      const file = newFile();
      const outer = ray.remote(async (path: string) => ray.get(fails.remote(path, 2)), { retryExceptions: [Busy] });
      assert.equal(await ray.get(outer.remote(file)), 3);
    });

    it("retries errors of the runtime that the function lets through", async () => {
      const file = newFile();
      const waits = ray.remote(async (path: string, refs: ray.ObjectRef<number>[]) => {
        appendFileSync(path, "x");
        return ray.get(refs[0] as ray.ObjectRef<number>, { timeoutMs: 1 });
      });
      const never = ray.remote(() => new Promise<number>(() => undefined), { numCpus: 0 });
      await assert.rejects(ray.get(waits.options({ retryExceptions: [ray.GetTimeoutError], maxRetries: 1 }).remote(file, [never.remote()])), isTaskErrorOf(ray.GetTimeoutError, /1 ms/));
      assert.equal(runs(file), 2);
    });

    it("holds for a remote function that was passed on, classes included", async () => {
      const [file, other] = [newFile(), newFile()];
      const passedOn = fails.options({ retryExceptions: [Busy, RangeError], maxRetries: 2 });
      const calls = ray.remote(async (inner: { fails: typeof passedOn }, path: string, kind: "busy" | "range" | "text") => {
        try { return await ray.get(inner.fails.remote(path, 100, kind)); } catch (error) { return (error as Error).message; }
      });
      assert.match(String(await ray.get(calls.remote({ fails: passedOn }, file, "busy"))), /attempt 3/);
      assert.match(String(await ray.get(calls.remote({ fails: passedOn }, other, "text"))), /attempt 1/);
      assert.deepEqual([runs(file), runs(other)], [3, 1]);
      // And for one that a closure brought along.
      const third = newFile();
      const captures = ray.remote(async (path: string) => ray.get(passedOn.remote(path, 2)));
      assert.equal(await ray.get(captures.remote(third)), 3);
    });
  });

  it("shares maxRetries with crashes of the worker", async () => {
    const file = newFile();
    const unlucky = ray.remote(function unlucky(path: string) {
      appendFileSync(path, "x");
      const attempt = readFileSync(path, "utf8").length;
      if (attempt % 2 === 0) process.exit(1);
      throw new Busy(attempt);
    });
    await assert.rejects(ray.get(unlucky.options({ retryExceptions: true, maxRetries: 4 }).remote(file)), isTaskErrorOf(Busy, "attempt 5"));
    assert.equal(runs(file), 5);
  });

  it("gives every run the arguments as they were at the call, large ones and refs too", async () => {
    const file = newFile();
    const large = new Float64Array(40_000).fill(1);
    const changes = ray.remote(function changes(path: string, list: number[], bytes: Float64Array, stored: { value: number }) {
      appendFileSync(path, "x");
      list.push(4);
      if (readFileSync(path, "utf8").length < 3) throw new Busy(0);
      return [list.length, bytes.length, bytes[39_999], stored.value];
    });
    assert.deepEqual(await ray.get(changes.options({ retryExceptions: true }).remote(file, [1, 2, 3], large, ray.put({ value: 7 }))), [4, 40_000, 1, 7]);
  });

  it("fails all refs of several returns together, after the last run", async () => {
    const file = newFile();
    const refs = fails.options({ retryExceptions: true, maxRetries: 1, numReturns: 2 }).remote(file, 100) as unknown as ray.ObjectRef[];
    for (const ref of refs) await assert.rejects(ray.get(ref), isTaskErrorOf(Busy, "attempt 2"));
    assert.equal(runs(file), 2);
  });

  it("leaves other tasks alone while one is retried", async () => {
    const files = Array.from({ length: 40 }, () => newFile());
    const refs = files.map((file, index) => fails.options({ retryExceptions: index % 2 === 0, maxRetries: 2 }).remote(file, 1));
    const outcomes = await Promise.allSettled(refs.map((ref) => ray.get(ref)));
    outcomes.forEach((outcome, index) => assert.equal(outcome.status, index % 2 === 0 ? "fulfilled" : "rejected"));
    files.forEach((file, index) => assert.equal(runs(file), index % 2 === 0 ? 2 : 1));
  });

  describe("of generators", () => {
    const countsTo = ray.remote(function* countsTo(file: string, to: number, failures: number) {
      appendFileSync(file, "x");
      const attempt = readFileSync(file, "utf8").length;
      for (let value = 0; value < to; value++) {
        // Each run comes one value further than the one before.
        if (attempt <= failures && value === attempt) throw new Busy(attempt);
        yield value;
      }
    });

    it("gives each value once, in order", async () => {
      const file = newFile();
      const values: number[] = [];
      for await (const ref of countsTo.options({ retryExceptions: [Busy] }).remote(file, 6, 3)) values.push(await ray.get(ref as ray.ObjectRef<number>));
      assert.deepEqual(values, [0, 1, 2, 3, 4, 5]);
      assert.equal(runs(file), 4);
    });

    it("ends with the error of the last run, after the values of all", async () => {
      const file = newFile();
      const values: number[] = [];
      const stream = countsTo.options({ retryExceptions: true, maxRetries: 2 }).remote(file, 10, 100);
      await assert.rejects(async () => { for await (const ref of stream) values.push(await ray.get(ref as ray.ObjectRef<number>)); }, isTaskErrorOf(Busy, "attempt 3"));
      assert.deepEqual(values, [0, 1, 2]);
      assert.equal(runs(file), 3);
    });

    it("goes on within its backpressure", async () => {
      const file = newFile();
      const values: number[] = [];
      for await (const ref of countsTo.options({ retryExceptions: true, generatorBackpressure: 2 }).remote(file, 20, 3)) values.push(await ray.get(ref as ray.ObjectRef<number>));
      assert.deepEqual(values, Array.from({ length: 20 }, (_, index) => index));
    });
  });

  it("refuses what is no error class", () => {
    for (const wrong of ["yes", [1], ["Busy"], {}]) assert.throws(() => fails.options({ retryExceptions: wrong as never }), (error: unknown) => error instanceof ray.InvalidArgumentError && /retryExceptions.*(true or false|error classes)/.test(error.message));
  });
});
