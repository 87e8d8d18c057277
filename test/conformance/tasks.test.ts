import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, everythingFree, ISOLATIONS_ALONE, NODES, underBothIsolations } from "./both-isolations.ts";

underBothIsolations("tasks", { resources: { printer: 2 } }, (isolation) => {
  it("runs a function elsewhere", async () => {
    const where = ray.remote(async () => {
      const { isMainThread } = await import("node:worker_threads");
      return { pid: process.pid, isMainThread };
    });
    const { pid, isMainThread } = await ray.get(where.remote());
    // On a node of a cluster, threads live in processes of their own, too.
    assert.equal(pid === process.pid, areThreadsHere(isolation));
    assert.equal(isMainThread, isolation === "process");
  });

  it("passes arguments and results of all kinds", async () => {
    const echo = ray.remote((...args: unknown[]) => args);
    const args = [1, "two", null, undefined, true, 4n, -0, Number.NaN, [5], { six: 7 }, new Date(8), /nine/g, new Map([[10, new Set([11])]])];
    assert.deepEqual(await ray.get(echo.remote(...args)), args);
  });

  it("awaits asynchronous functions", async () => {
    const later = ray.remote(async (value: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      return value + 1;
    });
    assert.equal(await ray.get(later.remote(1)), 2);
  });

  it("resolves refs given as arguments first, results of tasks too", async () => {
    const add = ray.remote((a: number, b: number) => a + b);
    const one = ray.put(1);
    const three = add.remote(one, 2);
    assert.equal(await ray.get(add.remote(three, add.remote(three, one))), 7);
  });

  it("runs a chain of refs that is made before any link has finished", async () => {
    const increment = ray.remote((value: number) => value + 1);
    let last: ray.ObjectRef<number> = ray.put(0);
    for (let link = 0; link < 200; link++) last = increment.remote(last);
    assert.equal(await ray.get(last), 200);
  });

  it("keeps refs inside of values as refs", async () => {
    const look = ray.remote(async (box: { ref: ray.ObjectRef<string> }) => {
      const isRef = box.ref instanceof ray.ObjectRef;
      return { isRef, id: box.ref.hex(), value: await ray.get(box.ref) };
    });
    const ref = ray.put("inside");
    assert.deepEqual(await ray.get(look.remote({ ref })), { isRef: true, id: ref.hex(), value: "inside" });
  });

  it("fails a call whose argument failed with the same error, without running it", async () => {
    const fail = ray.remote(function fail(): number { throw new RangeError("no number"); });
    const use = ray.remote((value: number) => value);
    await assert.rejects(ray.get(use.remote(use.remote(fail.remote()))), (error: unknown) => {
      assert.ok(error instanceof ray.TaskError);
      assert.ok(error.cause instanceof RangeError);
      assert.equal(error.functionName, "fail");
      return true;
    });
  });

  it("does not see what the caller does to an argument after the call", async () => {
    const sum = ray.remote((numbers: number[], bytes: Uint8Array, wait: number) => wait + numbers.reduce((a, b) => a + b, 0) + bytes.reduce((a, b) => a + b, 0));
    const numbers = [1, 2];
    const bytes = new Uint8Array([3, 4]);
    const stored = ray.put(bytes);
    const direct = sum.remote(numbers, bytes, 0);
    // One that waits for another task is captured at the call as well.
    const waiting = sum.remote(numbers, bytes, direct);
    numbers.push(1000);
    bytes.fill(100);
    assert.equal(await ray.get(direct), 10);
    assert.equal(await ray.get(waiting), 20);
    assert.deepEqual(await ray.get(stored), new Uint8Array([3, 4]));
  });

  it("does not let a task see another task's or the driver's changes of a value", async () => {
    const stored = ray.put([1]);
    const push = ray.remote((list: number[]) => list.push(2));
    assert.deepEqual(await ray.get([push.remote(stored), push.remote(stored)]), [2, 2]);
    (await ray.get(stored)).push(3);
    assert.deepEqual(await ray.get(stored), [1]);
  });

  it("names a call", async () => {
    const name = ray.remote(function name() { return ray.getRuntimeContext().taskName; });
    assert.equal(await ray.get(name.remote()), "name");
    assert.equal(await ray.get(name.options({ name: "special" }).remote()), "special");
    assert.equal(await ray.get(ray.remote(() => ray.getRuntimeContext().taskName, { name: "given" }).remote()), "given");
  });

  it("merges options of options, and leaves the original alone", async () => {
    const look = ray.remote(function look() { const { taskName, assignedResources } = ray.getRuntimeContext(); return { taskName, assignedResources }; });
    const named = look.options({ name: "a", numCpus: 0.5 }).options({ name: "b" });
    assert.deepEqual(await ray.get(named.remote()), { taskName: "b", assignedResources: { CPU: 0.5 } });
    assert.deepEqual(await ray.get(look.remote()), { taskName: "look", assignedResources: { CPU: 1 } });
  });

  it("tells a task who it is: the ref's taskId", async () => {
    const self = ray.remote(() => ray.getRuntimeContext().taskId);
    const ref = self.remote();
    assert.equal(await ray.get(ref), ref.taskId());
    assert.equal(ray.getRuntimeContext().taskId, undefined);
  });

  describe("numReturns", () => {
    const three = ray.remote(() => [1, "two", { three: 3 }] as const);

    it("gives as many refs as asked for", async () => {
      const refs = three.options({ numReturns: 3 }).remote();
      assert.equal(refs.length, 3);
      assert.deepEqual(await ray.get(refs), [1, "two", { three: 3 }]);
      assert.deepEqual(await ray.get(refs[2]), { three: 3 });
    });

    it("gives one ref of the whole with 1", async () => {
      assert.deepEqual(await ray.get(three.options({ numReturns: 1 }).remote()), [1, "two", { three: 3 }]);
    });

    it("gives nothing with 0, but runs", async () => {
      const flag = ray.remote(class { #raised = false; raise() { this.#raised = true; } isRaised() { return this.#raised; } }).remote();
      const raise = ray.remote(async (handle: typeof flag) => { await ray.get(handle.raise.remote()); });
      assert.equal(raise.options({ numReturns: 0 }).remote(flag), undefined);
      while (!(await ray.get(flag.isRaised.remote())));
      flag.release();
    });

    it("fails every ref when the number is another one, or nothing iterable came", async () => {
      for (const refs of [three.options({ numReturns: 2 }).remote(), ray.remote(() => 5 as unknown).options({ numReturns: 2 }).remote()]) {
        const list = refs as unknown as ray.ObjectRef[];
        assert.equal(list.length, 2);
        for (const ref of list) await assert.rejects(ray.get(ref), (error: unknown) => error instanceof ray.RayError && /numReturns: 2/.test(error.message));
      }
    });

    it("fails every ref when the function throws", async () => {
      const refs = ray.remote((): number[] => { throw new Error("none of them"); }).options({ numReturns: 2 }).remote();
      for (const ref of refs as ray.ObjectRef[]) await assert.rejects(ray.get(ref), ray.TaskError);
    });
  });

  describe("resources", () => {
    it("counts fractions exactly", async () => {
      await everythingFree();
      const hold = ray.remote(async (looksMax: number) => {
        for (let look = 1; ; look++) {
          const free = (await ray.availableResources())["CPU"] as number;
          if (Math.abs(free - 1.9) < 1e-9 || look === looksMax) return free;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }, { numCpus: 0.1 });
      // Nodes tell each other what is free, which takes a moment.
      const free = await ray.get(hold.remote(NODES === 0 ? 1 : 1_000));
      assert.ok(Math.abs(free - 1.9) < 1e-9, `${free} of 2 processors are free while a tenth of one is held`);
    });

    it("runs tasks that need no processor beside tasks that hold them all", async () => {
      const gate = ray.remote(class { #open: (() => void)[] = []; async wait() { await new Promise<void>((resolve) => this.#open.push(resolve)); } waiting() { return this.#open.length; } open() { for (const open of this.#open) open(); } }).remote();
      // Not `await ray.get` in the task: that would give its processor back.
      const hold = ray.remote(async (handle: typeof gate) => { await new Promise<void>((resolve) => { void ray.get(handle.wait.remote()).then(() => resolve()); }); return "held"; });
      const free = ray.remote(() => "free", { numCpus: 0 });
      const held = [hold.remote(gate), hold.remote(gate)];
      while ((await ray.get(gate.waiting.remote())) < 2);
      assert.equal(await ray.get(free.remote()), "free");
      await ray.get(gate.open.remote());
      assert.deepEqual(await ray.get(held), ["held", "held"]);
      gate.release();
    });

    it("never runs more tasks at once than a custom resource allows", async () => {
      const meter = ray.remote(class { #now = 0; #most = 0; enter() { this.#most = Math.max(this.#most, ++this.#now); } leave() { this.#now--; } most() { return this.#most; } }).remote();
      const print = ray.remote(async (handle: typeof meter, page: number) => {
        await handle.enter.remote().get();
        await new Promise((resolve) => setImmediate(resolve));
        await handle.leave.remote().get();
        return page;
      }, { numCpus: 0, resources: { printer: 2 } });
      const pages = Array.from({ length: 6 }, (_, page) => page);
      assert.deepEqual(await ray.get(pages.map((page) => print.remote(meter, page))), pages);
      meter.release();
    });

    it("says at once what can never be had", async () => {
      const task = ray.remote(function task() { return 1; });
      const impossible: ray.TaskOptions[] = [{ numCpus: 3 }, { numGpus: 1 }, { resources: { printer: 2.5 } }, { resources: { unicorn: 1 } }];
      // A cluster waits a moment for a node that has it: for all of them at once.
      await Promise.all(impossible.map((options) => assert.rejects(ray.get(task.options(options).remote()), (error: unknown) => {
        assert.ok(error instanceof ray.TaskUnschedulableError, String(error));
        assert.equal(error.code, "ERR_MANTARAY_TASK_UNSCHEDULABLE");
        assert.match(error.message, /task\(\).*needs .*(CPU|GPU|printer|unicorn)/);
        return true;
      })));
      assert.equal(await ray.get(task.remote()), 1);
    });

    it("gives everything back after success and failure", async () => {
      const succeed = ray.remote(() => 1, { resources: { printer: 1 } });
      const fail = ray.remote(() => { throw new Error("jam"); }, { resources: { printer: 1 } });
      await Promise.allSettled([succeed.remote(), fail.remote(), succeed.remote(), fail.remote()].map((ref) => ref.get()));
      await everythingFree();
    });
  });

  it("does not hold up quick tasks behind a slow one", async () => {
    const gate = ray.remote(class { #open!: () => void; #opened = new Promise<void>((resolve) => { this.#open = resolve; }); async wait() { await this.#opened; } open() { this.#open(); } }).remote();
    const slow = ray.remote(async (handle: typeof gate) => { await new Promise<void>((resolve) => { void handle.wait.remote().get().then(() => resolve()); }); return "slow"; });
    const quick = ray.remote((value: number) => value);
    await ray.get(Array.from({ length: 100 }, (_, index) => quick.remote(index)));
    const waiting = slow.remote(gate);
    const numbers = Array.from({ length: 500 }, (_, index) => index);
    assert.deepEqual(await ray.get(numbers.map((number) => quick.remote(number))), numbers);
    await ray.get(gate.open.remote());
    assert.equal(await ray.get(waiting), "slow");
    gate.release();
  });

  it("lets none wait for ever behind one that goes on, when a processor is free for it", async () => {
    const stay = ray.remote(async function* (isQuick: boolean): AsyncGenerator<void> {
      yield;
      const { signal } = ray.getRuntimeContext();
      if (!isQuick && !signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
    });
    // By now it counts as short: several are sent to one worker.
    for (const quick of Array.from({ length: 50 }, () => stay.remote(true))) await ray.get(quick.completed());
    const staying = [stay.remote(false), stay.remote(false)];
    for (const stream of staying) assert.equal((await stream.next()).done, false);
    for (const stream of staying) await ray.cancel(stream);
  });

  it("lets two owners of many tasks share the workers", async () => {
    const step = ray.remote((value: number) => value);
    const owner = ray.remote(async (count: number, task: typeof step) => {
      const values = await ray.get(Array.from({ length: count }, (_, index) => task.remote(index)));
      return values.length;
    }, { numCpus: 0 });
    const owners = [owner.remote(2_000, step), owner.remote(2_000, step)];
    const own = Array.from({ length: 2_000 }, (_, index) => step.remote(index));
    assert.deepEqual(await ray.get(owners), [2_000, 2_000]);
    assert.equal((await ray.get(own)).length, 2_000);
  });

  it("keeps up with ten thousand tasks submitted at once", async () => {
    const twice = ray.remote((value: number) => value * 2);
    const values = await ray.get(Array.from({ length: 10_000 }, (_, index) => twice.remote(index)));
    assert.ok(values.every((value, index) => value === index * 2));
  });

  it("passes remote functions to tasks, and finds them in what they capture", async () => {
    const add = ray.remote((a: number, b: number) => a + b);
    const captures = ray.remote(async (value: number) => ray.get(add.remote(value, 1)));
    const receives = ray.remote(async (task: typeof add, value: number) => ray.get(task.remote(value, 2)));
    assert.equal(await ray.get(captures.remote(1)), 2);
    assert.equal(await ray.get(receives.remote(add, 1)), 3);
  });
});

for (const isolation of ISOLATIONS_ALONE) {
  describe(`one processor (${isolation})`, () => {
    it("is enough for tasks that wait for their arguments' makers in any order", async () => {
      await ray.init({ numCpus: 1, isolation });
      const add = ray.remote((a: number, b: number) => a + b);
      const leaves = Array.from({ length: 64 }, (_, index) => add.remote(index, 0));
      let level = leaves;
      while (level.length > 1) level = Array.from({ length: level.length / 2 }, (_, index) => add.remote(level[2 * index]!, level[2 * index + 1]!));
      assert.equal(await ray.get(level[0]!), (63 * 64) / 2);
      await ray.shutdown();
    });
  });
}
