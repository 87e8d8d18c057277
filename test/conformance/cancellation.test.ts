import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, underBothIsolations } from "./both-isolations.ts";

/** What happened elsewhere, in order. */
class Journal {
  readonly #entries: string[] = [];
  write(entry: string): void { this.#entries.push(entry); }
  read(): string[] { return this.#entries; }
}
type JournalHandle = ray.ActorHandle<Journal>;

const written = (journal: JournalHandle, entry: string): Promise<void> => eventually(`'${entry}' in the journal`, async () => (await ray.get(journal.read.remote())).includes(entry));

/** Never ends by itself; says when it has begun, and how it was ended. */
const waitsForEver = ray.remote(async function waitsForEver(journal: JournalHandle, name: string): Promise<never> {
  try {
    await ray.get(journal.write.remote(`${name} runs`));
    return await new Promise<never>((_resolve, reject) => {
      const { signal } = ray.getRuntimeContext();
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  } catch (error) {
    await ray.get(journal.write.remote(`${name} ended with ${(error as Error).name}`));
    throw error;
  }
});
async function waitUntilAborted(journal: JournalHandle, name: string): Promise<void> {
  await ray.get(journal.write.remote(`${name} runs`));
  await new Promise((resolve) => { ray.getRuntimeContext().signal.addEventListener("abort", resolve); });
}
/** Also not when it is told to, until there is a file of that name. */
const ignoresTheSignal = ray.remote(async function ignoresTheSignal(journal: JournalHandle, file: string): Promise<string> {
  // It awaits nothing of the runtime, which would be rejected.
  void journal.write.remote("stubborn runs");
  while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
  void journal.write.remote("stubborn ends");
  return "stubborn";
});
const spins = ray.remote(async function spins(journal: JournalHandle, name: string, file: string | null = null): Promise<never> {
  await ray.get(journal.write.remote(`${name} runs`)).catch(() => undefined);
  // From now on it does not wait any more.
  if (file !== null) writeFileSync(file, "");
  for (;;) { /* for ever */ }
});
const increment = ray.remote((value: number) => value + 1);

const isCancelled = (...mentioned: RegExp[]) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskCancelledError, `${String(error)} is not a TaskCancelledError`);
  assert.equal(error.code, "ERR_MANTARAY_TASK_CANCELLED");
  for (const text of mentioned) assert.match(error.message, text);
  return true;
};

underBothIsolations("cancel()", { isOnOneOfThem: true }, () => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  const newJournal = (): JournalHandle => ray.remote(Journal).remote();

  describe("of a task", () => {
    it("whose argument is not there", async () => {
      const journal = newJournal();
      const opened = join(folder, "upstream");
      const upstream = ignoresTheSignal.remote(journal, opened);
      const ref = increment.remote(upstream as never);
      const dependent = increment.remote(ref);
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled(/task .*was cancelled/));
      await assert.rejects(ray.get(dependent), isCancelled());
      writeFileSync(opened, "");
      assert.equal(await ray.get(upstream), "stubborn");
      await written(journal, "stubborn ends");
    });

    it("that is queued: it never runs, and 10,000 of them leave nothing", async () => {
      const journal = newJournal();
      const running = [waitsForEver.remote(journal, "a"), waitsForEver.remote(journal, "b")];
      await written(journal, "a runs");
      await written(journal, "b runs");
      const note = ray.remote((into: JournalHandle) => into.write.remote("a queued one ran"));
      const queued = Array.from({ length: 10_000 }, () => note.remote(journal));
      await Promise.all(queued.map((ref) => ray.cancel(ref)));
      for (const ref of [queued[0], queued[5_000], queued.at(-1)]) await assert.rejects(ray.get(ref as ray.ObjectRef), isCancelled());
      const [ready] = await ray.wait(queued, { numReturns: queued.length });
      assert.equal(ready.length, queued.length);
      await Promise.all(running.map((ref) => ray.cancel(ref)));
      await everythingFree();
      assert.equal(await ray.get(increment.remote(1)), 2);
      assert.ok(!(await ray.get(journal.read.remote())).includes("a queued one ran"));
    });

    it("that was sent to a busy worker", async () => {
      // Short by experience, so that many are sent to one worker, where the first one now takes long.
      const journal = newJournal();
      const sometimesLong = ray.remote(async function sometimesLong(into: JournalHandle | null, name: string): Promise<string> {
        if (into !== null) await waitUntilAborted(into, name);
        return name;
      });
      await ray.get(Array.from({ length: 500 }, () => sometimesLong.remote(null, "short")));
      const long = [sometimesLong.remote(journal, "a"), sometimesLong.remote(journal, "b")];
      const short = Array.from({ length: 300 }, () => sometimesLong.remote(null, "short"));
      await Promise.all(short.map((ref) => ray.cancel(ref)));
      for (const ref of short) {
        const outcome = await ray.get(ref).then(() => "short", (error: unknown) => error);
        if (outcome !== "short") isCancelled()(outcome);
      }
      await written(journal, "a runs");
      await written(journal, "b runs");
      await Promise.all(long.map((ref) => ray.cancel(ref)));
      for (const ref of long) await assert.rejects(ray.get(ref), isCancelled());
      await everythingFree();
    });

    it("that runs: its signal is aborted, its pending get is rejected, its processor comes back", async () => {
      const journal = newJournal();
      const ref = waitsForEver.remote(journal, "by signal");
      const waits = ray.remote(async function waits(into: JournalHandle, never: { ref: ray.ObjectRef<unknown> }) {
        void into.write.remote("by get runs");
        try {
          await ray.get(never.ref);
        } catch (error) {
          // What a task does to clean up is left alone.
          await ray.get(into.write.remote(`by get ended with ${(error as Error).name}, signal ${ray.getRuntimeContext().signal.aborted}`));
        }
        return "dropped";
      });
      const waiting = waits.remote(journal, { ref } as never);
      await written(journal, "by signal runs");
      await written(journal, "by get runs");
      await ray.cancel(waiting);
      await assert.rejects(ray.get(waiting), isCancelled(/waits/));
      await written(journal, "by get ended with TaskCancelledError, signal true");
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled(/waitsForEver/));
      await written(journal, "by signal ended with TaskCancelledError");
      await everythingFree();
    });

    it("that runs: what it awaits next is rejected if it awaited nothing, also of wait() and of a stream", async () => {
      const journal = newJournal();
      const late = ray.remote(async function late(into: JournalHandle, how: "get" | "wait" | "next", never: { ref: ray.ObjectRef<unknown> }) {
        const { signal } = ray.getRuntimeContext();
        void into.write.remote(`${how} runs`);
        await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
        const endless = ray.remote(async function* () { await new Promise(() => {}); yield 1; });
        try {
          if (how === "get") await ray.get(never.ref);
          else if (how === "wait") await ray.wait([never.ref]);
          else await endless.options({ numCpus: 0 }).remote().next();
        } catch (error) {
          await ray.get(into.write.remote(`${how}: ${(error as Error).name}`));
        }
      });
      const never = waitsForEver.options({ numCpus: 0 }).remote(journal, "never");
      for (const how of ["get", "wait", "next"] as const) {
        const ref = late.remote(journal, how, { ref: never } as never);
        await written(journal, `${how} runs`);
        await ray.cancel(ref);
        await written(journal, `${how}: TaskCancelledError`);
      }
      await ray.cancel(never);
    });

    it("that ignores it: its processor comes back when it has ended, and its result is dropped", async () => {
      const journal = newJournal();
      const opened = join(folder, "stubborn");
      const ref = ignoresTheSignal.options({ numCpus: 2 }).remote(journal, opened);
      await written(journal, "stubborn runs");
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled());
      const after = increment.remote(1);
      const [ready] = await ray.wait([after], { timeoutMs: 50 });
      assert.deepEqual(ready, []);
      writeFileSync(opened, "");
      assert.equal(await ray.get(after), 2);
      await written(journal, "stubborn ends");
      await assert.rejects(ray.get(ref), isCancelled());
    });

    it("that has ended, or was put: nothing happens", async () => {
      const ref = increment.remote(1);
      assert.equal(await ray.get(ref), 2);
      await ray.cancel(ref, { force: true });
      assert.equal(await ray.get(ref), 2);
      const stored = ray.put({ a: 1 });
      await ray.cancel(stored);
      assert.deepEqual(await ray.get(stored), { a: 1 });
    });

    it("with several results: all of its refs fail", async () => {
      const journal = newJournal();
      const refs = waitsForEver.options({ numReturns: 3 }).remote(journal, "three") as unknown as ray.ObjectRef[];
      await written(journal, "three runs");
      await ray.cancel(refs[1] as ray.ObjectRef);
      for (const ref of refs) await assert.rejects(ray.get(ref), isCancelled());
    });

    it("from a worker that was given its ref", async () => {
      const journal = newJournal();
      const ref = waitsForEver.remote(journal, "lent");
      const cancels = ray.remote(async (box: { ref: ray.ObjectRef<unknown> }) => {
        await ray.cancel(box.ref);
        return ray.get(box.ref).then(() => "no error", (error: unknown) => (error as Error).name);
      });
      await written(journal, "lent runs");
      assert.equal(await ray.get(cancels.remote({ ref } as never)), "TaskCancelledError");
      await assert.rejects(ray.get(ref), isCancelled());
      await written(journal, "lent ended with TaskCancelledError");
    });

    it("is not retried when its worker ends", async () => {
      const journal = newJournal();
      const dies = ray.remote(async function dies(into: JournalHandle) {
        void into.write.remote("dies runs");
        await new Promise((resolve) => { ray.getRuntimeContext().signal.addEventListener("abort", resolve); });
        process.exit(1);
      });
      const ref = dies.options({ maxRetries: -1 }).remote(journal);
      await written(journal, "dies runs");
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled());
      await everythingFree();
      assert.deepEqual(await ray.get(journal.read.remote()), ["dies runs"]);
    });

    it("whose arguments are being fetched", async () => {
      const sum = ray.remote((values: Float64Array) => values.length);
      const outcomes = new Set<string>();
      for (let round = 0; round < 20; round++) {
        const large = ray.put(new Float64Array(100_000));
        const ref = sum.remote(large as never);
        if (round % 2 === 0) await new Promise((resolve) => { setImmediate(resolve); });
        await ray.cancel(ref);
        outcomes.add(await ray.get(ref).then((length) => String(length), (error: unknown) => (error as Error).name));
      }
      assert.ok(outcomes.has("TaskCancelledError"), [...outcomes].join());
      for (const outcome of outcomes) assert.ok(["100000", "TaskCancelledError"].includes(outcome), outcome);
    });

    it("three levels deep, with all that it has submitted", async () => {
      const journal = newJournal();
      const leaf = waitsForEver;
      const middle = ray.remote(async (into: JournalHandle, name: string): Promise<unknown> => ray.get([leaf.remote(into, `${name}.1`), leaf.remote(into, `${name}.2`)]));
      const top = ray.remote(async (into: JournalHandle): Promise<unknown> => ray.get([middle.remote(into, "a"), middle.remote(into, "b")]));
      const ref = top.remote(journal);
      // There are two processors: others are queued somewhere.
      await eventually("two leaves", async () => (await ray.get(journal.read.remote())).length >= 2);
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled());
      await everythingFree();
      await eventually("each that ran to have ended", async () => {
        const entries = await ray.get(journal.read.remote());
        return entries.filter((entry) => entry.endsWith(" runs")).every((entry) => entries.includes(entry.replace("runs", "ended with TaskCancelledError")));
      });
    });

    it("without recursive: what it has submitted goes on", async () => {
      const journal = newJournal();
      const opened = join(folder, "child");
      const parent = ray.remote(async (into: JournalHandle, file: string) => ray.get(ignoresTheSignal.remote(into, file)));
      const ref = parent.remote(journal, opened);
      await written(journal, "stubborn runs");
      await ray.cancel(ref, { recursive: false });
      await assert.rejects(ray.get(ref), isCancelled());
      writeFileSync(opened, "");
      await written(journal, "stubborn ends");
    });
  });

  describe("by force", () => {
    it("ends a task in an endless loop, and its worker", async () => {
      const journal = newJournal();
      const ref = spins.options({ maxRetries: -1 }).remote(journal, "loop");
      await written(journal, "loop runs");
      await ray.cancel(ref, { force: true });
      await assert.rejects(ray.get(ref), isCancelled(/spins/));
      await everythingFree();
      assert.deepEqual(await ray.get(journal.read.remote()), ["loop runs"]);
    });

    it("ends one that was asked before, in vain", async () => {
      const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
      after(() => rmSync(folder, { recursive: true }));
      const file = join(folder, "spins");
      const ref = spins.options({ numCpus: 2 }).remote(newJournal(), "loop", file);
      await eventually("the loop to begin", () => existsSync(file));
      await ray.cancel(ref);
      await assert.rejects(ray.get(ref), isCancelled(/spins/));
      const next = increment.remote(1);
      const [ready] = await ray.wait([next], { timeoutMs: 50 });
      assert.deepEqual(ready, []);
      await ray.cancel(ref, { force: true });
      assert.equal(await ray.get(next), 2);
    });

    for (const maxRetries of [1, 0]) it(maxRetries === 0 ? "fails others that had begun in that worker and may run only once" : "has others that were in that worker start again", async () => {
      const journal = newJournal();
      const never = waitsForEver.options({ numCpus: 0 }).remote(journal, "never");
      await written(journal, "never runs");
      const waits = ray.remote(async function waits(into: JournalHandle, name: string, box: { never: ray.ObjectRef<unknown> }): Promise<string> {
        await ray.get(into.write.remote(`${name} at ${ray.getRuntimeContext().workerId}`));
        if ((await ray.get(into.read.remote())).filter((entry) => entry.startsWith(`${name} at`)).length === 1) await ray.get(box.never);
        return name;
      }, { maxRetries });
      const names = ["p", "q", "r"];
      const waiting = names.map((name) => waits.remote(journal, name, { never } as never));
      const spinsAt = ray.remote(async function spinsAt(into: JournalHandle): Promise<never> { await ray.get(into.write.remote(`loop at ${ray.getRuntimeContext().workerId}`)); for (;;) { /* for ever */ } });
      const entriesOf = async (name: string): Promise<string[]> => (await ray.get(journal.read.remote())).filter((entry) => entry.startsWith(`${name} at`));
      for (const name of names) await eventually(name, async () => (await entriesOf(name)).length > 0);
      const failed = new Set<string>();
      // Until a loop runs in a worker in which one of them waits; idle workers come first.
      for (let round = 1; failed.size === 0 && (await Promise.all(names.map(entriesOf))).every((entries) => entries.length === 1); round++) {
        const loop = spinsAt.remote(journal);
        await eventually("the loop to run", async () => (await entriesOf("loop")).length === round);
        await ray.cancel(loop, { force: true });
        await assert.rejects(ray.get(loop), isCancelled());
        const at = ((await entriesOf("loop")).at(-1) as string).slice("loop".length);
        for (const [index, name] of names.entries()) {
          if ((await entriesOf(name))[0] !== name + at) continue;
          if (maxRetries > 0) await eventually(`${name} to start again`, async () => (await entriesOf(name)).length === 2);
          else {
            await assert.rejects(ray.get(waiting[index] as ray.ObjectRef), (error: unknown) => error instanceof ray.WorkerCrashedError && /waits\(\) was ended to cancel spinsAt\(\) by force; .* begun, and with maxRetries 0 it never runs again/.test(error.message));
            failed.add(name);
          }
        }
        assert.ok(round < 20, "no loop ran beside a task that waits");
      }
      for (const [index, name] of names.entries()) {
        if (failed.has(name)) assert.equal((await entriesOf(name)).length, 1);
        else if ((await entriesOf(name)).length > 1) assert.equal(await ray.get(waiting[index] as ray.ObjectRef), name);
        else await ray.cancel(waiting[index] as ray.ObjectRef);
      }
      await ray.cancel(never);
    });

    it("with what it has submitted", async () => {
      const journal = newJournal();
      const parent = ray.remote(async function parent(into: JournalHandle): Promise<never> {
        void spins.remote(into, "child");
        // While it waits, the child starts in another worker: this one is busy.
        while (!(await ray.get(into.read.remote())).includes("child runs")) await new Promise((resolve) => setTimeout(resolve, 5));
        for (;;) { /* for ever */ }
      });
      const ref = parent.remote(journal);
      await written(journal, "child runs");
      await ray.cancel(ref, { force: true });
      await assert.rejects(ray.get(ref), isCancelled());
      await everythingFree();
    });

    it("of a call of an actor is refused", async () => {
      const journal = newJournal();
      const call = journal.read.remote();
      await assert.rejects(ray.cancel(call, { force: true }), (error: unknown) => error instanceof TypeError && error instanceof ray.InvalidArgumentError && /kill\(\)/.test((error as Error).message));
      assert.deepEqual(await ray.get(call), []);
    });
  });

  describe("of a stream", () => {
    it("gives what was yielded, then a ref that fails, and ends its generator", async () => {
      const journal = newJournal();
      const counts = ray.remote(async function* counts(into: JournalHandle) {
        try {
          yield 1;
          yield 2;
          await ray.get(into.write.remote("two yielded"));
          await new Promise<never>((_resolve, reject) => {
            const { signal } = ray.getRuntimeContext();
            signal.addEventListener("abort", () => reject(signal.reason as Error));
          });
        } finally {
          void into.write.remote("generator ended");
        }
      });
      const stream = counts.remote(journal);
      await written(journal, "two yielded");
      await ray.cancel(stream);
      const seen: number[] = [];
      await assert.rejects(async () => { for await (const ref of stream) seen.push(await ray.get(ref as ray.ObjectRef<number>)); }, isCancelled(/counts/));
      assert.deepEqual(seen, [1, 2]);
      await assert.rejects(ray.get(stream.completed()), isCancelled());
      await written(journal, "generator ended");
      await everythingFree();
    });

    it("that is paused", async () => {
      const journal = newJournal();
      const counts = ray.remote(function* counts(into: JournalHandle) {
        try {
          for (let count = 0; ; count++) yield count;
        } finally {
          void into.write.remote("generator ended");
        }
      }, { generatorBackpressure: 2 });
      const stream = counts.remote(journal);
      await stream.next();
      await ray.cancel(stream.completed());
      await written(journal, "generator ended");
      await everythingFree();
    });
  });

  it("refuses what is no ref", async () => {
    const actor = newJournal();
    for (const wrong of [actor, 1, undefined, Promise.resolve(1)]) await assert.rejects(ray.cancel(wrong as never), (error: unknown) => error instanceof ray.InvalidArgumentError && /kill\(handle\)/.test((error as Error).message));
    await assert.rejects(ray.cancel(ray.put(1), { forced: true } as never), /did you mean 'force'/);
    const released = increment.remote(1);
    released.release();
    await assert.rejects(ray.cancel(released), ray.ObjectFreedError);
  });
});
