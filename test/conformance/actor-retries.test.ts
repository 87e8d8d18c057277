import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

class Busy extends Error {}
class VeryBusy extends Busy {}

/** What happened elsewhere, in order. */
class Journal {
  readonly #lines: string[] = [];
  note(line: string): number { return this.#lines.push(line); }
  lines(): string[] { return this.#lines; }
}

/** Every call leaves its letter in a file, which outlives restarts. */
class Shop {
  readonly #file: string;
  constructor(file: string) { this.#file = file; }
  #attempt(letter: string): number {
    appendFileSync(this.#file, letter);
    return readFileSync(this.#file, "utf8").split(letter).length - 1;
  }
  /** Throws in its first `failures` runs. */
  throws(letter: string, failures: number, kind: "busy" | "very busy" | "range" = "busy"): number {
    const attempt = this.#attempt(letter);
    if (attempt <= failures) throw kind === "busy" ? new Busy(`attempt ${attempt}`) : kind === "very busy" ? new VeryBusy(`attempt ${attempt}`) : new RangeError(`attempt ${attempt}`);
    return attempt;
  }
  /** Ends its worker in its first `failures` runs. */
  crashes(letter: string, failures: number): number {
    const attempt = this.#attempt(letter);
    if (attempt <= failures) process.exit(1);
    return attempt;
  }
  /** Throws, crashes, throws, crashes… */
  throwsOrCrashes(letter: string, failures: number): number {
    const attempt = this.#attempt(letter);
    if (attempt <= failures) {
      if (attempt % 2 === 0) process.exit(1);
      throw new Busy(`attempt ${attempt}`);
    }
    return attempt;
  }
  *counts(letter: string, to: number): Generator<number> {
    const attempt = this.#attempt(letter);
    for (let value = 0; value < to; value++) {
      if (value === attempt && attempt < 4) throw new Busy(`attempt ${attempt}`);
      yield value;
    }
  }
  *countsAndCrashes(letter: string, to: number): Generator<number> {
    const attempt = this.#attempt(letter);
    for (let value = 0; value < to; value++) {
      if (value === 3 && attempt === 1) setImmediate(() => process.exit(1));
      yield value;
    }
  }
  quick(letter: string): number { return this.#attempt(letter); }
}
/** Calls overlap: at most three. */
class Hall {
  #throwing = 0;
  async throwsOnce(gate: ray.ActorHandle<Journal>, name: string): Promise<string> {
    await ray.get(gate.note.remote(name));
    if (this.#throwing++ === 0) throw new Busy(name);
    return name;
  }
}

const isTaskErrorOf = (type: abstract new (...args: any[]) => Error, message: string) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskError && error.cause instanceof type, `${String(error)} is not a TaskError of ${type.name}`);
  assert.equal(error.cause.message, message);
  return true;
};
const isUnavailable = (error: unknown): boolean => {
  assert.ok(error instanceof ray.ActorUnavailableError && error.code === "ERR_MANTARAY_ACTOR_UNAVAILABLE", `${String(error)} is not an ActorUnavailableError`);
  return true;
};
const isDead = (error: unknown): boolean => {
  assert.ok(error instanceof ray.ActorDiedError, `${String(error)} is not an ActorDiedError`);
  return true;
};

underBothIsolations("retries of actor calls", {}, () => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  let unique = 0;
  const newFile = (): string => join(folder, `shop-${++unique}`);
  const letters = (file: string): string => (existsSync(file) ? readFileSync(file, "utf8") : "");
  const Shops = ray.remote(Shop);

  describe("retryExceptions", () => {
    const cases: [string, ray.MethodOptions, string][] = [
      ["is not the default", { maxTaskRetries: 5 }, "a"], ["needs maxTaskRetries", { retryExceptions: true }, "a"], ["runs 1 + maxTaskRetries times", { retryExceptions: true, maxTaskRetries: 2 }, "aaa"],
      ["is for errors of the classes", { retryExceptions: [RangeError, Busy], maxTaskRetries: 1 }, "aa"], ["is for no others", { retryExceptions: [VeryBusy], maxTaskRetries: 1 }, "a"],
    ];
    for (const [name, options, expected] of cases) {
      it(`${name}; the error is that of the last run`, async () => {
        const file = newFile();
        const shop = Shops.remote(file);
        await assert.rejects(ray.get(shop.throws.options(options).remote("a", 100)), isTaskErrorOf(Busy, `attempt ${expected.length}`));
        assert.equal(await ray.get(shop.quick.remote("b")), 1);
        assert.equal(letters(file), `${expected}b`);
      });
    }

    it("without limit with -1", async () => {
      const file = newFile();
      assert.equal(await ray.get(Shops.remote(file).throws.options({ retryExceptions: [Busy], maxTaskRetries: -1 }).remote("a", 6, "very busy")), 7);
    });

    it("keeps the order of one caller: later calls start after the last run", async () => {
      const file = newFile();
      const shop = Shops.remote(file);
      const flaky = shop.throws.options({ retryExceptions: true, maxTaskRetries: 3 });
      const refs = [shop.quick.remote("a"), flaky.remote("b", 2), shop.quick.remote("c"), flaky.remote("d", 1), flaky.remote("e", 0), shop.quick.remote("f")];
      assert.deepEqual(await ray.get(refs), [1, 3, 1, 2, 1, 1]);
      assert.equal(letters(file), "abbbcddef");
    });

    it("goes on after a call that does not succeed", async () => {
      const file = newFile();
      const shop = Shops.remote(file);
      const flaky = shop.throws.options({ retryExceptions: [Busy], maxTaskRetries: 1 });
      const refs = [flaky.remote("a", 100), flaky.remote("b", 100, "range"), shop.quick.remote("c")];
      await assert.rejects(ray.get(refs[0] as ray.ObjectRef), ray.TaskError);
      await assert.rejects(ray.get(refs[1] as ray.ObjectRef), isTaskErrorOf(RangeError, "attempt 1"));
      assert.equal(await ray.get(refs[2] as ray.ObjectRef), 1);
      assert.equal(letters(file), "aabc");
    });

    it("does not hold up calls that may run beside it", async () => {
      const journal = ray.remote(Journal).remote();
      const hall = ray.remote(Hall, { maxConcurrency: 3 }).remote();
      const call = hall.throwsOnce.options({ retryExceptions: true, maxTaskRetries: 1 });
      const names = ["a", "b", "c", "d", "e"];
      assert.deepEqual(await ray.get(names.map((name) => call.remote(journal, name))), names);
      assert.equal((await ray.get(journal.lines.remote())).length, 6, "one of them ran twice");
    });

    it("can be declared with the class, for each method", async () => {
      const file = newFile();
      const Declared = ray.remote(Shop, { maxTaskRetries: 1, methods: { throws: { retryExceptions: [Busy], maxTaskRetries: 2 }, throwsOrCrashes: { retryExceptions: true } } });
      const shop = Declared.remote(file);
      assert.equal(await ray.get(shop.throws.remote("a", 2)), 3);
      assert.equal(await ray.get(shop.throwsOrCrashes.remote("b", 1)), 2);
      await assert.rejects(ray.get(shop.throws.options({ retryExceptions: false }).remote("c", 1)), isTaskErrorOf(Busy, "attempt 1"));
      await assert.rejects(ray.get(shop.throws.options({ maxTaskRetries: 0 }).remote("d", 1)), isTaskErrorOf(Busy, "attempt 1"));
    });

    it("holds for handles that were passed on, found by name, or made of a class that was passed on", async () => {
      const name = `shop-${++unique}`;
      const [file, other] = [newFile(), newFile()];
      const Declared = ray.remote(Shop, { methods: { throws: { retryExceptions: [Busy], maxTaskRetries: 1 } } });
      const shop = Declared.options({ name }).remote(file);
      const uses = ray.remote(async (handle: typeof shop, letter: string) => ray.get(handle.throws.remote(letter, 1)));
      assert.equal(await ray.get(uses.remote(shop, "a")), 2);
      const finds = ray.remote(async (letter: string) => ray.get((await ray.getActor<Shop>(name)).throws.remote(letter, 1)));
      assert.equal(await ray.get(finds.remote("b")), 2);
      const makes = ray.remote(async (path: string) => {
        const own = Declared.remote(path);
        return [await ray.get(own.throws.remote("a", 1)), await ray.get(own.throws.remote("b", 1, "range")).catch((error: Error) => error.name)];
      });
      assert.deepEqual(await ray.get(makes.remote(other)), [2, "TaskError"]);
      assert.deepEqual([letters(file), letters(other)], ["aabb", "aab"]);
    });

    it("of generators gives each value once, and the order stays", async () => {
      const file = newFile();
      const shop = Shops.remote(file);
      const stream = shop.counts.options({ retryExceptions: true, maxTaskRetries: 5 }).remote("a", 6);
      const behind = shop.quick.remote("b");
      const values: number[] = [];
      for await (const ref of stream) values.push(await ray.get(ref));
      assert.deepEqual(values, [0, 1, 2, 3, 4, 5]);
      assert.equal(await ray.get(behind), 1);
      assert.equal(letters(file), "aaaab");
    });

    it("lets the actor go on when the caller of a failing call is gone", async () => {
      const file = newFile();
      const shop = Shops.remote(file);
      class Caller {
        start(handle: typeof shop): void { handle.throws.options({ retryExceptions: true, maxTaskRetries: -1 }).remote("a", Number.MAX_SAFE_INTEGER).release(); }
      }
      const caller = ray.remote(Caller).remote();
      await ray.get(caller.start.remote(shop));
      while (letters(file).length < 3) await new Promise((resolve) => setImmediate(resolve));
      const behind = shop.quick.remote("b");
      await ray.kill(caller);
      assert.equal(await ray.get(behind), 1);
    });

    it("ends with the actor", async () => {
      const file = newFile();
      const shop = Shops.remote(file);
      const failing = shop.throws.options({ retryExceptions: true, maxTaskRetries: -1 }).remote("a", Number.MAX_SAFE_INTEGER);
      while (letters(file).length < 3) await new Promise((resolve) => setImmediate(resolve));
      await ray.kill(shop);
      await assert.rejects(ray.get(failing), isDead);
    });
  });

  describe("restarts", () => {
    it("fail calls that may have run with ActorUnavailableError, at most once by default; those not sent run there later", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: 1 }).remote(file);
      const refs = [shop.quick.remote("a"), shop.crashes.remote("b", 1), shop.quick.remote("c")];
      assert.equal(await ray.get(refs[0] as ray.ObjectRef), 1);
      for (const ref of refs.slice(1)) await assert.rejects(ray.get(ref), isUnavailable);
      assert.equal(await ray.get(shop.quick.remote("d")), 1);
      assert.equal(letters(file), "abd");
    });

    it("run calls again with maxTaskRetries, in the order of the calls", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: -1, maxTaskRetries: 3 }).remote(file);
      const refs = [shop.quick.remote("a"), shop.crashes.remote("b", 2), shop.quick.remote("c"), shop.crashes.remote("d", 1), shop.quick.remote("e")];
      assert.deepEqual(await ray.get(refs), [1, 3, 1, 2, 1]);
      assert.equal(letters(file), "abbbcdde");
    });

    it("use up maxTaskRetries, then the call fails and the actor goes on", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: -1 }).remote(file);
      await assert.rejects(ray.get(shop.crashes.options({ maxTaskRetries: 2 }).remote("a", 100)), isUnavailable);
      assert.equal(await ray.get(shop.quick.remote("b")), 1);
      assert.equal(letters(file), "aaab");
    });

    it("end with maxRestarts: then calls fail with ActorDiedError, whatever retries are left", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: 1, maxTaskRetries: -1 }).remote(file);
      const refs = [shop.crashes.remote("a", 100), shop.quick.remote("b")];
      for (const ref of refs) await assert.rejects(ray.get(ref), isDead);
      assert.equal(letters(file), "aa");
    });

    it("share maxTaskRetries with errors", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: -1 }).remote(file);
      const call = shop.throwsOrCrashes.options({ maxTaskRetries: 4, retryExceptions: [Busy] });
      assert.equal(await ray.get(call.remote("a", 4)), 5);
      await assert.rejects(ray.get(call.remote("b", 100)), isTaskErrorOf(Busy, "attempt 5"));
    });

    it("go on with a generator's next value", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: 1, maxTaskRetries: 1 }).remote(file);
      const values: number[] = [];
      for await (const ref of shop.countsAndCrashes.remote("a", 2_000)) values.push(await ray.get(ref));
      assert.deepEqual(values, Array.from({ length: 2_000 }, (_, index) => index));
      assert.equal(letters(file), "aa");
    });

    it("are the same for every caller of the actor", async () => {
      const file = newFile();
      const shop = Shops.options({ maxRestarts: -1, maxTaskRetries: -1 }).remote(file);
      const calls = ray.remote(async (handle: typeof shop, letter: string) => ray.get([handle.quick.remote(letter), handle.crashes.remote(letter.toUpperCase(), 1), handle.quick.remote(letter)]));
      const results = await ray.get(["a", "b", "c"].map((letter) => calls.remote(shop, letter)));
      for (const [first, crashed, last] of results as number[][]) {
        assert.ok((first as number) < (last as number));
        assert.ok((crashed as number) >= 2);
      }
    });
  });
});
