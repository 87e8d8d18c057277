import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, ISOLATIONS } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

/** Node's own threads start with the first need for them: counted after a first round. */
function threadCount(): number | undefined {
  return existsSync("/proc/self/task") ? readdirSync("/proc/self/task").length : undefined;
}

function childCount(): number | undefined {
  const path = `/proc/self/task/${process.pid}/children`;
  if (!existsSync(path)) return undefined;
  // Children are listed with the thread that started them; the node thread's are there until it ends, then with the process.
  return readdirSync("/proc/self/task").flatMap((thread) => readFileSync(`/proc/self/task/${thread}/children`, "utf8").split(" ").filter((pid) => pid.trim() !== "")).length;
}

function activeKinds(): string[] {
  return process.getActiveResourcesInfo().sort();
}

/** Whether no kind occurs more often than in `allowed`. */
function isWithin(kinds: readonly string[], allowed: readonly string[]): boolean {
  const count = (list: readonly string[], kind: string): number => list.filter((other) => other === kind).length;
  return kinds.every((kind) => count(kinds, kind) <= count(allowed, kind));
}

for (const isolation of ISOLATIONS) {
  describe(`the runtime's life (${isolation})`, () => {
    it("starts and ends five times in one process and leaves nothing", async () => {
      const square = ray.remote((value: number) => value * value);
      let before: { resources: string[]; threads: number | undefined; children: number | undefined } | undefined;
      for (let round = 0; round < 6; round++) {
        assert.equal(ray.isInitialized(), false);
        const info = await ray.init({ numCpus: 2, isolation });
        assert.equal(ray.isInitialized(), true);
        assert.deepEqual(await ray.get([square.remote(round), square.remote(3)]), [round * round, 9]);
        const actor = ray.remote(class { value = 1; get() { return this.value; } }).remote();
        assert.equal(await ray.get(actor.get.remote()), 1);
        await ray.shutdown();
        assert.equal(ray.isInitialized(), false);
        assert.equal(existsSync(info.sessionDir), false);
        if (before === undefined) before = { resources: activeKinds(), threads: threadCount(), children: childCount() };
      }
      // Fewer is fine: what was counted first may have held something that was just ending. Five rounds that each left one
      // thing behind would be more.
      const { resources, threads = 0, children = 0 } = before as NonNullable<typeof before>;
      await eventually("handles, threads and processes to be as few as before", () => isWithin(activeKinds(), resources) && (threadCount() ?? 0) <= threads && (childCount() ?? 0) <= children);
    });

    it("fails at shutdown what is still awaited, and refuses calls on old refs afterwards", async () => {
      await ray.init({ numCpus: 1, isolation });
      const forever = ray.remote(() => new Promise<number>(() => {}));
      const refs = [forever.remote(), forever.remote()];
      const waiting = refs.map((ref) => ray.get(ref));
      const outcomes = Promise.allSettled(waiting);
      await ray.shutdown();
      for (const outcome of await outcomes) {
        assert.equal(outcome.status, "rejected");
        assert.ok(outcome.reason instanceof ray.RayError, String(outcome.reason));
      }
      await assert.rejects(refs[0]!.get(), ray.RayError);
      await ray.shutdown();
    });

    it("fails at shutdown also what waits for an actor's beginning or end, and what is between two runs", async () => {
      await ray.init({ numCpus: 1, isolation });
      class Box { touch(): void { throw new RangeError("as always"); } async never(): Promise<void> { await new Promise(() => undefined); } }
      const holder = ray.remote(Box, { numCpus: 1 }).remote();
      await ray.get(holder.ready());
      const waiting = ray.remote(Box, { numCpus: 1 }).remote();
      const busy = holder.never.remote();
      const retried = holder.touch.options({ retryExceptions: true, maxTaskRetries: -1 }).remote();
      const fails = ray.remote((): number => { throw new RangeError("as always"); }, { numCpus: 0, retryExceptions: [RangeError], maxRetries: -1 });
      const refs: ray.ObjectRef<unknown>[] = [waiting.ready(), waiting.terminate(), holder.terminate(), busy, retried, fails.remote()];
      const outcomes = Promise.allSettled(refs.map((ref) => ray.get(ref)));
      await ray.availableResources();
      await ray.shutdown();
      for (const outcome of await outcomes) assert.ok(outcome.status === "rejected" && outcome.reason instanceof ray.RuntimeStateError, JSON.stringify(outcome));
      assert.throws(() => holder.ready(), ray.RuntimeStateError);
    });

    it("ends with a task that never gives its thread back", async () => {
      await ray.init({ numCpus: 1, isolation });
      const started = ray.remote(class { #called!: () => void; #waiting = new Promise<void>((resolve) => { this.#called = resolve; }); call() { this.#called(); } async wait() { await this.#waiting; } }).remote();
      const spins = ray.remote(async (handle: typeof started) => { await ray.get(handle.call.remote()); for (;;); });
      void spins.remote(started);
      await ray.get(started.wait.remote());
      await ray.shutdown();
    });

    it("may be shut down at once, twice at a time, and before it is ready", async () => {
      const initializing = assert.rejects(ray.init({ numCpus: 1, isolation }), ray.RayError);
      await Promise.all([ray.shutdown(), ray.shutdown()]);
      await initializing;
      assert.equal(ray.isInitialized(), false);
      await ray.init({ numCpus: 1, isolation });
      await ray.shutdown();
    });

    it("says what it is", async () => {
      await using info = await ray.init({ numCpus: 1.5, memory: 1e9, resources: { printer: 2 }, labels: { zone: "here" }, namespace: "mine", isolation });
      assert.equal(info.namespace, "mine");
      const has = { CPU: 1.5, printer: 2, memory: 1e9 };
      assert.deepEqual(await ray.clusterResources(), has);
      assert.deepEqual(await ray.availableResources(), has);
      const [node, ...others] = await ray.nodes();
      assert.equal(others.length, 0);
      assert.deepEqual([node?.nodeId, node?.alive, node?.labels, node?.resources], [info.nodeId, true, { "mantaray.io/node-id": info.nodeId, zone: "here" }, has]);
      const context = ray.remote(() => { const { jobId, nodeId, namespace } = ray.getRuntimeContext(); return { jobId, nodeId, namespace }; });
      assert.deepEqual(await ray.get(context.remote()), { jobId: info.jobId, nodeId: info.nodeId, namespace: "mine" });
    });

    it("runs without any processor: only what needs none", async () => {
      await ray.init({ numCpus: 0, isolation });
      const one = ray.remote(() => 1);
      await assert.rejects(ray.get(one.remote()), ray.TaskUnschedulableError);
      assert.equal(await ray.get(one.options({ numCpus: 0 }).remote()), 1);
      await ray.shutdown();
    });
  });
}

describe("a program", () => {
  const started = (isolation: string): string => (isolation === "thread" ? "" : `await ray.init({ isolation: "${isolation}", numCpus: 2 });`);

  for (const isolation of ISOLATIONS) {
    it(`ends by itself when all is done, without init and shutdown (${isolation})`, async () => {
      const { exitCode, stdout, stderr } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        ${started(isolation)}
        const square = ray.remote((value) => value * value);
        const Counter = ray.remote(class Counter { count = 0; increment() { return ++this.count; } });
        const counter = Counter.remote();
        console.log(await ray.get(square.remote(4)), await ray.get(counter.increment.remote()), await ray.get(ray.put("stored")));
      ` } });
      assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: "16 1 stored\n", stderr: "" });
    });

    it(`ends by itself although a detached actor is left (${isolation})`, async () => {
      const { exitCode, stdout } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        ${started(isolation)}
        const Counter = ray.remote(class Counter { count = 0; timer = setInterval(() => {}, 1000); increment() { return ++this.count; } });
        const counter = Counter.options({ name: "counter", lifetime: "detached" }).remote();
        console.log(await ray.get(counter.increment.remote()));
      ` } });
      assert.deepEqual({ exitCode, stdout }, { exitCode: 0, stdout: "1\n" });
    });

    it(`waits for tasks that it started and does not await (${isolation})`, async () => {
      const { exitCode, stdout } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        ${started(isolation)}
        const late = ray.remote(async function late() { await new Promise((resolve) => setTimeout(resolve, 200)); console.log("done late"); });
        late.remote();
      ` } });
      assert.equal(exitCode, 0);
      assert.match(stdout, /^\(late pid=\d+\) done late\n$/);
    });

    it(`ends at process.exit() in the middle of everything, with its code (${isolation})`, async () => {
      const { exitCode, stdout, stderr } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        import { existsSync } from "node:fs";
        const { sessionDir } = await ray.init({ isolation: "${isolation}", numCpus: 2 });
        const one = ray.remote(() => 1);
        await ray.get(one.remote());
        ray.remote(() => { for (;;); }).remote();
        process.on("exit", () => console.log(existsSync(sessionDir)));
        process.exit(7);
      ` } });
      assert.deepEqual({ exitCode, stdout }, { exitCode: 7, stdout: "false\n" }, stderr);
    });

    it(`fails with the error of an unhandled get, and ends (${isolation})`, async () => {
      const { exitCode, stderr } = await runProgram({ files: { "main.mjs": `
        import * as ray from "mantaray";
        ${started(isolation)}
        const fails = ray.remote(function fails() { throw new RangeError("nobody caught this"); });
        await ray.get(fails.remote());
      ` } });
      assert.equal(exitCode, 1);
      assert.match(stderr, /TaskError: fails\(\) failed: nobody caught this/);
    });
  }

  for (const isolation of ISOLATIONS) {
    it(`goes on after a module of its own threw as a worker imported it (${isolation})`, async () => {
      const { exitCode, stdout, stderr } = await runProgram({ files: {
        "main.mjs": `
          import * as ray from "mantaray";
          globalThis.isProgram = true;
          const { helper } = await import("./picky.mjs");
          await ray.init({ isolation: "${isolation}", numCpus: 1 });
          const uses = ray.remote(function uses() { return helper(); });
          const error = await ray.get(uses.remote()).catch((reason) => reason);
          console.log(error instanceof ray.RayError, /only in the program/.test(error.message), /picky/.test(error.stack));
          console.log(await ray.get(ray.remote(() => "goes on").remote()));
        `,
        "picky.mjs": `
          if (!globalThis.isProgram) throw new Error("only in the program");
          export function helper() { return 1; }
        `,
      } });
      assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: "true true true\ngoes on\n", stderr: "" });
    });
  }

  it("is not ended with an error by a failed task that nobody asks for", async () => {
    const { exitCode, stdout, stderr } = await runProgram({ files: { "main.mjs": `
      import * as ray from "mantaray";
      const fails = ray.remote(() => { throw new Error("unasked"); });
      const ref = fails.remote();
      await ray.wait([ref]);
      console.log("still here");
    ` } });
    assert.deepEqual({ exitCode, stdout, stderr }, { exitCode: 0, stdout: "still here\n", stderr: "" });
  });

  it("that only imports the package starts nothing", async () => {
    const { exitCode, stdout } = await runProgram({ files: { "main.mjs": `
      import * as ray from "mantaray";
      ray.remote(() => 1);
      console.log(ray.isInitialized(), process.getActiveResourcesInfo().filter((kind) => /Worker|MessagePort|Timeout|Process|Server/.test(kind)).length);
    ` } });
    assert.deepEqual({ exitCode, stdout }, { exitCode: 0, stdout: "false 0\n" });
  });

  it("may run as CommonJS", async () => {
    const { exitCode, stdout } = await runProgram({ files: { "main.cjs": `
      import("mantaray").then(async (ray) => {
        const factor = 3;
        console.log(await ray.get(ray.remote((value) => value * factor).remote(2)));
      });
    ` } });
    assert.deepEqual({ exitCode, stdout }, { exitCode: 0, stdout: "6\n" });
  });
});
