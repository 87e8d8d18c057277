import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { ISOLATIONS } from "./both-isolations.ts";
import { linesOf, runProgram, type ProgramRun } from "./child-program.ts";

/** Before Node 22.16 nobody can ask V8 for a thread's buffers while the thread is busy. */
const canProbeBusyThreads = "getHeapStatistics" in Worker.prototype;

const run = (isolation: string, body: string): Promise<ProgramRun> => runProgram({ files: { "main.mjs": `
  import * as ray from "mantaray";
  const MiB = 2 ** 20;
  await ray.init({ numCpus: 3, memory: 1000 * MiB, objectStoreMemory: 400 * MiB, isolation: "${isolation}" });
  /** More than any limit here, and bounded: the machine is shared. */
  const PIECES = 40;
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
  const outcome = (ref) => ref.get().then(String, (error) => error.name + ": " + error.message);
  const options = { memory: 64 * MiB };
  const one = ray.remote(function one() { return "fine"; }, options);
  ${body}
  await ray.shutdown();
` } });

for (const isolation of ISOLATIONS) {
  describe(`the memory of a worker with a limit (${isolation})`, () => {
    it("is the heap: a task that fills it fails alone, with its name, the limit and what to do", async () => {
      const [hoarded, beside, after] = linesOf(await run(isolation, `
        const hoard = ray.remote(function hoard() { let last = null; for (let number = 0; ; number++) last = { number, last }; }, options);
        const sleeper = ray.remote(async function sleeper() { await new Promise((resolve) => setTimeout(resolve, 300)); return "not disturbed"; }, options);
        const refs = [hoard.remote(), sleeper.remote()];
        for (const ref of refs) console.log(await outcome(ref));
        console.log(await outcome(one.remote()));
      `));
      assert.match(hoarded as string, /^OutOfMemoryError: the worker that ran hoard\(\) (?:filled the heap of|used \d+ MiB, more than) its limit of 64 MiB \(memory: 67108864\).*raise 'memory', or keep less in memory/);
      assert.deepEqual([beside, after], ["not disturbed", "fine"]);
    });

    it("is also its buffers and typed arrays", async () => {
      const [kept, after] = linesOf(await run(isolation, `
        const keep = ray.remote(async function keep() { const all = []; for (;;) { if (all.length < PIECES) all.push(new Uint8Array(8 * MiB).fill(1)); await turn(); } }, options);
        console.log(await outcome(keep.remote()));
        console.log(await outcome(one.remote()));
      `));
      const [, used] = /^OutOfMemoryError: the worker that ran keep\(\) used (\d+) MiB, more than its limit of 64 MiB/.exec(kept as string) ?? [];
      assert.ok(Number(used) > 64, kept);
      assert.equal(after, "fine");
    });

    it("is looked at while it is busy, too", { skip: isolation === "thread" && !canProbeBusyThreads ? "this version of Node cannot ask a busy thread" : process.platform === "linux" ? false : "only Linux tells" }, async () => {
      const [kept, after] = linesOf(await run(isolation, `
        const keep = ray.remote(function keep() {
          const all = [];
          for (;;) { if (all.length < PIECES) all.push(new Uint8Array(8 * MiB).fill(1)); }
        }, options);
        console.log(await outcome(keep.remote()));
        console.log(await outcome(one.remote()));
      `));
      assert.match(kept as string, /^OutOfMemoryError: the worker that ran keep\(\) used \d+ MiB, more than its limit of 64 MiB/);
      assert.equal(after, "fine");
    });

    it("is not garbage, and not the object store", async () => {
      const lines = linesOf(await run(isolation, `
        const churn = ray.remote(async function churn() {
          let sum = 0;
          for (let round = 0; round < 40; round++) { sum += new Uint8Array(16 * MiB).fill(1)[5] + Array.from({ length: 1e5 }, (_, index) => ({ index })).length; if (round % 10 === 0) await turn(); }
          return sum;
        }, options);
        const large = ray.put(new Uint8Array(200 * MiB));
        const look = ray.remote(async function look(view) { for (let turns = 0; turns < 60; turns++) await turn(); const until = Date.now() + 400; while (Date.now() < until); return view.length; }, options);
        const make = ray.remote(function make() { const ref = ray.put(new Uint8Array(20 * MiB)); const until = Date.now() + 400; while (Date.now() < until); return ref; }, options);
        console.log(await outcome(churn.remote()));
        console.log(await outcome(look.remote(large)));
        console.log((await ray.get(await ray.get(make.remote()))).length);
      `));
      assert.deepEqual(lines, [String(40 * (1 + 1e5)), String(200 * 2 ** 20), String(20 * 2 ** 20)]);
    });

    it("is an actor's: the call that was running fails, and it starts again if it may", async () => {
      const lines = linesOf(await run(isolation, `
        class Cache {
          all = [];
          size() { return this.all.length; }
          async fill() { for (;;) { if (this.all.length < PIECES) this.all.push(new Uint8Array(8 * MiB).fill(1)); await turn(); } }
        }
        const cache = ray.remote(Cache, options).remote();
        console.log(await outcome(cache.size.remote()));
        console.log(await outcome(cache.fill.remote()));
        console.log(await outcome(cache.size.remote()));
        const again = ray.remote(Cache, { ...options, maxRestarts: 1 }).remote();
        console.log(await outcome(again.fill.remote()));
        console.log(await outcome(again.size.remote()));
      `));
      assert.equal(lines[0], "0");
      assert.match(lines[1] as string, /^OutOfMemoryError: actor Cache \(\w+\) died while Cache\.fill\(\) was running.* used \d+ MiB, more than its limit of 64 MiB/);
      assert.match(lines[2] as string, /^ActorDiedError: .*used \d+ MiB, more than its limit of 64 MiB/);
      assert.match(lines[3] as string, /^OutOfMemoryError: actor Cache .*more than its limit/);
      assert.equal(lines[4], "0");
    });

    it("is counted: no more is promised than there is", async () => {
      const lines = linesOf(await run(isolation, `
        const meter = ray.remote(class Meter { now = 0; most = 0; enter() { this.most = Math.max(this.most, ++this.now); } leave() { this.now--; } get() { return this.most; } }).remote();
        const work = ray.remote(async function work() { await ray.get(meter.enter.remote()); await turn(); await ray.get(meter.leave.remote()); return ray.getRuntimeContext().assignedResources.memory; }, { memory: 400 * MiB });
        const nested = ray.remote(async function nested() { return (await ray.get(work.remote())) + ray.getRuntimeContext().assignedResources.memory; }, { memory: 400 * MiB });
        console.log(new Set(await ray.get(Array.from({ length: 6 }, () => work.remote()))), await ray.get(meter.get.remote()) <= 2);
        console.log(await ray.get(nested.remote()));
        console.log(await outcome(work.options({ memory: 2000 * MiB }).remote()));
      `));
      assert.deepEqual(lines.slice(0, 2), ["Set(1) { 419430400 } true", "838860800"]);
      assert.match(lines[2] as string, /^TaskUnschedulableError: task work\(\) needs 2097152000 memory, but the cluster has 1048576000/);
    });
  });
}
