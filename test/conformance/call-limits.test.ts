import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, underEveryActorIsolation } from "./both-isolations.ts";

const isTimeout = (name: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskTimeoutError, `${String(error)} is not a TaskTimeoutError`);
  assert.equal(error.code, "ERR_MANTARAY_TASK_TIMEOUT");
  assert.match(error.message, name);
  assert.match(error.message, /timeoutMs of \d+ ms/);
  return true;
};
const isAborted = (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskCancelledError, String(error));
  assert.match(error.message, /its signal was aborted/);
  return true;
};

class Notes {
  readonly #notes: string[] = [];
  write(note: string): void { this.#notes.push(note); }
  read(): string[] { return this.#notes; }
}
type NotesHandle = ray.ActorHandle<Notes>;

const untilAborted = ray.remote(async function untilAborted(notes: NotesHandle | null): Promise<string> {
  void notes?.write.remote("runs");
  const { signal } = ray.getRuntimeContext();
  await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
  void notes?.write.remote(`ended with ${(signal.reason as Error).name}`);
  return "dropped";
});
const increment = ray.remote((value: number) => value + 1);

underEveryActorIsolation("limits of calls", { isOnOneOfThem: true }, (isolation, remote) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));
  const newNotes = (): NotesHandle => remote(Notes).remote();
  const noted = (notes: NotesHandle, note: string): Promise<void> => eventually(`the note '${note}'`, async () => (await ray.get(notes.read.remote())).includes(note));

  describe("signal", () => {
    it("cancels a task that runs, and those that are queued", async () => {
      const notes = newNotes();
      const controller = new AbortController();
      const limited = untilAborted.options({ signal: controller.signal, numCpus: 2 });
      const refs = [limited.remote(notes), limited.remote(notes), limited.remote(notes)];
      await noted(notes, "runs");
      controller.abort();
      for (const ref of refs) await assert.rejects(ray.get(ref), isAborted);
      await noted(notes, "ended with TaskCancelledError");
      await everythingFree();
      assert.equal((await ray.get(notes.read.remote())).length, 2);
    });

    it("that is aborted already fails the call without running it", async () => {
      const notes = newNotes();
      const signal = AbortSignal.abort();
      const ref = untilAborted.options({ signal }).remote(notes);
      await assert.rejects(ray.get(ref), isAborted);
      await assert.rejects(ray.get(notes.write.options({ signal }).remote("ran")), isAborted);
      await assert.rejects(ray.get(increment.remote(ref as never)), isAborted);
      assert.deepEqual(await ray.get(notes.read.remote()), []);
    });

    it("cancels calls of actors", async () => {
      class Waiter {
        async waits(): Promise<string> {
          const { signal } = ray.getRuntimeContext();
          await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
          return "dropped";
        }
        answers(): string { return "here"; }
      }
      const actor = remote(Waiter).remote();
      const controller = new AbortController();
      const call = actor.waits.options({ signal: controller.signal }).remote();
      assert.equal(await ray.get(actor.answers.remote()), "here");
      controller.abort();
      await assert.rejects(ray.get(call), isAborted);
      assert.equal(await ray.get(actor.answers.remote()), "here");
    });

    it("keeps nothing of tasks that have ended", async () => {
      const controller = new AbortController();
      const limited = increment.options({ signal: controller.signal });
      const refs = Array.from({ length: 5_000 }, (_, index) => limited.remote(index));
      assert.equal(getEventListeners(controller.signal, "abort").length, 1);
      assert.equal((await ray.get(refs)).length, 5_000);
      assert.equal(getEventListeners(controller.signal, "abort").length, 0);
      controller.abort();
      assert.equal(await ray.get(refs[1] as ray.ObjectRef<number>), 2);
    });

    it("does not travel", async () => {
      const limited = increment.options({ signal: new AbortController().signal });
      const calls = ray.remote(async () => ray.get(limited.remote(1)));
      assert.throws(() => calls.remote(), (error: unknown) => error instanceof ray.SerializationError && /'signal'/.test(error.message));
      assert.throws(() => ray.remote(Notes, { methods: { read: { signal: new AbortController().signal } } }), ray.InvalidArgumentError);
    });

    it("of wait() ends the wait with its reason", async () => {
      const controller = new AbortController();
      const ref = untilAborted.remote(null);
      const waiting = ray.wait([ref], { signal: controller.signal });
      controller.abort(new Error("enough"));
      await assert.rejects(waiting, /enough/);
      await assert.rejects(ray.wait([ref], { signal: AbortSignal.abort(new Error("at once")) }), /at once/);
      await ray.cancel(ref);
    });
  });

  describe("timeoutMs", () => {
    it("aborts a task that heeds its signal, and its worker goes on", async () => {
      const notes = newNotes();
      const ref = untilAborted.options({ timeoutMs: 50 }).remote(notes);
      await assert.rejects(ray.get(ref), isTimeout(/untilAborted/));
      await noted(notes, "ended with TaskTimeoutError");
      await everythingFree();
    });

    it("is the outcome whatever the code makes of it, also where its answer is quicker than the news of the limit", async () => {
      type Answer = "rethrows" | "throws" | "returns";
      const answers: readonly Answer[] = ["rethrows", "throws", "returns"];
      class Answerer {
        async answer(how: Answer): Promise<string> {
          const { signal } = ray.getRuntimeContext();
          await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
          if (how === "rethrows") throw signal.reason;
          if (how === "throws") throw new RangeError("not in time");
          return "a value";
        }
        async *stream(how: Answer): AsyncGenerator<string> {
          yield "first";
          yield await this.answer(how);
        }
      }
      const limit = { timeoutMs: 20 };
      const task = ray.remote(async (how: Answer) => new Answerer().answer(how), limit);
      const answerer = remote(Answerer).remote();
      const repeated = Array.from({ length: 4 }, () => answers).flat();
      const refs = repeated.flatMap((how) => [task.remote(how), answerer.answer.options(limit).remote(how), answerer.stream.options(limit).remote(how).completed()]);
      for (const ref of refs) await assert.rejects(ray.get<unknown>(ref), isTimeout(/answer|stream|anonymous/));
    });

    it("ends one that does not, also in an endless loop, and does not retry it", async () => {
      const spins = ray.remote(function spins(file: string): never {
        appendFileSync(file, "runs\n");
        for (;;) { /* for ever */ }
      });
      const ref = spins.options({ timeoutMs: 100, maxRetries: -1, numCpus: 2 }).remote(join(folder, "notes"));
      await assert.rejects(ray.get(ref), isTimeout(/spins/));
      assert.equal(await ray.get(increment.remote(1)), 2);
      await everythingFree();
      assert.equal(readFileSync(join(folder, "notes"), "utf8"), "runs\n");
    });

    it("is kept even if the owner is the very worker that is blocked", async () => {
      const spins = ray.remote(function spins(): never { for (;;) { /* for ever */ } });
      const parent = ray.remote(async () => ray.get(spins.options({ timeoutMs: 100 }).remote()).then(() => "no error", (error: unknown) => (error as Error).name));
      // With all of the processors the child must run where its parent waits; it takes that worker with it, and the parent starts again.
      const notes = newNotes();
      const once = ray.remote(async (into: NotesHandle) => {
        await ray.get(into.write.remote("attempt"));
        if ((await ray.get(into.read.remote())).length > 1) return "a second attempt";
        return ray.get(parent.options({ numCpus: 2 }).remote());
      });
      assert.ok(["TaskTimeoutError", "a second attempt"].includes(await ray.get(once.options({ numCpus: 2, maxRetries: 1 }).remote(notes))));
    });

    it("ends a task at last whose child takes their worker with it each time", { skip: isolation === "thread" ? false : "the same again" }, async () => {
      const spins = ray.remote(function spins(): never { for (;;) { /* for ever */ } }, { numCpus: 2, timeoutMs: 10 });
      const parent = ray.remote(async function parent(): Promise<void> { await ray.get(spins.remote()); }, { numCpus: 2 });
      for (const maxRetries of [0, 1]) await assert.rejects(ray.get(parent.options({ maxRetries }).remote()), (error: unknown) => error instanceof ray.TaskTimeoutError || (error instanceof ray.WorkerCrashedError && /spins\(\) went on after its timeoutMs/.test(error.message)) || (error instanceof ray.TaskError && error.cause instanceof ray.TaskTimeoutError));
    });

    it("does not count time in queues, and lets what is in time alone", async () => {
      // They wait in the queue for longer than each may take.
      const timeoutMs = 1_500;
      const sleeps = ray.remote(async (durationMs: number) => { await new Promise((resolve) => setTimeout(resolve, durationMs)); }, { numCpus: 2 });
      const first = sleeps.remote(timeoutMs + 100);
      const limited = Array.from({ length: 3 }, (_, value) => increment.options({ timeoutMs, numCpus: 2 }).remote(value));
      assert.deepEqual(await ray.get([first, ...limited]), [undefined, 1, 2, 3]);
    });

    it("of a call fails it and aborts its signal, and the actor lives on", async () => {
      class Waiter {
        readonly #done: string[] = [];
        async waits(): Promise<void> {
          const { signal } = ray.getRuntimeContext();
          await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
          this.#done.push((signal.reason as Error).name);
        }
        blocks(file: string): void {
          while (!existsSync(file));
          this.#done.push("blocked");
        }
        done(): string[] { return this.#done; }
      }
      const actor = remote(Waiter).remote();
      await assert.rejects(ray.get(actor.waits.options({ timeoutMs: 50 }).remote()), isTimeout(/Waiter\.waits/));
      await eventually("the first to end", async () => (await ray.get(actor.done.remote())).length === 1);
      const file = join(folder, "unblocked");
      await assert.rejects(ray.get(actor.blocks.options({ timeoutMs: 50 }).remote(file)), isTimeout(/Waiter\.blocks/));
      writeFileSync(file, "");
      assert.deepEqual(await ray.get(actor.done.remote()), ["TaskTimeoutError", "blocked"]);
    });

    it("of a stream ends it", async () => {
      const endless = ray.remote(async function* endless() { yield 1; await new Promise(() => {}); });
      const seen: number[] = [];
      await assert.rejects(async () => { for await (const ref of endless.options({ timeoutMs: 100 }).remote()) seen.push(await ray.get(ref as ray.ObjectRef<number>)); }, isTimeout(/endless/));
      assert.deepEqual(seen, [1]);
      await everythingFree();
    });

    it("is checked", () => {
      for (const timeoutMs of [0, -1, Number.NaN, "100" as never]) assert.throws(() => increment.options({ timeoutMs }), /more than 0/);
      assert.doesNotThrow(() => increment.options({ timeoutMs: Number.POSITIVE_INFINITY }));
    });
  });
});
