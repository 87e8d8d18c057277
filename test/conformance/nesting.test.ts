import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, ISOLATIONS, NODES, startRuntime, type WorkerIsolation } from "./both-isolations.ts";

/** Each test has a machine of its own size; those of one size follow each other, and on several nodes use the same. */
async function onMachine(options: ray.InitOptions, body: () => Promise<void>): Promise<void> {
  const runtime = await startRuntime(options);
  try {
    await body();
  } finally {
    await runtime.stop();
  }
}

interface Traced {
  readonly value: number;
  /** Who took part. */
  readonly workerIds: readonly string[];
}

const fib: ray.RemoteFunction<[number], Promise<Traced>> = ray.remote(async (n: number): Promise<Traced> => {
  const { workerId } = ray.getRuntimeContext();
  if (n < 2) return { value: n, workerIds: [workerId] };
  const [a, b] = await ray.get([fib.remote(n - 1), fib.remote(n - 2)]);
  return { value: a.value + b.value, workerIds: [...new Set([workerId, ...a.workerIds, ...b.workerIds])] };
});

const isEven: ray.RemoteFunction<[number], Promise<boolean>> = ray.remote(async (n: number): Promise<boolean> => (n === 0 ? true : ray.get(isOdd.remote(n - 1))));
const isOdd: ray.RemoteFunction<[number], Promise<boolean>> = ray.remote(async (n: number): Promise<boolean> => (n === 0 ? false : ray.get(isEven.remote(n - 1))));

for (const isolation of ISOLATIONS) suite(isolation);

function suite(isolation: WorkerIsolation): void {
  describe(`nested tasks (${isolation})`, () => {
    const [n, expected] = NODES > 0 ? [12, 144] : isolation === "thread" ? [18, 2584] : [14, 377];
    const computesFib = (numCpus: number): void => {
      it(`computes fib(${n}) naively on ${numCpus} processors, without a worker per level`, async () => {
        await onMachine({ numCpus, isolation }, async () => {
          const { value, workerIds } = await ray.get(fib.remote(n));
          assert.equal(value, expected);
          assert.ok(workerIds.length <= numCpus + 2, `${workerIds.length} workers for ${numCpus} processors`);
        });
      });
    };

    it("finishes a thousand three-deep chains on one processor", async () => {
      await onMachine({ numCpus: 1, isolation }, async () => {
        const leaf = ray.remote((value: number) => value + 1);
        const middle = ray.remote(async (value: number) => (await ray.get(leaf.remote(value))) + 1);
        const top = ray.remote(async (value: number) => (await ray.get(middle.remote(value))) + 1);
        const values = await ray.get(Array.from({ length: 1_000 }, (_, index) => top.remote(index)));
        assert.deepEqual(values, Array.from({ length: 1_000 }, (_, index) => index + 3));
      });
    });

    computesFib(1);

    it("runs two remote functions that call each other", async () => {
      await onMachine({ numCpus: 1, isolation }, async () => {
        assert.deepEqual(await ray.get([isEven.remote(20), isEven.remote(21), isOdd.remote(7)]), [true, false, true]);
      });
    });

    it("runs a deep chain of tasks that each wait for the next", async () => {
      await onMachine({ numCpus: 1, isolation }, async () => {
        const depth = ray.remote(async (left: number, self: unknown): Promise<number> => (left === 0 ? 0 : 1 + (await ray.get((self as typeof depth).remote(left - 1, self))))) as ray.RemoteFunction<[number, unknown], Promise<number>>;
        assert.equal(await ray.get(depth.remote(60, depth)), 60);
      });
    });

    it("blocks in wait() and in for await of a generator as it does in get()", async () => {
      await onMachine({ numCpus: 1, isolation }, async () => {
        const leaf = ray.remote((value: number) => value);
        const letters = ray.remote(function* () { yield "a"; yield "b"; });
        const parent = ray.remote(async () => {
          const [ready] = await ray.wait([leaf.remote(1), leaf.remote(2)], { numReturns: 2 });
          const texts: string[] = [];
          for await (const ref of letters.remote()) texts.push(await ray.get(ref));
          return `${ready.length} ${texts.join("")}`;
        });
        assert.deepEqual(await ray.get([parent.remote(), parent.remote()]), ["2 ab", "2 ab"]);
      });
    });

    it("runs no more at once after a task that did not await what it asked for", async () => {
      await onMachine({ numCpus: 1, isolation }, async () => {
        const Never = ray.remote(class { forever(): Promise<number> { return new Promise(() => undefined); } });
        const never = Never.remote().forever.remote();
        const careless = ray.remote((refs: readonly ray.ObjectRef<number>[]) => { ray.get(refs[0]!).catch(() => undefined); return "ended"; });
        assert.deepEqual(await ray.get([careless.remote([never]), careless.remote([never])]), ["ended", "ended"]);
        const busy = ray.remote(async () => {
          const here = globalThis as { tasksAtOnce?: number };
          const atOnce = (here.tasksAtOnce = (here.tasksAtOnce ?? 0) + 1);
          await new Promise((resolve) => setImmediate(resolve));
          here.tasksAtOnce--;
          return atOnce;
        });
        assert.deepEqual(new Set(await ray.get(Array.from({ length: 20 }, () => busy.remote()))), new Set([1]));
      });
    });

    computesFib(2);

    it("lends the processor of a task that waits, and takes no more than there is", async () => {
      await onMachine({ numCpus: 2, isolation }, async () => {
        const meter = ray.remote(class { #now = 0; #most = 0; enter() { this.#most = Math.max(this.#most, ++this.#now); } leave() { this.#now--; } most() { return this.#most; } }).remote();
        const child = ray.remote(async (handle: typeof meter) => { handle.enter.remote(); await new Promise((resolve) => setImmediate(resolve)); handle.leave.remote(); return 1; });
        const parent = ray.remote(async (handle: typeof meter) => (await ray.get(Array.from({ length: 5 }, () => child.remote(handle)))).length);
        assert.deepEqual(await ray.get(Array.from({ length: 20 }, () => parent.remote(meter))), Array(20).fill(5));
        meter.release();
      });
    });

    it("goes on with nested tasks while the driver's own thread is busy", async () => {
      await onMachine({ numCpus: 2, isolation }, async () => {
        const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
        const files = { started: join(folder, "started"), busy: join(folder, "busy"), done: join(folder, "done") };
        const leaf = ray.remote((value: number) => value);
        const parent = ray.remote(async (flags: typeof files, task: typeof leaf) => {
          writeFileSync(flags.started, "");
          while (!existsSync(flags.busy)) await new Promise((resolve) => setImmediate(resolve));
          let sum = 0;
          for (let round = 0; round < 20; round++) sum += (await ray.get([task.remote(1), task.remote(2)])).length;
          writeFileSync(flags.done, "");
          return sum;
        });
        const ref = parent.remote(files, leaf);
        await eventually("the parent to start", () => existsSync(files.started));
        writeFileSync(files.busy, "");
        const deadlineMs = performance.now() + 60_000;
        while (!existsSync(files.done)) assert.ok(performance.now() < deadlineMs, "nested tasks stood still while the driver was busy");
        assert.equal(await ray.get(ref), 40);
        rmSync(folder, { recursive: true });
      });
    });
  });
}
