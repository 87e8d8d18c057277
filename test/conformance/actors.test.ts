import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, eventually, underEveryActorIsolation } from "./both-isolations.ts";

class Log {
  readonly seen: unknown[] = [];
  add(value: unknown): number { return this.seen.push(value); }
  all(): unknown[] { return this.seen; }
  clear(): void { this.seen.length = 0; }
}

class Sum {
  total: number;
  constructor(start = 0) { this.total = start; }
  add(value: number): number { return (this.total += value); }
}

/** Says how many calls were in it at once; a call stays until `together` of them are there. */
class Meter {
  running = 0;
  most = 0;
  waiting: (() => void)[] = [];
  async meet(together: number): Promise<void> {
    this.running++;
    this.most = Math.max(this.most, this.running);
    if (this.running < together) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else {
      // Whatever else could start now gets the chance to.
      await new Promise((resolve) => setImmediate(resolve));
      for (const resolve of this.waiting.splice(0)) resolve();
    }
    this.running--;
  }
  async mostAtOnce(): Promise<number> { return this.most; }
}

underEveryActorIsolation("actors", { isOnOneOfThem: true }, (isolation, remote) => {
  it("keep state between calls, each its own", async () => {
    class Counter {
      #count: number;
      constructor(start: number) { this.#count = start; }
      increment(by = 1): number { return (this.#count += by); }
    }
    const Counters = remote(Counter);
    const [one, hundred] = [Counters.remote(1), Counters.remote(100)];
    await ray.get([one.increment.remote(), hundred.increment.remote(), one.increment.remote(5)]);
    assert.deepEqual(await ray.get([one.increment.remote(), hundred.increment.remote()]), [8, 102]);
  });

  it("live somewhere else than the driver, in a worker each unless they are shared", async () => {
    class Where {
      async look(): Promise<[number, string, boolean]> {
        const { isMainThread } = await import("node:worker_threads");
        return [process.pid, ray.getRuntimeContext().workerId, isMainThread];
      }
    }
    const Wheres = remote(Where);
    const found = await Promise.all([Wheres.remote(), Wheres.remote()].map(async (actor) => ray.get(actor.look.remote())));
    if (isolation !== "shared") assert.notEqual(found[0]?.[1], found[1]?.[1]);
    for (const [pid, workerId, isMainThread] of found) {
      assert.notEqual(workerId, ray.getRuntimeContext().workerId);
      // On a node of a cluster, threads live in processes of their own, too.
      assert.equal(pid === process.pid, areThreadsHere(isolation));
      assert.equal(isMainThread, isolation === "process");
    }
  });

  it("run 10,000 calls of one caller in the order in which they were made", async () => {
    const log = remote(Log).remote();
    const calls = Array.from({ length: 10_000 }, (_, index) => log.add.remote(index));
    const lengths = await ray.get(calls);
    assert.deepEqual(lengths, Array.from({ length: 10_000 }, (_, index) => index + 1));
    assert.deepEqual(await ray.get(log.all.remote()), Array.from({ length: 10_000 }, (_, index) => index));
  });

  it("keep that order when arguments of calls in the middle are refs that are not there yet", async () => {
    const later = remote(async (value: number) => {
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      return value;
    });
    const log = remote(Log).remote();
    const calls = Array.from({ length: 300 }, (_, index) => log.add.remote(index % 50 === 25 ? later.remote(index) : index));
    await ray.get(calls);
    assert.deepEqual(await ray.get(log.all.remote()), Array.from({ length: 300 }, (_, index) => index));
  });

  it("go on with the calls behind one whose argument failed", async () => {
    const fail = remote(function fail(): number { throw new RangeError("no argument"); });
    const log = remote(Log).remote();
    const [first, failing, last] = [log.add.remote("first"), log.add.remote(fail.remote()), log.add.remote("last")];
    await assert.rejects(ray.get(failing), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
    assert.deepEqual(await ray.get([first, last]), [1, 2]);
    assert.deepEqual(await ray.get(log.all.remote()), ["first", "last"]);
    const already = fail.remote();
    await ray.wait([already]);
    await assert.rejects(ray.get(log.add.remote(already)), ray.TaskError);
    assert.equal(await ray.get(log.add.remote("after")), 3);
  });

  it("take each caller's calls in that caller's order", async () => {
    const log = remote(Log).remote();
    const call = remote(async (target: ray.ActorHandle<Log>, who: string) => {
      await ray.get(Array.from({ length: 200 }, (_, index) => target.add.remote(`${who}${index}`)));
    });
    await ray.get([call.remote(log, "a"), call.remote(log, "b")]);
    const all = (await ray.get(log.all.remote())) as string[];
    assert.equal(all.length, 400);
    for (const who of ["a", "b"]) {
      assert.deepEqual(all.filter((entry) => entry.startsWith(who)), Array.from({ length: 200 }, (_, index) => `${who}${index}`));
    }
  });

  it("resolve refs among the constructor's arguments and keep refs inside of values", async () => {
    class Pair {
      readonly left: number;
      readonly box: { ref: ray.ObjectRef<string> };
      constructor(left: number, box: { ref: ray.ObjectRef<string> }) { this.left = left; this.box = box; }
      async sum(): Promise<string> { return `${this.left} ${await ray.get(this.box.ref)}`; }
    }
    const slow = remote(async (value: number) => { await new Promise((resolve) => setImmediate(resolve)); return value; });
    const pair = remote(Pair).remote(slow.remote(20), { ref: ray.put("inside") });
    assert.equal(await ray.get(pair.sum.remote()), "20 inside");
  });

  it("say with ready() that the constructor has run", async () => {
    const log = remote(Log).remote();
    assert.equal(await ray.get(log.ready()), undefined);
    assert.equal(await log.ready().get(), undefined);
  });

  it("give what the constructor threw: ready() as a TaskError, calls as an ActorDiedError", async () => {
    class NoLuckError extends Error { readonly luck = -1; }
    class Unlucky {
      constructor(message: string) { throw new NoLuckError(message); }
      work(): number { return 1; }
    }
    const actor = remote(Unlucky).remote("not today");
    const early = actor.work.remote();
    await assert.rejects(ray.get(actor.ready()), (error: unknown) => {
      assert.ok(error instanceof ray.TaskError, String(error));
      assert.ok(error.cause instanceof NoLuckError);
      assert.equal(error.cause.luck, -1);
      assert.equal(error.cause.message, "not today");
      return true;
    });
    for (const call of [early, actor.work.remote()]) {
      await assert.rejects(ray.get(call), (error: unknown) => {
        assert.ok(error instanceof ray.ActorDiedError, String(error));
        assert.equal(error.actorId, actor.actorId);
        assert.ok(error.cause instanceof NoLuckError);
        assert.match(error.message, /constructor.*not today/);
        return true;
      });
    }
  });

  it("do not start when an argument of the constructor failed", async () => {
    const fail = remote(function fail(): number { throw new RangeError("no argument"); });
    const log = remote(Sum).remote(fail.remote());
    await assert.rejects(ray.get(log.ready()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
    await assert.rejects(ray.get(log.add.remote(1)), ray.RayError);
  });

  it("reject a constructor argument that cannot travel at the call", () => {
    const Sums = remote(Sum);
    assert.throws(() => Sums.remote(new WeakMap() as unknown as number), (error: unknown) => error instanceof ray.SerializationError && /argument 1/.test(error.message));
  });

  it("go on after a method threw", async () => {
    class Brittle {
      calls = 0;
      fail(): number { this.calls++; throw new RangeError("broken call"); }
      async failLater(): Promise<number> { this.calls++; await Promise.resolve(); throw new TypeError("broken later"); }
      count(): number { return this.calls; }
    }
    const brittle = remote(Brittle).remote();
    await assert.rejects(ray.get(brittle.fail.remote()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError && error.functionName === "Brittle.fail");
    await assert.rejects(ray.get(brittle.failLater.remote()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof TypeError);
    assert.equal(await ray.get(brittle.count.remote()), 2);
  });

  it("fail a call whose result cannot travel, and go on", async () => {
    class Odd {
      secret(): unknown { return new WeakMap(); }
      fine(): string { return "fine"; }
    }
    const odd = remote(Odd).remote();
    await assert.rejects(ray.get(odd.secret.remote()), (error: unknown) => error instanceof ray.SerializationError && /Odd\.secret/.test(error.message));
    assert.equal(await ray.get(odd.fine.remote()), "fine");
  });

  it("interleave asynchronous methods up to 1000 calls by default", async () => {
    const meter = remote(Meter).remote();
    await ray.get(Array.from({ length: 2000 }, () => meter.meet.remote(1000)));
    assert.equal(await ray.get(meter.mostAtOnce.remote()), 1000);
  });

  it("answer a call that waited behind another, though nothing else happens then", async () => {
    const actor = remote(class {
      async slow(): Promise<void> { await new Promise((resolve) => setImmediate(resolve)); }
      quick(): number { return 7; }
    }, { maxConcurrency: 1 }).remote();
    await ray.get(actor.quick.remote());
    const slow = actor.slow.remote();
    assert.equal(await ray.get(actor.quick.remote()), 7);
    await ray.get(slow);
  });

  for (const maxConcurrency of [1, 3]) {
    it(`interleave exactly maxConcurrency: ${maxConcurrency} of them when told so`, async () => {
      const meter = remote(Meter, { maxConcurrency }).remote();
      await ray.get(Array.from({ length: 4 * maxConcurrency }, () => meter.meet.remote(maxConcurrency)));
      assert.equal(await ray.get(meter.mostAtOnce.remote()), maxConcurrency);
    });
  }

  it("run one call at a time when no method is asynchronous, also when one returns a promise or streams", async () => {
    class OneByOne {
      readonly events: string[] = [];
      slow(name: string): Promise<void> {
        this.events.push(`${name} in`);
        return new Promise((resolve) => setImmediate(() => { this.events.push(`${name} out`); resolve(); }));
      }
      *items(): Generator<number> {
        this.events.push("items in");
        yield 1;
        yield 2;
        this.events.push("items out");
      }
      all(): string[] { return this.events; }
    }
    const actor = remote(OneByOne).remote();
    const first = actor.slow.remote("a");
    const stream = actor.items.remote();
    const second = actor.slow.remote("b");
    const all = actor.all.remote();
    const items: number[] = [];
    for await (const ref of stream) items.push(await ray.get(ref));
    await ray.get([first, second]);
    assert.deepEqual(items, [1, 2]);
    assert.deepEqual(await ray.get(all), ["a in", "a out", "items in", "items out", "b in", "b out"]);
  });

  it("stream what generator methods yield, and their error after it", async () => {
    class Source {
      readonly base: number;
      constructor(base: number) { this.base = base; }
      *count(upTo: number): Generator<number> { for (let step = 0; step < upTo; step++) yield this.base + step; }
      async *broken(): AsyncGenerator<number> { yield 1; throw new RangeError("dry"); }
    }
    const source = remote(Source).remote(10);
    const values: number[] = [];
    for await (const ref of source.count.remote(5)) values.push(await ray.get(ref));
    assert.deepEqual(values, [10, 11, 12, 13, 14]);
    const broken = source.broken.remote();
    const first = await broken.next();
    assert.equal(await ray.get(first.value as ray.ObjectRef<number>), 1);
    await assert.rejects(ray.get(broken.completed()), (error: unknown) => error instanceof ray.TaskError && error.cause instanceof RangeError);
  });

  it("have the methods of the classes that theirs extends, with super, accessors and private members", async () => {
    class Base {
      #hidden = 7;
      hidden(): number { return this.#hidden; }
      greet(): string { return "base"; }
    }
    class Derived extends Base {
      get doubled(): number { return this.hidden() * 2; }
      override greet(): string { return `${super.greet()} derived ${this.doubled}`; }
    }
    const derived = remote(Derived).remote();
    assert.deepEqual(await ray.get([derived.greet.remote(), derived.hidden.remote()]), ["base derived 14", 7]);
  });

  it("take options of a call: numReturns", async () => {
    class Splitter { split(): number[] { return [1, 2, 3]; } }
    const splitter = remote(Splitter).remote();
    const refs = splitter.split.options({ numReturns: 3 }).remote();
    assert.equal(refs.length, 3);
    assert.deepEqual(await ray.get([...refs] as ray.ObjectRef<number>[]), [1, 2, 3]);
    assert.equal(splitter.split.options({ numReturns: 0 }).remote(), undefined);
  });

  it("are 50 at once, each called by each of several tasks", { timeout: 110_000 }, async () => {
    const Sums = remote(Sum);
    const sums = Array.from({ length: isolation === "thread" ? 50 : 12 }, () => Sums.remote());
    const feed = remote(async (targets: ray.ActorHandle<Sum>[]) => { await ray.get(targets.map((target) => target.add.remote(1))); });
    await ray.get(Array.from({ length: 4 }, () => feed.remote(sums)));
    assert.deepEqual(await ray.get(sums.map((sum) => sum.add.remote(0))), sums.map(() => 4));
    for (const sum of sums) sum.release();
  });

  it("call each other in a ring", async () => {
    interface Passes { pass(hops: number): Promise<number> }
    class Member implements Passes {
      next: ray.ActorHandle<Passes> | null = null;
      async link(next: ray.ActorHandle<Passes>): Promise<void> { this.next = next; }
      async pass(hops: number): Promise<number> {
        return hops === 0 ? 0 : 1 + (await ray.get((this.next as ray.ActorHandle<Passes>).pass.remote(hops - 1)));
      }
    }
    const Members = remote(Member);
    const ring = [Members.remote(), Members.remote(), Members.remote()];
    await ray.get(ring.map((member, index) => member.link.remote(ring[(index + 1) % ring.length] as (typeof ring)[number])));
    assert.equal(await ray.get((ring[0] as (typeof ring)[number]).pass.remote(10)), 10);
    // They hold each other, so that only kill ends them.
    for (const member of ring) await ray.kill(member);
  });

  it("call themselves through currentActor when they may run more than one call", async () => {
    class Selfish {
      async outer(): Promise<[string, string]> {
        const self = ray.getRuntimeContext().currentActor as unknown as ray.ActorHandle<Selfish>;
        return [self.actorId, await ray.get(self.inner.remote())];
      }
      async inner(): Promise<string> { return ray.getRuntimeContext().actorId as string; }
    }
    const selfish = remote(Selfish).remote();
    assert.deepEqual(await ray.get(selfish.outer.remote()), [selfish.actorId, selfish.actorId]);
    assert.throws(() => ray.getRuntimeContext().currentActor, ray.RayError);
  });

  it("submit tasks and create actors", async () => {
    class Boss {
      async run(): Promise<number> {
        const square = remote((value: number) => value * value);
        const helper = remote(class Helper { add(a: number, b: number): number { return a + b; } }).remote();
        return ray.get(helper.add.remote(square.remote(3), square.remote(4)));
      }
    }
    assert.equal(await ray.get(remote(Boss).remote().run.remote()), 25);
  });

  it("hold the resources that they ask for, and give them back", async () => {
    const total = (await ray.clusterResources())["CPU"] as number;
    const holder = remote(Log, { numCpus: 1.5 }).remote();
    await ray.get(holder.ready());
    await eventually("what is held to be seen", async () => (await ray.availableResources())["CPU"] === total - 1.5);
    // The one that does not fit waits until there is room.
    const waiting = remote(Log, { numCpus: 1 }).remote();
    const answer = waiting.add.remote("at last");
    await assert.rejects(ray.get(answer, { timeoutMs: 0 }), ray.GetTimeoutError);
    await ray.kill(holder);
    assert.equal(await ray.get(answer), 1);
    await ray.kill(waiting);
  });

  it("that need what the machine never has are refused at once", async () => {
    const greedy = remote(Log, { numCpus: 4096 }).remote();
    await assert.rejects(ray.get(greedy.ready()), (error: unknown) => error instanceof ray.ActorUnschedulableError && /4096/.test(error.message));
    await assert.rejects(ray.get(greedy.add.remote(1)), ray.ActorUnschedulableError);
  });
});
