import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, ISOLATIONS } from "../conformance/both-isolations.ts";
import { isPatterned, MIB, NEARLY_A_MIB, patterned, spillFolder } from "../conformance/store-contents.ts";

const CAPACITY_BYTES = 8 * MIB;

const isReconstructionFailed = (reason: ray.ObjectReconstructionFailedError["reason"], ...mentioned: RegExp[]) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.ObjectReconstructionFailedError && error instanceof ray.ObjectLostError, String(error));
  assert.equal(error.code, "ERR_MANTARAY_OBJECT_RECONSTRUCTION_FAILED");
  assert.equal(error.reason, reason);
  for (const text of mentioned) assert.match(error.message, text);
  return true;
};

for (const isolation of ISOLATIONS) {
  describe(`results that are lost (${isolation})`, () => {
    const directory = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    const runs = join(directory, "runs");
    let folder = "";
    before(async () => {
      const { sessionDir } = await ray.init({ numCpus: 2, isolation, objectStoreMemory: CAPACITY_BYTES, objectSpillingDirectory: directory });
      folder = spillFolder(sessionDir, directory);
    });
    after(async () => {
      await everythingFree();
      await ray.shutdown();
      rmSync(directory, { recursive: true });
    });
    afterEach(() => rmSync(runs, { force: true }));

    /** What is in the store goes to disk, as far as nobody looks at it, and is damaged there. */
    async function loseAll(): Promise<void> {
      await ray.memorySummary({ collectGarbage: true });
      const fillers = Array.from({ length: CAPACITY_BYTES / MIB }, (_, index) => ray.put(patterned(1_000 + index)));
      const files = readdirSync(folder).filter((name) => name.endsWith(".spill"));
      assert.ok(files.length > 0);
      for (const name of files) rmSync(join(folder, name));
      for (const filler of fillers) filler.release();
    }

    /** How often the tasks with this letter have run since the last test. */
    const runsOf = (letter: string): number => readFileSync(runs, "utf8").split(letter).length - 1;

    const make = ray.remote((path: string, letter: string, seed: number): Uint8Array => {
      appendFileSync(path, letter);
      return patterned(seed);
    });
    /** Each byte is one more. */
    const next = ray.remote((path: string, letter: string, bytes: Uint8Array): Uint8Array => {
      appendFileSync(path, letter);
      return bytes.map((byte) => byte + 1);
    });

    it("are made again for whoever gets them: the program, tasks, and those that have borrowed them", async () => {
      const refs = Array.from({ length: 4 }, (_, seed) => make.remote(runs, "m", seed));
      const kept = ray.remote(class {
        #refs: readonly ray.ObjectRef<Uint8Array>[] = [];
        keep(ofOthers: readonly ray.ObjectRef<Uint8Array>[]): void { this.#refs = ofOthers; }
        async lengths(): Promise<number[]> { return (await ray.get([...this.#refs])).map(({ byteLength }) => byteLength); }
      }).remote();
      await ray.get(kept.keep.remote(refs));
      await ray.wait(refs, { numReturns: refs.length });
      await loseAll();
      assert.deepEqual(await ray.get(kept.lengths.remote()), refs.map(() => NEARLY_A_MIB));
      const length = ray.remote((bytes: Uint8Array) => bytes.byteLength);
      assert.deepEqual(await ray.get(refs.map((ref) => length.remote(ref))), refs.map(() => NEARLY_A_MIB));
      for (const [seed, ref] of refs.entries()) assert.ok(isPatterned(await ray.get(ref), seed));
      assert.equal(runsOf("m"), 8);
    });

    it("are made again once, however many wait for them", async () => {
      const ref = make.remote(runs, "o", 1);
      await ray.wait([ref]);
      await loseAll();
      const length = ray.remote((bytes: Uint8Array) => bytes.byteLength);
      const nested = ray.remote(async ({ inside }: { readonly inside: ray.ObjectRef<Uint8Array> }) => (await ray.get(inside)).byteLength);
      const lengths = await ray.get([length.remote(ref), nested.remote({ inside: ref }), length.remote(ref), nested.remote({ inside: ref })]);
      const direct = await Promise.all(Array.from({ length: 5 }, () => ray.get(ref)));
      assert.ok(lengths.every((bytes) => bytes === NEARLY_A_MIB) && direct.every((bytes) => isPatterned(bytes, 1)));
      assert.equal(runsOf("o"), 2);
    });

    it("are made again with the arguments that were freed long ago, and these are let go once more", async () => {
      let ref = make.remote(runs, "a", 5);
      const former: string[] = [];
      for (let step = 0; step < 5; step++) {
        const argument = ref;
        former.push(argument.hex());
        ref = next.remote(runs, "b", argument);
        argument.release();
      }
      await ray.wait([ref]);
      await loseAll();
      assert.equal((await ray.get(ref))[12], ((patterned(5)[12] as number) + 5) % 256);
      assert.deepEqual([runsOf("a"), runsOf("b")], [2, 10]);
      await eventually("the arguments to be gone", async () => {
        const { objects } = await ray.listObjects({ collectGarbage: true });
        return !objects.some(({ objectId, isFreed }) => !isFreed && former.includes(objectId ?? ""));
      });
    });

    it("are made again with refs inside of their arguments, also those that are freed", async () => {
      const join2 = ray.remote(async (path: string, refs: readonly ray.ObjectRef<Uint8Array>[]): Promise<Uint8Array> => {
        appendFileSync(path, "j");
        const [first, second] = await ray.get(refs.slice(0, 2)) as [Uint8Array, Uint8Array];
        const small = await ray.get(refs[2] as ray.ObjectRef<Uint8Array>);
        return first.map((byte, index) => byte ^ (second[index] as number) ^ (small[0] as number));
      });
      const small = ray.remote(() => Uint8Array.of(3));
      const refs = [make.remote(runs, "p", 1), make.remote(runs, "p", 2), small.remote()];
      const joined = join2.remote(runs, refs);
      await ray.wait([joined]);
      for (const ref of refs) ref.release();
      await loseAll();
      const [first, second] = [patterned(1), patterned(2)];
      assert.equal((await ray.get(joined))[77], (first[77] as number) ^ (second[77] as number) ^ 3);
      assert.deepEqual([runsOf("p"), runsOf("j")], [4, 2]);
    });

    it("are made again of several that one call returned", async () => {
      const pair = ray.remote((path: string): [Uint8Array, string, Uint8Array] => { appendFileSync(path, "t"); return [patterned(1), "small", patterned(2)]; });
      const [first, small, second] = pair.options({ numReturns: 3 }).remote(runs);
      await ray.wait([second]);
      await loseAll();
      assert.ok(isPatterned(await ray.get(second), 2));
      assert.ok(isPatterned(await ray.get(first), 1));
      assert.equal(await ray.get(small), "small");
      assert.ok(runsOf("t") >= 2);
    });

    it("are made again of a stream, without those values that are there", async () => {
      const counts = ray.remote(function* (path: string, to: number) {
        appendFileSync(path, "s");
        for (let seed = 0; seed < to; seed++) yield seed % 2 === 0 ? patterned(seed) : seed;
      });
      const stream = counts.remote(runs, 6);
      const refs: ray.ObjectRef<Uint8Array | number>[] = [];
      for await (const ref of stream) refs.push(ref);
      await loseAll();
      for (const [seed, ref] of refs.entries()) {
        const value = await ray.get(ref);
        assert.ok(typeof value === "number" ? value === seed : isPatterned(value, seed));
      }
      assert.ok(runsOf("s") >= 2 && runsOf("s") <= 4, `${runsOf("s")} runs`);
    });

    it("are made again with the constructor of an actor that gets one", async () => {
      const ref = make.remote(runs, "c", 9);
      await ray.wait([ref]);
      await loseAll();
      const Holder = ray.remote(class { readonly #bytes: Uint8Array; constructor(bytes: Uint8Array) { this.#bytes = bytes; } length(): number { return this.#bytes.byteLength; } });
      assert.equal(await ray.get(Holder.remote(ref).length.remote()), NEARLY_A_MIB);
      assert.equal(runsOf("c"), 2);
    });

    describe("of actors", () => {
      class Maker {
        #made = 0;
        readonly seen: number[] = [];
        make(seed: number): Uint8Array { this.#made++; return patterned(seed); }
        use(bytes: Uint8Array, number: number): boolean { this.seen.push(number); return isPatternedThere(bytes); }
        note(number: number): number { return this.seen.push(number); }
        made(): number { return this.#made; }
        numbers(): number[] { return this.seen; }
      }
      const isPatternedThere = (bytes: Uint8Array): boolean => isPatterned(bytes, 4);

      it("are made again if the call may run again, also for calls of the same actor, in their order", async () => {
        const maker = ray.remote(Maker, { maxTaskRetries: 1 }).remote();
        const ref = maker.make.remote(4);
        await ray.wait([ref]);
        await loseAll();
        const used = maker.use.remote(ref, 1);
        for (let number = 2; number < 6; number++) maker.note.remote(number);
        assert.equal(await ray.get(used), true);
        assert.equal(await ray.get(maker.made.remote()), 2);
        assert.deepEqual(await ray.get(maker.numbers.remote()), [1, 2, 3, 4, 5]);
        await loseAll();
        await assert.rejects(ray.get(ref), isReconstructionFailed("retriesUsedUp", /Maker\.make\(\)/));
      });

      it("stay lost if the call may not run again, or the actor has ended", async () => {
        const maker = ray.remote(Maker).remote();
        const once = maker.make.remote(4);
        const again = maker.make.options({ maxTaskRetries: 5 }).remote(4);
        await ray.wait([once, again], { numReturns: 2 });
        await loseAll();
        await assert.rejects(ray.get(once), isReconstructionFailed("retriesDisabled", /maxTaskRetries/));
        await assert.rejects(ray.get(maker.use.remote(once, 1)), isReconstructionFailed("retriesDisabled"));
        await ray.kill(maker);
        await assert.rejects(ray.get(again), ray.ActorDiedError);
      });
    });

    describe("stay lost", () => {
      it("where no task has made them, or a large value has gone into them", async () => {
        const stored = ray.put(patterned(1));
        const given = next.remote(runs, "v", patterned(2));
        const of = next.remote(runs, "w", stored);
        await ray.wait([given, of], { numReturns: 2 });
        await loseAll();
        await assert.rejects(ray.get(stored), isReconstructionFailed("put", /put\(\).*disk/));
        await assert.rejects(ray.get(given), isReconstructionFailed("put"));
        await assert.rejects(ray.get(of), isReconstructionFailed("put", new RegExp(`needed to make it again|${stored.hex()}`)));
        const length = ray.remote((bytes: Uint8Array) => bytes.byteLength);
        await assert.rejects(ray.get(length.remote(stored)), isReconstructionFailed("put"));
      });

      it("where the task may not run again, and where it has run as often as it may", async () => {
        const never = make.options({ maxRetries: 0 }).remote(runs, "x", 1);
        const twice = make.options({ maxRetries: 1 }).remote(runs, "y", 2);
        await ray.wait([never, twice], { numReturns: 2 });
        await loseAll();
        await assert.rejects(ray.get(never), isReconstructionFailed("retriesDisabled", /maxRetries/));
        assert.equal((await ray.get(twice)).byteLength, NEARLY_A_MIB);
        await eventually("the bytes to be looked at no more", async () => {
          await loseAll();
          return ray.get(twice).then(() => false, isReconstructionFailed("retriesUsedUp", /used up/));
        });
        assert.deepEqual([runsOf("x"), runsOf("y")], [1, 2]);
      });

      it("where the task fails when it runs again, with its error", async () => {
        const fails = ray.remote((path: string): Uint8Array => {
          appendFileSync(path, "f");
          if (readFileSync(path, "utf8").split("f").length > 2) throw new RangeError("the second time");
          return patterned(1);
        });
        const ref = fails.remote(runs);
        const after2 = next.remote(runs, "g", ref);
        await ray.wait([after2]);
        await loseAll();
        await assert.rejects(ray.get(after2), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
        await assert.rejects(ray.get(ref), ray.TaskError);
      });

      it("where they are cancelled while they are made again", async () => {
        const gate = join(directory, `gate-${isolation}`);
        const slow = ray.remote(async (path: string, gatePath: string): Promise<Uint8Array> => {
          appendFileSync(path, "z");
          if (readFileSync(path, "utf8").split("z").length > 2) {
            appendFileSync(gatePath, "here");
            await new Promise((resolve) => ray.getRuntimeContext().signal.addEventListener("abort", resolve));
          }
          return patterned(1);
        });
        const ref = slow.remote(runs, gate);
        await ray.wait([ref]);
        await loseAll();
        const got = assert.rejects(ray.get(ref), isReconstructionFailed("cancelled"));
        await eventually("it to run again", () => readdirSync(directory).includes(`gate-${isolation}`));
        await ray.cancel(ref);
        await got;
        await assert.rejects(ray.get(ref), isReconstructionFailed("cancelled"));
      });
    });

    it("are waited for as any other: with a time limit, and with the processor given to the task that makes them", async () => {
      const ref = make.options({ numCpus: 2 }).remote(runs, "q", 3);
      await ray.wait([ref]);
      await loseAll();
      const nested = ray.remote(async ({ inside }: { readonly inside: ray.ObjectRef<Uint8Array> }) => (await ray.get(inside)).byteLength, { numCpus: 2 });
      assert.equal(await ray.get(nested.remote({ inside: ref })), NEARLY_A_MIB);
      const stuck = ray.remote(async (path: string): Promise<Uint8Array> => {
        appendFileSync(path, "u");
        if (readFileSync(path, "utf8").split("u").length > 2) await new Promise((resolve) => ray.getRuntimeContext().signal.addEventListener("abort", resolve));
        return patterned(1);
      });
      const late = stuck.remote(runs);
      await ray.wait([late]);
      await loseAll();
      await assert.rejects(ray.get(late, { timeoutMs: 50 }), ray.GetTimeoutError);
      const controller = new AbortController();
      const aborted = assert.rejects(ray.get(late, { signal: controller.signal }), /enough/);
      controller.abort(new Error("enough"));
      await aborted;
      await ray.cancel(late);
    });
  });
}
