import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { afterEach, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, eventually, everythingFree, freeBecomes, NODES, underBothIsolations } from "./both-isolations.ts";
import { endPrograms, startProgram, type RunningProgram } from "./running-program.ts";

const FLOATS = 20 * 1024 ** 2 / Float64Array.BYTES_PER_ELEMENT;
const hasSharedMemory = process.platform === "linux" && process.env["MANTARAY_NO_SHARED_MEMORY"] === undefined;

class Board {
  readonly #items = new Map<string, unknown>();
  readonly #waiting = new Map<string, (value: unknown) => void>();
  set(key: string, value: unknown): void {
    this.#items.set(key, value);
    this.#waiting.get(key)?.(value);
  }
  get(key: string): unknown {
    return this.#items.get(key);
  }
  async when(key: string): Promise<unknown> {
    return this.#items.get(key) ?? new Promise((resolve) => this.#waiting.set(key, resolve));
  }
}

/** The address of the runtime of this process. */
let address = "";
async function postBoard(name: string): Promise<ray.ActorHandle<Board>> {
  const board = ray.remote(Board).options({ name, maxConcurrency: 10 }).remote();
  await ray.get(board.set.remote("up", true));
  return board;
}
function join(source: string, options = `{ namespace: "shared" }`): RunningProgram {
  return startProgram(`const info = await ray.init({ ...${options}, address: ${JSON.stringify(address)} });\n${source}`);
}

/** For programs: what does not end by itself, and how to wait until so many processors are free, or all but so many. */
const FOR_EVER = `
  const forEver = () => new Promise(() => setInterval(() => undefined, 60_000));
  const { CPU } = await ray.clusterResources();
  const freeBecomes = async (change) => { while ((await ray.availableResources()).CPU !== CPU + change) await new Promise((resolve) => setTimeout(resolve, 10)); };
`;

underBothIsolations("programs that join the runtime of another", { numCpus: 2, namespace: "shared" }, (isolation) => {
  it("knows its address", async () => {
    const [node] = await ray.nodes();
    address = node?.address as string;
    assert.match(address, NODES === 0 ? /^unix:.*\.sock$/ : /^127\.0\.0\.1:\d+$/);
    if (NODES === 0) assert.equal(ray.getRuntimeContext().address, address);
    assert.ok(!JSON.stringify(node).includes("token"));
  });
  afterEach(() => endPrograms());

  it("have a runtime environment of their own", async () => {
    const program = join(`
      const { mkdtempSync, writeFileSync, rmSync } = await import("node:fs");
      const value = ray.remote(() => [process.env.OF_JOINED, process.env.OF_TASK]);
      say(await ray.get([value.remote(), value.options({ runtimeEnv: { envVars: { OF_TASK: "task" } } }).remote()]));
      const folder = mkdtempSync((await import("node:os")).tmpdir() + "/mantaray-test-");
      writeFileSync(folder + "/file.txt", "from a folder of the joined program");
      const read = ray.remote(async () => (await import("node:fs")).readFileSync("file.txt", "utf8"));
      say(await ray.get(read.options({ runtimeEnv: { workingDir: folder } }).remote()));
      rmSync(folder, { recursive: true });
    `, `{ namespace: "shared", runtimeEnv: { envVars: { OF_JOINED: "joined" } } }`);
    assert.deepEqual(await program.said(), [["joined", null], ["joined", "task"]]);
    assert.equal(await program.said(), "from a folder of the joined program");
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    assert.deepEqual(await ray.get(ray.remote(() => process.env["OF_JOINED"]).remote()), undefined);
  });

  it("have an isolation of their own, also in what their tasks and actors start", async () => {
    const own = isolation === "thread" ? "process" : "thread";
    const program = join(`
      const { isMainThread } = await import("node:worker_threads");
      const isThread = ray.remote(async () => !(await import("node:worker_threads")).isMainThread);
      const nested = ray.remote(async () => ray.get([isThread.remote(), ray.remote(async () => ray.get(isThread.remote())).remote()]));
      class Parent { async nested() { return ray.get(isThread.remote()); } }
      say([isMainThread, await ray.get(isThread.remote()), ...await ray.get(nested.remote()), await ray.get(ray.remote(Parent).remote().nested.remote())]);
    `, `{ isolation: "${own}" }`);
    assert.deepEqual(await program.said(), [true, ...Array.from({ length: 4 }, () => own === "thread")]);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
  });

  it("take with them what tasks of theirs have started and nobody waits for", async () => {
    const board = await postBoard("background");
    const program = join(`
      ${FOR_EVER}
      const board = await ray.getActor("background");
      const background = ray.remote(async () => { await board.set.remote("runs", true); await forEver(); });
      const start = ray.remote(async () => { background.remote(); await ray.get(board.when.remote("runs")); });
      await ray.get(start.remote());
      // Until the worker that has started it has no lease of the program any more.
      await freeBecomes(-1);
    `);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    await ray.kill(board);
    await everythingFree();
  });

  it("take that with them also where a worker runs what it has started itself", async () => {
    const board = await postBoard("itself");
    class Holder { ping(): number { return 1; } }
    const holder = ray.remote(Holder).options({ numCpus: 1 }).remote();
    await ray.get(holder.ping.remote());
    const program = join(`
      ${FOR_EVER}
      const board = await ray.getActor("itself");
      const background = ray.remote(async () => { await board.set.remote("runs", ray.getRuntimeContext().workerId); await forEver(); });
      // There is one processor, which it gives back while it waits.
      const start = ray.remote(async () => { background.remote(); return [ray.getRuntimeContext().workerId, await ray.get(board.when.remote("runs"))]; });
      say(await ray.get(start.remote()));
      await freeBecomes(-2);
    `);
    const [starter, runner] = await program.said();
    assert.equal(runner, starter);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    await ray.kill(holder);
    await ray.kill(board);
    await everythingFree();
  });

  it("take that with them also where it has started more", async () => {
    const board = await postBoard("more");
    const program = join(`
      ${FOR_EVER}
      const board = await ray.getActor("more");
      const second = ray.remote(async () => { await board.set.remote("second", true); await forEver(); });
      const first = ray.remote(async () => {
        await board.set.remote("first", true);
        while ((await board.get.remote("left alone").get()) !== true) await new Promise((resolve) => setTimeout(resolve, 10));
        second.remote();
        await forEver();
      });
      await ray.get(ray.remote(() => { first.remote(); }).remote());
      await ray.get(board.when.remote("first"));
      // From now on the first worker is free for what the other one starts.
      await freeBecomes(-1);
      await ray.get(board.set.remote("left alone", true));
      await ray.get(board.when.remote("second"));
      await freeBecomes(-2);
      say("ready");
      await hear();
    `);
    assert.equal(await program.said(), "ready");
    program.kill("SIGKILL");
    await program.ended;
    await ray.kill(board);
    await everythingFree();
  });

  it("leave what their detached actors have had started, until these end", async () => {
    const board = await postBoard("of detached");
    const program = join(`
      ${FOR_EVER}
      const board = await ray.getActor("of detached");
      const background = ray.remote(async (name) => {
        let ticks = 0;
        setInterval(() => board.set.remote(name, ++ticks), 10);
        await forEver();
      }).options({ numCpus: 0.5 });
      const start = ray.remote(async (name) => { background.remote(name); await ray.get(board.when.remote(name)); }).options({ numCpus: 0.5 });
      const Helper = ray.remote(class { async start() { await ray.get(start.remote("of its actor")); } });
      class Starter { async start() { await ray.get([start.remote("of actor"), (this.helper = Helper.remote()).start.remote()]); } }
      await ray.get(ray.remote(Starter).options({ name: "starter", lifetime: "detached" }).remote().start.remote());
      await freeBecomes(-1);
      await ray.get(start.remote("of program"));
      await freeBecomes(-1.5);
    `);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    const { CPU } = await ray.clusterResources();
    await freeBecomes({ CPU: (CPU as number) - 1 });
    for (const name of ["of actor", "of its actor"]) {
      const ticks = async (): Promise<number> => (await ray.get(board.get.remote(name))) as number;
      const before = await ticks();
      await eventually(`what was started ${name} to go on`, async () => (await ticks()) > before + 10);
    }
    await ray.kill(await ray.getActor("starter"));
    await everythingFree();
    await ray.kill(board);
  });

  it("run tasks and closures on its workers, as jobs of their own", async () => {
    const program = join(`
      const factor = 3;
      const multiply = ray.remote((value) => value * factor);
      say(await ray.get([multiply.remote(14), multiply.remote(ray.put(2))]));
      const context = ray.remote(async () => {
        const { jobId, namespace, nodeId, address } = ray.getRuntimeContext();
        const nested = await ray.get(ray.remote(() => ray.getRuntimeContext().jobId).remote());
        return { jobId, namespace, nodeId, address, nested, pid: process.pid };
      });
      say([info, await ray.get(context.remote()), await ray.clusterResources()]);
      class Holder { #kept; constructor(kept) { this.#kept = kept; } kept() { return [this.#kept, ray.getRuntimeContext().jobId]; } }
      say(await ray.get(ray.remote(Holder).remote({ a: [1] }).kept.remote()));
      say((await ray.get(ray.remote(function fails() { throw new RangeError("there"); }).remote()).catch((error) => [error.name, error.cause.name, error.message])));
    `, "{}");
    assert.deepEqual(await program.said(), [42, 6]);
    const [info, inTask, resources] = await program.said();
    const { jobId, namespace } = ray.getRuntimeContext();
    assert.notEqual(info.jobId, jobId);
    assert.equal(info.namespace, `job-${info.jobId}`);
    assert.notEqual(info.namespace, namespace);
    assert.equal(info.nodeId, ray.getRuntimeContext().nodeId);
    const { pid, nodeId, address: addressThere, ...told } = inTask;
    assert.deepEqual(told, { jobId: info.jobId, namespace: info.namespace, nested: info.jobId });
    if (NODES === 0) assert.deepEqual([nodeId, addressThere], [info.nodeId, address]);
    assert.equal(pid === process.pid, areThreadsHere(isolation));
    assert.notEqual(pid, program.pid);
    assert.deepEqual(resources, await ray.clusterResources());
    assert.deepEqual(await program.said(), [{ a: [1] }, info.jobId]);
    assert.deepEqual(await program.said(), ["TaskError", "RangeError", "fails() failed: there"]);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    const ours = await ray.get(ray.remote(() => ray.getRuntimeContext().jobId).remote());
    assert.equal(ours, jobId, "a worker that has worked for another program is not ours");
  });

  it("find actors of others by name, and others find theirs", async () => {
    const board = await postBoard("board");
    const program = join(`
      const board = await ray.getActor("board");
      say(await ray.get(board.get.remote("from here")));
      await ray.get(board.set.remote("from there", 2));
      class Counter { #count = 0; add(by) { return this.#count += by; } }
      const lasting = ray.remote(Counter).options({ name: "lasting", lifetime: "detached" }).remote();
      const passing = ray.remote(Counter).options({ name: "passing" }).remote();
      say(await ray.get([lasting.add.remote(1), passing.add.remote(1)]));
      say(await ray.getActor("unknown").catch((error) => error.name));
      await hear();
      await ray.shutdown();
      say("left");
      await hear();
    `);
    await ray.get(board.set.remote("from here", 1));
    assert.ok([1, null].includes(await program.said()));
    assert.deepEqual(await program.said(), [1, 1]);
    assert.equal(await program.said(), "ActorNotFoundError");
    assert.equal(await ray.get(board.get.remote("from there")), 2);
    const lasting = await ray.getActor<{ add(by: number): number }>("lasting");
    const passing = await ray.getActor<{ add(by: number): number }>("passing");
    assert.deepEqual(await ray.get([lasting.add.remote(1), passing.add.remote(1)]), [2, 2]);
    program.tell("leave");
    assert.equal(await program.said(), "left");
    await assert.rejects(ray.getActor("passing"), ray.ActorNotFoundError);
    await assert.rejects(ray.get(passing.add.remote(1)), ray.ActorDiedError);
    assert.equal(await ray.get(lasting.add.remote(1)), 3);
    await ray.kill(lasting);
    await ray.kill(board);
  });

  it("share large objects without a copy, both ways", { skip: !hasSharedMemory }, async () => {
    const board = await postBoard("objects");
    const ours = ray.put(new Float64Array(FLOATS).fill(7));
    await ray.get(board.set.remote("ours", [ours]));
    const program = join(`
      const board = await ray.getActor("objects");
      const [ref] = await ray.get(board.get.remote("ours"));
      const seen = await ray.get(ref);
      say([seen.length, seen[0], seen.at(-1), seen.buffer.byteLength]);
      seen[1] = 70;
      const theirs = ray.put(new Float64Array(${FLOATS}).fill(8));
      await ray.get(board.set.remote("theirs", [theirs]));
      say(await ray.get(ray.remote((array) => array[2] + array.length).remote(theirs)));
      await hear();
      (await ray.get(theirs))[1] = 80;
      say("written");
      await hear();
    `);
    assert.deepEqual(await program.said(), [FLOATS, 7, 7, FLOATS * 8]);
    assert.equal(await program.said(), 8 + FLOATS);
    // Nobody should write to an object. It shows here that all see the same memory.
    assert.equal((await ray.get(ours))[1], 70);
    const [theirs] = (await ray.get(board.get.remote("theirs"))) as [ray.ObjectRef<Float64Array>];
    const seen = await ray.get(theirs);
    assert.deepEqual([seen.length, seen[0], seen[1], seen.buffer.byteLength], [FLOATS, 8, 8, FLOATS * 8]);
    program.tell("write");
    assert.equal(await program.said(), "written");
    assert.equal(seen[1], 80);
    program.kill("SIGKILL");
    await program.ended;
    assert.equal(seen[1], 80, "a view outlives the owner");
    await ray.kill(board);
  });

  const ends: Readonly<Record<string, string>> = {
    "shutdown()": `await ray.shutdown(); say("left"); await hear();`,
    "process.exit()": `process.exit(3);`,
    "an uncaught exception": `setImmediate(() => { throw new Error("on purpose"); });`,
    "SIGKILL": `process.kill(process.pid, "SIGKILL");`,
  };
  for (const [end, source] of Object.entries(ends)) {
    it(`release everything but detached actors at their end by ${end}`, async () => {
      const board = await postBoard("ends");
      await everythingFree();
      const program = join(`
        const board = await ray.getActor("ends");
        class Holder { ping() { return 1; } }
        const holder = ray.remote(Holder).options({ name: "holder", numCpus: 1 }).remote();
        const detached = ray.remote(Holder).options({ name: "detached", lifetime: "detached" }).remote();
        await ray.get([holder.ping.remote(), detached.ping.remote()]);
        const small = ray.put("small");
        const large = ray.put(new Uint8Array(1024 ** 2));
        await ray.get(board.set.remote("refs", [small, large]));
        const inner = ray.remote(async (board) => { await ray.get(board.set.remote("spinning", true)); for (;;); });
        const outer = ray.remote(async (board) => ray.get(inner.remote(board)));
        const waiting = ray.get(outer.remote(board)).catch((error) => error.name);
        const queued = [1, 2, 3].map(() => outer.remote(board));
        await ray.get(board.when.remote("spinning"));
        say("ready");
        await hear();
        ${source}
      `);
      assert.equal(await program.said(), "ready");
      const [small, large] = (await ray.get(board.get.remote("refs"))) as ray.ObjectRef[];
      await ray.getActor("holder");
      program.tell("end");
      if (end === "shutdown()") {
        assert.equal(await program.said(), "left");
        const [holder, available] = await Promise.allSettled([ray.getActor("holder"), ray.availableResources()]);
        assert.ok(holder.status === "rejected" && holder.reason instanceof ray.ActorNotFoundError, "its shutdown has waited for its actors");
        assert.deepEqual(available, { status: "fulfilled", value: await ray.clusterResources() });
      } else await program.ended;
      for (const ref of [small, large]) await assert.rejects(ray.get(ref as ray.ObjectRef), ray.OwnerDiedError);
      await eventually("its actor to be gone", () => ray.getActor("holder").then(() => false, (error) => error instanceof ray.ActorNotFoundError));
      await eventually("all processors to be free", async () => (await ray.availableResources())["CPU"] === 2);
      assert.equal(await ray.get(ray.remote(() => "goes on").remote()), "goes on");
      const detached = await ray.getActor<{ ping(): number }>("detached");
      assert.equal(await ray.get(detached.ping.remote()), 1);
      await ray.kill(detached);
      await ray.kill(board);
    });
  }

  it("end by themselves when all is done, and nothing is left of them", async () => {
    const { sessionDir } = await ray.init({ ignoreReinitError: true });
    const program = join(`
      say([info.sessionDir, ray.getRuntimeContext().workerId]);
      const late = ray.remote(async function late() { await new Promise((resolve) => setTimeout(resolve, 100)); console.log("done late"); });
      late.remote();
    `);
    const [folder, workerId] = await program.said();
    assert.equal(folder, sessionDir);
    assert.match(await program.said(), /^\(late pid=\d+(, node=[\d.:]+)?\) done late$/);
    assert.deepEqual(await program.ended, { exitCode: 0, signal: null, stderr: "" });
    assert.equal(existsSync(`${sessionDir}/${workerId}.sock`), false);
  });

  it("may be several, each with the output of its own tasks", async () => {
    const board = await postBoard("several");
    const program = (name: string): RunningProgram => join(`
      const board = await ray.getActor("several");
      const hello = ray.remote(function hello(name) { console.log("hello " + name); return name; });
      await ray.get(board.set.remote(${JSON.stringify(name)}, [hello.remote(${JSON.stringify(name)})]));
      say("up");
      const other = await hear();
      const [ref] = await ray.get(board.get.remote(other));
      say(await ray.get(ref));
      await hear();
      say(await ray.get(ref).catch((error) => error.name));
      await hear();
    `);
    const programs = { first: program("first"), second: program("second") };
    for (const [name, one] of Object.entries(programs)) {
      assert.deepEqual([await one.said(), await one.said()].map((text) => text.replace(/pid=\d+(, node=[\d.:]+)?/, "")).sort(), [`(hello ) hello ${name}`, "up"].sort());
    }
    programs.first.tell("second");
    programs.second.tell("first");
    assert.equal(await programs.first.said(), "second");
    assert.equal(await programs.second.said(), "first");
    programs.second.tell("leave");
    await programs.second.said();
    programs.second.kill("SIGKILL");
    await programs.second.ended;
    programs.first.tell("still there?");
    assert.equal(await programs.first.said(), "second", "what it has got stays");
    await ray.kill(board);
  });
});
