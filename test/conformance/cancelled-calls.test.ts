import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import * as ray from "mantaray";
import { eventually, underEveryActorIsolation } from "./both-isolations.ts";

/** Until it is cancelled. */
const waits = ray.remote(async function waits(): Promise<void> {
  const { signal } = ray.getRuntimeContext();
  await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
});

const isCancelled = (...mentioned: RegExp[]) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.TaskCancelledError, `${String(error)} is not a TaskCancelledError`);
  assert.equal(error.code, "ERR_MANTARAY_TASK_CANCELLED");
  for (const text of mentioned) assert.match(error.message, text);
  return true;
};

async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => { setImmediate(resolve); });
}

underEveryActorIsolation("cancel() of a call of an actor", { isOnOneOfThem: true }, (_isolation, remote) => {
  const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
  after(() => rmSync(folder, { recursive: true }));

  class Worker {
    readonly #done: string[] = [];
    async waits(name: string): Promise<string> {
      this.#done.push(`${name} runs`);
      const { signal } = ray.getRuntimeContext();
      await new Promise((resolve) => { signal.addEventListener("abort", resolve); });
      this.#done.push(`${name} ended with ${(signal.reason as Error).name}`);
      return name;
    }
    write(name: string | undefined): void { this.#done.push(String(name)); }
    /** Without a pause, until there is such a file. */
    blocksUntil(file: string): void {
      writeFileSync(`${file}.awaited`, "");
      while (!existsSync(file));
      this.#done.push("long");
    }
    done(): string[] { return this.#done; }
  }
  const Workers = remote(Worker);

  it("that waits for an argument, and those behind it go on", async () => {
    const never = waits.remote();
    const actor = Workers.remote();
    const call = actor.write.remote(never as never);
    const next = actor.done.remote();
    await ray.cancel(call);
    await assert.rejects(ray.get(call), isCancelled(/call Worker\.write\(\)/));
    assert.deepEqual(await ray.get(next), []);
    await ray.cancel(never);
  });

  it("that is queued at the caller, because the actor has not been placed", async () => {
    const holds = waits.options({ numCpus: 2 }).remote();
    await eventually("it to hold all processors", async () => ((await ray.availableResources())["CPU"] ?? 0) === 0);
    const actor = ray.remote(Worker, { numCpus: 2 }).remote();
    const calls = [actor.write.remote("a"), actor.write.remote("b"), actor.write.remote("c")];
    await ray.cancel(calls[1] as ray.ObjectRef);
    await assert.rejects(ray.get(calls[1] as ray.ObjectRef), isCancelled());
    await ray.cancel(holds);
    assert.deepEqual(await ray.get(actor.done.remote()), ["a", "c"]);
    await ray.kill(actor);
  });

  it("that is queued in the actor behind a long one: it never runs", async () => {
    const actor = Workers.options({ maxConcurrency: 1 }).remote();
    await ray.get(actor.ready());
    const file = join(folder, "unblocked");
    const long = actor.blocksUntil.remote(file);
    await eventually("the long one to run", () => existsSync(`${file}.awaited`));
    const calls = Array.from({ length: 1_000 }, (_, index) => actor.write.remote(String(index)));
    const last = actor.done.remote();
    // They have left this worker, and then what cancels them.
    await nextTurns();
    await Promise.all(calls.map((call) => ray.cancel(call)));
    await nextTurns();
    writeFileSync(file, "");
    for (const call of calls) await assert.rejects(ray.get(call), isCancelled());
    await ray.get(long);
    assert.deepEqual(await ray.get(last), ["long"]);
  });

  it("that runs: its signal is aborted, and the actor lives on", async () => {
    const actor = Workers.remote();
    const first = actor.waits.remote("first");
    const second = actor.waits.remote("second");
    await eventually("both to run", async () => (await ray.get(actor.done.remote())).length === 2);
    await ray.cancel(first);
    await assert.rejects(ray.get(first), isCancelled());
    await eventually("the first to end", async () => (await ray.get(actor.done.remote())).length === 3);
    assert.deepEqual(await ray.get(actor.done.remote()), ["first runs", "second runs", "first ended with TaskCancelledError"]);
    await ray.cancel(second);
  });

  it("that goes on though it was told to stop: the actor can be ended and starts again, and later calls find it", async () => {
    class Deaf {
      heard = 0;
      never(): Promise<never> { this.heard++; return new Promise<never>(() => undefined); }
      count(): number { return this.heard; }
    }
    const actor = remote(Deaf, { maxConcurrency: 3, maxRestarts: 1, maxTaskRetries: -1 }).remote();
    const calls = [actor.never.remote(), actor.never.options({ maxTaskRetries: 0 }).remote()];
    await eventually("both to run", async () => (await ray.get(actor.count.remote())) === 2);
    await ray.cancel(calls[0] as ray.ObjectRef);
    await assert.rejects(ray.get(calls[0] as ray.ObjectRef), isCancelled());
    await ray.kill(actor, { noRestart: false });
    await assert.rejects(ray.get(calls[1] as ray.ObjectRef), ray.ActorUnavailableError);
    assert.equal(await ray.get(actor.count.remote()), 0);
  });

  it("made by a task that is cancelled", async () => {
    const actor = Workers.remote();
    const calls = ray.remote(async (target: ray.ActorHandle<Worker>) => ray.get(target.waits.remote("called")));
    const ref = calls.remote(actor);
    await eventually("it to run", async () => (await ray.get(actor.done.remote())).length === 1);
    await ray.cancel(ref);
    await eventually("it to end", async () => (await ray.get(actor.done.remote())).length === 2);
  });

  it("made by a task that is cancelled: an actor that it was to end does, also one that has not been placed", async () => {
    const holds = waits.options({ numCpus: 2 }).remote();
    await eventually("it to hold all processors", async () => ((await ray.availableResources())["CPU"] ?? 0) === 0);
    const actor = ray.remote(Worker, { numCpus: 2 }).remote();
    const asked = join(folder, "end-asked");
    const ends = ray.remote(async (target: ray.ActorHandle<Worker>, path: string) => {
      const ended = target.terminate();
      writeFileSync(path, "");
      await ray.get(ended);
    });
    const ref = ends.options({ numCpus: 0 }).remote(actor, asked);
    await eventually("the task to have asked for it", () => existsSync(asked));
    await ray.cancel(ref);
    await assert.rejects(ray.get(ref), isCancelled());
    await ray.cancel(holds);
    // Its processors are free only when the actor has ended.
    const next = ray.remote(Worker, { numCpus: 2 }).remote();
    assert.deepEqual(await ray.get(next.done.remote()), []);
    await assert.rejects(ray.get(actor.done.remote()), ray.ActorDiedError);
    await ray.kill(next);
    rmSync(asked);
  });

  it("or ready(): waiting for it ends, and the actor goes on", async () => {
    const actor = Workers.remote();
    const ready = actor.ready();
    await ray.cancel(ready);
    await assert.rejects(ray.get(ready), isCancelled());
    assert.deepEqual(await ray.get(actor.done.remote()), []);
  });
});
