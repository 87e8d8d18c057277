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

  describe("concurrencyGroups", () => {
    const Grouped = ray.remote(Clerk, { maxConcurrency: 1, concurrencyGroups: { io: 2, desk: 1 }, methods: { waitAt: { concurrencyGroup: "io" } } });

    it("run as many calls at once as they say, and do not wait for each other", async () => {
      const [io, desk] = [ray.remote(Gate).remote(), ray.remote(Gate).remote()];
      const clerk = Grouped.remote();
      const refs = [
        ...["i1", "i2", "i3"].map((name) => clerk.waitAt.remote(io, name)),
        ...["d1", "d2"].map((name) => clerk.waitAt.options({ concurrencyGroup: "desk" }).remote(desk, name)),
        clerk.noteLater.remote("n1"),
      ];
      await ray.get([io.reached.remote(2), desk.reached.remote(1)]);
      assert.deepEqual(await ray.get([clerk.note.remote("n2"), refs[5] as ray.ObjectRef<string>]), ["n2", "n1"], "calls without a group go on");
      await ray.get(desk.unlock.remote());
      assert.deepEqual(await ray.get(refs.slice(3, 5)), ["d1", "d2"]);
      assert.deepEqual(await ray.get(clerk.done.remote()), ["n1", "n2", "d1", "d2"]);
      await ray.get(io.unlock.remote());
      assert.deepEqual(await ray.get(refs.slice(0, 3)), ["i1", "i2", "i3"]);
    });

    it("keep the order of calls within each", async () => {
      const clerk = Grouped.remote();
      const names = Array.from({ length: 100 }, (_, index) => index);
      const refs = names.map((index) => clerk.noteLater.options(index % 2 === 0 ? { concurrencyGroup: "desk" } : {}).remote(`${index}`));
      await ray.get(refs);
      const done = (await ray.get(clerk.done.remote())).map(Number);
      for (const parity of [0, 1]) assert.deepEqual(done.filter((index) => index % 2 === parity), names.filter((index) => index % 2 === parity));
    });

    it("hold for handles that were passed on or found, and after a restart", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Grouped.options({ name: "grouped", maxRestarts: 1 }).remote();
      await assert.rejects(ray.get(clerk.exit.remote()), ray.ActorUnavailableError);
      const waiting = clerk.waitAt.remote(gate, "io");
      const uses = ray.remote(async (handle: typeof clerk) => {
        const found = await ray.getActor<Clerk>("grouped");
        return ray.get([handle.note.remote("a"), found.note.options({ concurrencyGroup: "desk" }).remote("b")]);
      });
      assert.deepEqual(await ray.get(uses.remote(clerk)), ["a", "b"]);
      await ray.get(gate.unlock.remote());
      assert.equal(await ray.get(waiting), "io");
    });

    it("that an actor does not have are refused at the call, or where they are declared", async () => {
      const clerk = Grouped.remote();
      assert.throws(() => clerk.note.options({ concurrencyGroup: "attic" }).remote("a"), isInvalid(/'attic'.*io, desk/));
      assert.throws(() => Clerks.remote().note.options({ concurrencyGroup: "io" }).remote("a"), isInvalid(/no groups.*concurrencyGroups/));
      assert.throws(() => Clerks.options({ methods: { note: { concurrencyGroup: "io" } } }).remote(), isInvalid(/Clerk\.note.*'io'/));
      for (const wrong of [{ io: 0 }, { io: 1.5 }, { io: "many" }, [1], "io"]) assert.throws(() => Clerks.options({ concurrencyGroups: wrong as never }), isInvalid(/concurrencyGroups/));
      assert.equal(await ray.get(clerk.note.remote("b")), "b");
    });
  });

  it("options declared for methods hold for every call that does not say otherwise", async () => {
    class Many {
      pair(): [number, string] { return [1, "b"]; }
      fails(): void { throw new RangeError("as asked"); }
      *count(to: number): Generator<number> { for (let value = 0; value < to; value++) yield value; }
      list(): number[] { return [1, 2]; }
    }
    const many = ray.remote(Many, { methods: { pair: { numReturns: 2 }, fails: { name: "breaks" }, count: { generatorBackpressure: 1 }, list: { numReturns: "streaming" } } }).remote();
    const refs = many.pair.remote() as unknown as [ray.ObjectRef<number>, ray.ObjectRef<string>];
    assert.deepEqual(await ray.get(refs), [1, "b"]);
    assert.deepEqual(await ray.get(many.pair.options({ numReturns: 1 }).remote()), [1, "b"]);
    await assert.rejects(ray.get(many.fails.remote()), (error: unknown) => error instanceof ray.TaskError && error.functionName === "breaks");
    const values: number[] = [];
    for await (const ref of many.count.remote(3)) values.push(await ray.get(ref));
    for await (const ref of many.list.remote() as unknown as ray.ObjectRefGenerator<number>) values.push(await ray.get(ref));
    assert.deepEqual(values, [0, 1, 2, 1, 2]);
    assert.throws(() => ray.remote(Many, { methods: { pear: {} } }).remote(), isInvalid(/'pear'.*pair/));
  });

  describe("allowOutOfOrderExecution", () => {
    const waits = ray.remote(async (gate: GateHandle, value: string) => { await ray.get(gate.pass.remote()); return value; });

    it("sends calls whose arguments are there before those whose arguments are not", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ allowOutOfOrderExecution: true }).remote();
      const late = [1, 2].map((index) => clerk.note.remote(`late ${index}`, waits.remote(gate, "all")));
      assert.deepEqual(await ray.get([clerk.note.remote("a"), clerk.note.remote("b")]), ["a", "b"]);
      await ray.get(gate.unlock.remote());
      assert.deepEqual(await ray.get(late), ["late 1 after all", "late 2 after all"]);
      assert.deepEqual((await ray.get(clerk.done.remote())).slice(0, 2), ["a", "b"]);
    });

    it("is not the default: calls wait for those before them", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = ray.remote(Clerk).remote();
      const refs = [clerk.note.remote("late", waits.remote(gate, "all")), clerk.note.remote("a")];
      await ray.get(gate.reached.remote(1));
      await ray.get(gate.unlock.remote());
      await ray.get(refs);
      assert.deepEqual(await ray.get(clerk.done.remote()), ["late", "a"]);
    });

    it("does not lose calls whose arguments fail, or whose actor dies meanwhile", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = Clerks.options({ allowOutOfOrderExecution: true, maxPendingCalls: 2 }).remote();
      const fails = ray.remote((): string => { throw new RangeError("no argument"); });
      await assert.rejects(ray.get(clerk.note.remote("a", fails.remote())), ray.TaskError);
      const late = [clerk.note.remote("b", waits.remote(gate, "all")), clerk.note.remote("c", waits.remote(gate, "all"))];
      assert.throws(() => clerk.note.remote("d"), isLimit);
      await ray.kill(clerk);
      for (const ref of late) await assert.rejects(ray.get(ref), ray.ActorDiedError);
      await ray.get(gate.unlock.remote());
    });
  });

  describe("terminate() and ready()", () => {
    it("end after the calls of all groups that were submitted, running ones included, and no later one runs", async () => {
      const gate = ray.remote(Gate).remote();
      const clerk = ray.remote(Clerk, { maxConcurrency: 1, concurrencyGroups: { io: 1 }, methods: { waitAt: { concurrencyGroup: "io" } } }).remote();
      const before = [clerk.waitAt.remote(gate, "a"), clerk.waitAt.remote(gate, "b"), clerk.note.remote("c")];
      const end = clerk.terminate();
      const later = clerk.note.remote("d");
      await ray.get(gate.reached.remote(1));
      const [ready] = await ray.wait([end], { timeoutMs: 0 });
      assert.deepEqual(ready, [], "calls are still running");
      await ray.get(gate.unlock.remote());
      assert.deepEqual(await ray.get(before), ["a", "b", "c"]);
      assert.equal(await ray.get(end), undefined);
      await assert.rejects(ray.get(later), ray.ActorDiedError);
    });

    it("terminate() frees the name before it resolves, never restarts, and may be called again", async () => {
      const clerk = ray.remote(Clerk, { name: "leaves", maxRestarts: -1 }).remote();
      const ends = [clerk.terminate(), clerk.terminate()];
      assert.deepEqual(await ray.get(ends), [undefined, undefined]);
      await assert.rejects(ray.getActor("leaves"), ray.ActorNotFoundError);
      assert.equal(await ray.get(clerk.terminate()), undefined);
      await assert.rejects(ray.get(clerk.note.remote("a")), ray.ActorDiedError);
    });

    it("terminate() ends an actor whose worker crashes on the way, though it could start again", async () => {
      const clerk = Clerks.options({ maxRestarts: -1 }).remote();
      const crash = clerk.exit.remote();
      const end = clerk.terminate();
      await assert.rejects(ray.get(crash), ray.ActorError);
      assert.equal(await ray.get(end), undefined);
      await assert.rejects(ray.get(clerk.note.remote("a")), ray.ActorDiedError);
    });

    it("ready() tells of the constructor's end, its error, and of every end before it", async () => {
      const Fails = ray.remote(class Fails { constructor(message: string) { throw new RangeError(message); } });
      await assert.rejects(ray.get(Fails.remote("unfit").ready()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError && error.cause.message === "unfit");
      const clerk = Clerks.remote();
      assert.equal(await ray.get(clerk.ready()), undefined);
      assert.equal(await ray.get(clerk.ready()), undefined);
      await ray.kill(clerk);
      await assert.rejects(ray.get(clerk.ready()), ray.ActorDiedError);
      assert.equal(await ray.get(clerk.terminate()), undefined);
    });

    it("refuse a handle that was released", () => {
      const clerk = Clerks.remote();
      clerk.release();
      for (const use of [() => clerk.ready(), () => clerk.terminate(), () => clerk.note.remote("a")]) assert.throws(use, ray.RuntimeStateError);
    });
  });
});
