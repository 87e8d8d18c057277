import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { eventually, underEveryActorIsolation } from "./both-isolations.ts";
import { eventuallyCollected } from "./garbage-collection.ts";

class Counter {
  count = 0;
  increment(by = 1): number { return (this.count += by); }
}
type CounterHandle = ray.ActorHandle<Counter>;

/** Opens for all who wait. */
class Gate {
  open: (() => void) | null = null;
  readonly opened = new Promise<void>((resolve) => { this.open = resolve; });
  async pass(): Promise<void> { await this.opened; }
  async unlock(): Promise<void> { this.open?.(); }
}

let unique = 0;
const freshName = (): string => `actor-${++unique}`;

async function isNamed(name: string): Promise<boolean> {
  return (await ray.listNamedActors()).some((actor) => actor.name === name);
}

underEveryActorIsolation("actor handles", { namespace: "here" }, (_isolation, remote) => {
  const Counters = remote(Counter);

  it("work in tasks, in other actors, in values, and come back as the same actor", async () => {
    const counter = Counters.remote();
    const inTask = remote(async (handle: CounterHandle) => { await ray.get(handle.increment.remote()); return handle; });
    const inValue = remote(async (box: { deep: [CounterHandle] }) => { await ray.get(box.deep[0].increment.remote()); return { back: box.deep[0] }; });
    class Keeper {
      kept: CounterHandle | null = null;
      keep(handle: CounterHandle): void { this.kept = handle; }
      async use(): Promise<number> { return ray.get((this.kept as CounterHandle).increment.remote()); }
      give(): CounterHandle { return this.kept as CounterHandle; }
    }
    const keeper = remote(Keeper).remote();
    const fromTask = (await ray.get(inTask.remote(counter))) as unknown as CounterHandle;
    const fromValue = (await ray.get(inValue.remote({ deep: [counter] }))) as unknown as { back: CounterHandle };
    await ray.get(keeper.keep.remote(counter));
    assert.equal(await ray.get(keeper.use.remote()), 3);
    const fromKeeper = (await ray.get(keeper.give.remote())) as unknown as CounterHandle;
    assert.deepEqual([fromTask.actorId, fromValue.back.actorId, fromKeeper.actorId], [counter.actorId, counter.actorId, counter.actorId]);
    assert.equal(await ray.get(fromTask.increment.remote()), 4);
    assert.equal(await ray.get(fromKeeper.increment.remote()), 5);
  });

  it("are captured by closures", async () => {
    const counter = Counters.remote();
    const use = remote(async () => ray.get(counter.increment.remote(2)));
    assert.equal(await ray.get(use.remote()), 2);
  });

  it("work out of a put object", async () => {
    const stored = ray.put({ counter: Counters.remote() });
    const use = remote(async (value: { counter: CounterHandle }) => ray.get(value.counter.increment.remote()));
    assert.equal(await ray.get(use.remote(stored as unknown as ray.ObjectRef<{ counter: CounterHandle }>)), 1);
    assert.equal(await ray.get(use.remote(stored as unknown as ray.ObjectRef<{ counter: CounterHandle }>)), 2);
  });

  it("work elsewhere before the actor is created", async () => {
    const gate = remote(Gate).remote();
    class Late { readonly value: unknown; constructor(value: unknown) { this.value = value; } get(): unknown { return this.value; } }
    const wait = remote(async (handle: ray.ActorHandle<Gate>) => { await ray.get(handle.pass.remote()); return "made"; }, { numCpus: 0 });
    const late = remote(Late).remote(wait.remote(gate));
    const use = remote(async (handle: ray.ActorHandle<Late>) => ray.get(handle.get.remote()), { numCpus: 0 });
    const answer = use.remote(late);
    await assert.rejects(ray.get(answer, { timeoutMs: 0 }), ray.GetTimeoutError);
    await ray.get(gate.unlock.remote());
    assert.equal(await ray.get(answer), "made");
  });

  it("learn elsewhere that the actor was never created", async () => {
    const gate = remote(Gate).remote();
    const failLater = remote(async (handle: ray.ActorHandle<Gate>): Promise<number> => { await ray.get(handle.pass.remote()); throw new RangeError("no argument"); }, { numCpus: 0 });
    class Late { readonly value: number; constructor(value: number) { this.value = value; } get(): number { return this.value; } }
    const late = remote(Late).remote(failLater.remote(gate));
    const use = remote(async (handle: ray.ActorHandle<Late>) => ray.get(handle.get.remote()), { numCpus: 0 });
    const answer = use.remote(late);
    await ray.get(gate.unlock.remote());
    await assert.rejects(ray.get(answer), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof ray.RayError);
  });

  it("end actors that were killed or let go before they were created", async () => {
    const gate = remote(Gate).remote();
    const wait = remote(async (handle: ray.ActorHandle<Gate>) => { await ray.get(handle.pass.remote()); return 1; }, { numCpus: 0 });
    class Late { constructor(value: number) { if (value !== 1) throw new Error("never"); } work(): string { return "worked"; } }
    const [killedName, releasedName] = [freshName(), freshName()];
    const argument = wait.remote(gate);
    const killed = remote(Late, { name: killedName }).remote(argument);
    const call = killed.work.remote();
    const released = remote(Late, { name: releasedName }).remote(argument);
    await ray.kill(killed);
    released.release();
    await ray.get(gate.unlock.remote());
    await assert.rejects(ray.get(call), ray.ActorDiedError);
    await eventually("the names to be free", async () => !(await isNamed(killedName)) && !(await isNamed(releasedName)));
  });

  it("of an actor made in a task outlive the task", async () => {
    const make = remote(() => remote(Counter).remote());
    const counter = (await ray.get(make.remote())) as unknown as CounterHandle;
    assert.deepEqual(await ray.get([counter.increment.remote(), counter.increment.remote()]), [1, 2]);
  });

  it("are found by name, in this namespace or in another one", async () => {
    const [name, otherName] = [freshName(), freshName()];
    const here = remote(Counter, { name }).remote();
    const there = remote(Counter, { name: otherName, namespace: "there" }).remote();
    await ray.get([here.increment.remote(10), there.increment.remote(20)]);
    assert.equal(await ray.get((await ray.getActor<Counter>(name)).increment.remote()), 11);
    assert.equal(await ray.get((await ray.getActor<Counter>(otherName, "there")).increment.remote()), 21);
    await assert.rejects(ray.getActor(otherName), (error: unknown) => error instanceof ray.ActorNotFoundError && error.code === "ERR_MANTARAY_ACTOR_NOT_FOUND");
    await assert.rejects(ray.getActor(name, "there"), ray.ActorNotFoundError);
    await assert.rejects(ray.getActor(freshName()), ray.ActorNotFoundError);
    const inTask = remote(async (wanted: string) => ray.get((await ray.getActor<Counter>(wanted)).increment.remote()));
    assert.equal(await ray.get(inTask.remote(name)), 12);
    assert.ok((await ray.listNamedActors()).some((actor) => actor.name === name && actor.namespace === "here"));
    assert.ok(!(await ray.listNamedActors()).some((actor) => actor.name === otherName));
    assert.ok((await ray.listNamedActors({ allNamespaces: true })).some((actor) => actor.name === otherName && actor.namespace === "there"));
    here.release();
    there.release();
  });

  it("may share a name in two namespaces", async () => {
    const name = freshName();
    const [one, two] = [remote(Counter, { name }).remote(), remote(Counter, { name, namespace: "there" }).remote()];
    await ray.get([one.ready(), two.ready()]);
    assert.notEqual((await ray.getActor(name)).actorId, (await ray.getActor(name, "there")).actorId);
  });

  it("cannot have a name that is taken: ready() and calls say so, the holder stays", async () => {
    const name = freshName();
    const holder = remote(Counter, { name }).remote();
    await ray.get(holder.ready());
    const second = remote(Counter, { name }).remote();
    const early = second.increment.remote();
    await assert.rejects(ray.get(second.ready()), (error: unknown) => error instanceof ray.ActorAlreadyExistsError && error.message.includes(name));
    await assert.rejects(ray.get(early), ray.ActorAlreadyExistsError);
    await assert.rejects(ray.get(second.increment.remote()), ray.ActorAlreadyExistsError);
    second.release();
    assert.equal(await ray.get(holder.increment.remote()), 1);
    assert.equal((await ray.getActor(name)).actorId, holder.actorId);
  });

  it("go by the rules of the actor that exists, whatever the class says here", async () => {
    const name = freshName();
    class Pairs {
      pair(): [number, number] { return [1, 2]; }
      crashOnce(): string {
        if (!ray.getRuntimeContext().wasCurrentActorRestarted) process.exit(1);
        return "survived";
      }
      async stay(): Promise<void> { await new Promise(() => undefined); }
    }
    const existing = remote(Pairs, { name, maxRestarts: 1, maxTaskRetries: 1, maxPendingCalls: 1, methods: { pair: { numReturns: 2 } } }).remote();
    await ray.get(existing.ready());
    const found = remote(Pairs, { name, getIfExists: true }).remote();
    assert.equal(await ray.get(found.crashOnce.remote()), "survived", "a call that was made before it was known that the actor exists");
    await ray.get(found.ready());
    assert.deepEqual(await ray.get(found.pair.remote() as unknown as [ray.ObjectRef<number>, ray.ObjectRef<number>]), [1, 2]);
    void found.stay.remote();
    assert.throws(() => found.pair.remote(), ray.PendingCallsLimitExceededError);
    const elsewhere = remote(async (handle: ray.ActorHandle<Pairs>) => {
      void handle.stay.remote();
      try { handle.pair.remote(); return "no limit"; } catch (error) { return (error as Error).name; }
    });
    assert.equal(await ray.get(elsewhere.remote(found)), "PendingCallsLimitExceededError");
    await ray.kill(existing);
  });

  it("get the actor of that name if it exists, and make it if not", async () => {
    const name = freshName();
    const GetOrMake = remote(Counter, { name, getIfExists: true });
    const [first, second] = [GetOrMake.remote(), GetOrMake.remote()];
    assert.deepEqual(await ray.get([first.increment.remote(), second.increment.remote()]).then((counts) => counts.toSorted()), [1, 2]);
    const third = GetOrMake.remote();
    assert.equal(await ray.get(third.increment.remote()), 3);
    assert.equal(third.actorId, first.actorId);
    // Each is a holder: the actor lives until the last one lets go.
    first.release();
    assert.equal(await ray.get(second.increment.remote()), 4);
    second.release();
    assert.equal(await ray.get(third.increment.remote()), 5);
    const elsewhere = remote(async (wanted: string) => {
      const found = remote(Counter, { name: wanted, getIfExists: true }).remote();
      const count = await ray.get(found.increment.remote());
      // Nothing collects garbage in a worker that has nothing to do.
      found.release();
      return count;
    });
    assert.equal(await ray.get(elsewhere.remote(name)), 6);
    assert.equal(await ray.get(third.increment.remote()), 7);
    third.release();
    await eventually("the name to be free", async () => !(await isNamed(name)));
  });

  it("do not keep a detached actor, nor does it need them", async () => {
    const name = freshName();
    const detached = remote(Counter, { name, lifetime: "detached" }).remote();
    await ray.get(detached.increment.remote());
    detached.release();
    const again = await ray.getActor<Counter>(name);
    assert.equal(await ray.get(again.increment.remote()), 2);
    await ray.kill(again);
    await assert.rejects(ray.getActor(name), ray.ActorNotFoundError);
  });

  it("end their actor when the last one is released, after the calls that were made", async () => {
    const name = freshName();
    const counter = remote(Counter, { name }).remote();
    await ray.get(counter.ready());
    const calls = Array.from({ length: 1000 }, () => counter.increment.remote());
    counter.release();
    assert.throws(() => counter.increment.remote(), ray.RayError);
    assert.deepEqual(await ray.get(calls), calls.map((_, index) => index + 1));
    await eventually("the name to be free", async () => !(await isNamed(name)));
  });

  it("end their actor at the end of a using block", async () => {
    const name = freshName();
    const counter = remote(Counter, { name }).remote();
    await ray.get(counter.ready());
    counter[Symbol.dispose]();
    counter.release();
    await eventually("the name to be free", async () => !(await isNamed(name)));
  });

  it("end their actor when the last one is collected, after the calls that were made", async () => {
    const name = freshName();
    const calls = await (async () => {
      const counter = remote(Counter, { name }).remote();
      await ray.get(counter.ready());
      return Array.from({ length: 100 }, () => counter.increment.remote());
    })();
    await eventuallyCollected("the name to be free", async () => !(await isNamed(name)));
    assert.deepEqual(await ray.get(calls), calls.map((_, index) => index + 1));
  });

  it("keep their actor while a call runs, though the handle was collected", async () => {
    const name = freshName();
    const gate = remote(Gate).remote();
    class Waiter { async wait(handle: ray.ActorHandle<Gate>): Promise<string> { await ray.get(handle.pass.remote()); return "passed"; } }
    const call = remote(Waiter, { name }).remote().wait.remote(gate);
    const spare = remote(Counter, { name: `${name}-spare` }).remote().ready();
    // The spare's end shows that collection has reached handles that are as old.
    await ray.get(spare);
    await eventuallyCollected("another actor's end", async () => !(await isNamed(`${name}-spare`)));
    assert.ok(await isNamed(name));
    await ray.get(gate.unlock.remote());
    assert.equal(await ray.get(call), "passed");
    await eventuallyCollected("the name to be free", async () => !(await isNamed(name)));
  });

  it("keep their actor while another actor holds one", async () => {
    const name = freshName();
    class Keeper {
      kept: CounterHandle | null = null;
      keep(handle: CounterHandle): void { this.kept = handle; }
      async use(): Promise<number> { return ray.get((this.kept as CounterHandle).increment.remote()); }
      drop(): void { this.kept?.release(); this.kept = null; }
    }
    const keeper = remote(Keeper).remote();
    const counter = remote(Counter, { name }).remote();
    await ray.get(keeper.keep.remote(counter));
    counter.release();
    assert.equal(await ray.get(keeper.use.remote()), 1);
    assert.ok(await isNamed(name));
    await ray.get(keeper.drop.remote());
    await eventually("the name to be free", async () => !(await isNamed(name)));
  });

  it("keep their actor while an object or a waiting task holds one", async () => {
    const name = freshName();
    const counter = remote(Counter, { name }).remote();
    const stored = ray.put([counter]);
    const gate = remote(Gate).remote();
    const wait = remote(async (handle: ray.ActorHandle<Gate>) => { await ray.get(handle.pass.remote()); return 1; }, { numCpus: 0 });
    const use = remote(async (by: number, handle: CounterHandle) => {
      const count = await ray.get(handle.increment.remote(by));
      handle.release();
      return count;
    });
    const answer = use.remote(wait.remote(gate), counter);
    counter.release();
    await ray.get(gate.unlock.remote());
    assert.equal(await ray.get(answer), 1);
    const [again] = (await ray.get(stored)) as unknown as [CounterHandle];
    assert.equal(await ray.get(again.increment.remote()), 2);
    stored.release();
    again.release();
    await eventuallyCollected("the name to be free", async () => !(await isNamed(name)));
  });

  it("are called one to many and many to many", async () => {
    const counters = Array.from({ length: 3 }, () => Counters.remote());
    const call = remote(async (handles: CounterHandle[]) => { await ray.get(Array.from({ length: 50 }, () => handles.map((handle) => handle.increment.remote())).flat()); });
    class Caller { async call(handles: CounterHandle[]): Promise<void> { await ray.get(Array.from({ length: 50 }, () => handles.map((handle) => handle.increment.remote())).flat()); } }
    const callers = [remote(Caller).remote(), remote(Caller).remote()];
    await ray.get([call.remote(counters), ...callers.map((caller) => caller.call.remote(counters)), ...Array.from({ length: 50 }, () => counters.map((counter) => counter.increment.remote())).flat()]);
    assert.deepEqual(await ray.get(counters.map((counter) => counter.increment.remote(0))), [200, 200, 200]);
  });

  it("refuse what is not theirs", async () => {
    await assert.rejects(ray.kill({} as ray.ActorHandleBase), ray.RayError);
    await assert.rejects(ray.getActor(""), ray.RayError);
    assert.throws(() => ray.exitActor(), ray.RayError);
    assert.throws(() => remote(Counter, { getIfExists: true }), ray.RayError);
    assert.throws(() => remote(Counter, { methods: { decrement: {} } }).remote(), ray.RayError);
    assert.equal("decrement" in Counters.remote(), false);
  });
});
