import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

/** Lets calls pass when it is told to. */
class Gate {
  #unlock: () => void = () => undefined;
  readonly #unlocked = new Promise<void>((resolve) => { this.#unlock = resolve; });
  #arrived = 0;
  readonly #waiting: { count: number; resolve: () => void }[] = [];
  async pass(): Promise<void> {
    this.#arrived++;
    for (const { count, resolve } of this.#waiting) if (this.#arrived >= count) resolve();
    await this.#unlocked;
  }
  /** Resolves when so many have come to `pass`. */
  async reached(count: number): Promise<void> {
    if (this.#arrived < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
  }
  async unlock(): Promise<void> { this.#unlock(); }
}
type GateHandle = ray.ActorHandle<Gate>;

class Clerk {
  readonly #done: string[] = [];
  async waitAt(gate: GateHandle, name: string): Promise<string> {
    await ray.get(gate.pass.remote());
    return this.note(name);
  }
  note(name: string, after?: unknown): string {
    this.#done.push(name);
    return after === undefined ? name : `${name} after ${String(after)}`;
  }
  async noteLater(name: string): Promise<string> { return this.note(name); }
  done(): string[] { return this.#done; }
  fail(): void { throw new RangeError("as asked"); }
  exit(): void { process.exit(1); }
}
const Clerks = ray.remote(Clerk, { maxConcurrency: 1 });

const isLimit = (error: unknown): boolean => {
  assert.ok(error instanceof ray.PendingCallsLimitExceededError, `${String(error)} is not a PendingCallsLimitExceededError`);
  assert.equal(error.code, "ERR_MANTARAY_PENDING_CALLS_LIMIT_EXCEEDED");
  assert.match(error.message, /Clerk\.note\(\).*maxPendingCalls/);
  return true;
};
const isInvalid = (mentioned: RegExp) => (error: unknown): boolean => error instanceof ray.InvalidArgumentError && mentioned.test(error.message);

underBothIsolations("calls of actors", { numCpus: 2 }, () => {
  describe("maxPendingCalls", () => {
    it("refuses a call when so many have no result yet, and takes one for each that has", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ maxPendingCalls: 3 }).remote();
      const refs = [clerk.waitAt.remote(gate, "a"), clerk.note.remote("b"), clerk.note.remote("c")];
      for (let round = 0; round < 3; round++) assert.throws(() => clerk.note.remote("d"), isLimit);
      await ray.get(gate.unlock.remote());
      assert.deepEqual(await ray.get(refs), ["a", "b", "c"]);
      assert.deepEqual(await ray.get([clerk.note.remote("e"), clerk.note.remote("f")]), ["e", "f"]);
      assert.deepEqual(await ray.get(clerk.done.remote()), ["a", "b", "c", "e", "f"], "what was refused has not run");
    });

    it("counts calls that wait for their arguments, that fail, that stream and that return nothing, once each", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ maxPendingCalls: 1 }).remote();
      const waits = ray.remote(async (handle: GateHandle) => { await ray.get(handle.pass.remote()); return "argument"; });
      const never = ray.remote((): string => { throw new Error("no argument"); });
      const first = clerk.note.remote("a", waits.remote(gate));
      assert.throws(() => clerk.note.remote("b"), isLimit);
      await ray.get(gate.unlock.remote());
      assert.equal(await ray.get(first), "a after argument");
      for (let round = 0; round < 3; round++) {
        await assert.rejects(ray.get(clerk.fail.remote()), ray.TaskError);
        await assert.rejects(ray.get(clerk.note.remote("c", never.remote())), ray.TaskError);
        assert.equal(await ray.get(clerk.note.remote("d")), "d");
      }
      assert.throws(() => clerk.note.remote("e", new WeakMap()), ray.SerializationError);
      assert.equal(clerk.note.options({ numReturns: 0 }).remote("f"), undefined);
      // It has no ref; the call behind it tells when it is over.
      while (true) {
        try { assert.equal(await ray.get(clerk.note.remote("g")), "g"); break; } catch (error) { isLimit(error); }
        await new Promise((resolve) => setImmediate(resolve));
      }
    });

    it("counts for each caller, also with handles that were passed on", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ maxPendingCalls: 1 }).remote();
      const first = clerk.waitAt.remote(gate, "a");
      const calls = ray.remote((handle: typeof clerk) => {
        handle.note.remote("b").release();
        try { handle.note.remote("c"); return "taken"; } catch (error) { return (error as Error).name; }
      });
      assert.equal(await ray.get(calls.remote(clerk)), "PendingCallsLimitExceededError");
      await ray.get(gate.unlock.remote());
      assert.equal(await ray.get(first), "a");
    });

    it("lets ready() and terminate() through", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ maxPendingCalls: 1 }).remote();
      const first = clerk.waitAt.remote(gate, "a");
      await ray.get(clerk.ready());
      const end = clerk.terminate();
      assert.throws(() => clerk.note.remote("b"), isLimit);
      await ray.get(gate.unlock.remote());
      assert.equal(await ray.get(first), "a");
      await ray.get(end);
    });

    it("starts from nothing when the actor has died or starts again", async () => {
      const clerk = Clerks.options({ maxPendingCalls: 2, maxRestarts: 1 }).remote();
      await assert.rejects(ray.get(clerk.exit.remote()), ray.ActorUnavailableError);
      const refs = [clerk.note.remote("a"), clerk.note.remote("b")];
      assert.throws(() => clerk.note.remote("c"), isLimit);
      assert.deepEqual(await ray.get(refs), ["a", "b"]);
      await ray.kill(clerk);
      for (let round = 0; round < 4; round++) await assert.rejects(ray.get(clerk.note.remote("d")), ray.ActorDiedError);
    });

    it("-1 is without limit, and 0 is refused", async () => {
      const clerk = Clerks.options({ maxPendingCalls: -1 }).remote();
      assert.equal((await ray.get(Array.from({ length: 2_000 }, (_, index) => clerk.note.remote(String(index))))).length, 2_000);
      for (const wrong of [0, -2, 1.5, "1"]) assert.throws(() => Clerks.options({ maxPendingCalls: wrong as number }), isInvalid(/maxPendingCalls/));
    });
  });
});
