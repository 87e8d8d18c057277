import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, eventually, ISOLATIONS_ALONE, NODES, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

class Cell {
  readonly start: number;
  calls = 0;
  seenInConstructor: string | undefined;
  #background = "";
  constructor(start = 0) {
    this.start = start;
    this.seenInConstructor = ray.getRuntimeContext().actorId;
    void this.#later();
  }
  async #later(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#background = String(ray.getRuntimeContext().actorId);
  }
  add(by: number): number { this.calls++; return this.start + by; }
  count(): number { return this.calls; }
  worker(): string { return ray.getRuntimeContext().workerId; }
  async who(): Promise<unknown[]> {
    const before = ray.getRuntimeContext().actorId;
    await new Promise((resolve) => setTimeout(resolve, 1));
    return [before, ray.getRuntimeContext().actorId, this.seenInConstructor, this.#background, ray.getRuntimeContext().actorName];
  }
  me(): ray.ActorHandle<Cell> { return ray.getRuntimeContext().currentActor as unknown as ray.ActorHandle<Cell>; }
  exit(code: number): void { process.exit(code); }
  wasRestarted(): boolean { return ray.getRuntimeContext().wasCurrentActorRestarted; }
}
const Cells = ray.remote(Cell, { isolation: "shared" });

/** Calls of it stay until it is opened. */
class Door {
  #open = (): void => undefined;
  readonly #opened = new Promise<void>((resolve) => { this.#open = resolve; });
  #arrived = 0;
  async pass(): Promise<string> { this.#arrived++; await this.#opened; return "passed"; }
  async arrived(): Promise<number> { return this.#arrived; }
  async open(): Promise<void> { this.#open(); }
  async *stream(): AsyncGenerator<number> { yield 1; await this.#opened; yield 2; }
}
const Doors = ray.remote(Door, { isolation: "shared" });

const isDead = (pattern: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.ActorDiedError, String(error));
  assert.match(error.message, pattern);
  return true;
};

underBothIsolations("shared actors", {}, (isolation) => {
  it("are many in few workers, each with its own state", async () => {
    const cells = Array.from({ length: 3000 }, (_, index) => Cells.remote(index));
    assert.deepEqual(await ray.get(cells.map((cell) => cell.add.remote(1))), cells.map((_, index) => index + 1));
    assert.deepEqual(await ray.get(cells.map((cell) => cell.count.remote())), cells.map(() => 1));
    const workers = new Set(await ray.get(cells.map((cell) => cell.worker.remote())));
    // A node without any counts as one with one.
    assert.ok(workers.size >= 1 && workers.size <= Math.max(2, NODES), `${workers.size} workers for two processors`);
    for (const cell of cells) cell.release();
  });

  it("know who they are, also after awaits, in constructors and in what those have started", async () => {
    const cells = Array.from({ length: 20 }, (_, index) => ray.remote(Cell, { isolation: "shared", name: `who-${index}` }).remote());
    const found = await ray.get(cells.map((cell) => cell.who.remote()));
    cells.forEach(({ actorId }, index) => assert.deepEqual(found[index], [actorId, actorId, actorId, actorId, `who-${index}`]));
    const me = (await ray.get((cells[7] as ray.ActorHandle<Cell>).me.remote())) as unknown as ray.ActorHandle<Cell>;
    assert.equal(me.actorId, cells[7]?.actorId);
    assert.equal(await ray.get(me.add.remote(5)), 5);
    for (const cell of cells) cell.release();
  });

  it("take no resources: asking for some is an error", () => {
    for (const options of [{ numCpus: 1 }, { numGpus: 1 }, { memory: 1000 }, { resources: { printer: 1 } }] as ray.ActorOptions[]) {
      assert.throws(() => ray.remote(Cell, { isolation: "shared", ...options }), (error: unknown) => error instanceof ray.RayError && /shared actors take no resources/.test(error.message));
      assert.throws(() => ray.remote(Cell, options).options({ isolation: "shared" }), ray.RayError);
    }
    assert.throws(() => ray.remote((() => 1) as never, { isolation: "shared" } as never), ray.RayError, "tasks cannot be shared");
  });

  it("die alone when their constructor throws", async () => {
    class Fussy {
      constructor(fails: boolean) { if (fails) throw new RangeError("not me"); }
      fine(): string { return "fine"; }
    }
    const Fussies = ray.remote(Fussy, { isolation: "shared" });
    const actors = Array.from({ length: 10 }, (_, index) => Fussies.remote(index === 4));
    for (const [index, actor] of actors.entries()) {
      if (index !== 4) assert.equal(await ray.get(actor.fine.remote()), "fine");
      else await assert.rejects(ray.get(actor.fine.remote()), isDead(/not me/));
    }
  });

  it("are killed one by one: calls and streams that were there fail, others do not notice", async () => {
    const [door, other] = [Doors.remote(), Doors.remote()];
    const [passing, elsewhere] = [door.pass.remote(), other.pass.remote()];
    const stream = door.stream.remote();
    assert.equal(await ray.get((await stream.next()).value as ray.ObjectRef<number>), 1);
    await eventually("both to be there", async () => (await ray.get(door.arrived.remote())) === 1 && (await ray.get(other.arrived.remote())) === 1);
    await ray.kill(door);
    await assert.rejects(ray.get(passing), isDead(/kill\(\)/));
    await assert.rejects(ray.get(stream.completed()), isDead(/kill\(\)/));
    await assert.rejects(ray.get(door.open.remote()), isDead(/kill\(\)/));
    await ray.get(other.open.remote());
    assert.equal(await ray.get(elsewhere), "passed");
  });

  it("start again alone after kill with noRestart: false; calls that were there run again if they may", async () => {
    const door = ray.remote(Door, { isolation: "shared", maxRestarts: 1 }).remote();
    const [again, once] = [door.pass.options({ maxTaskRetries: 1 }).remote(), door.pass.remote()];
    await eventually("both to be there", async () => (await ray.get(door.arrived.remote())) === 2);
    await ray.kill(door, { noRestart: false });
    await assert.rejects(ray.get(once), ray.ActorUnavailableError);
    await eventually("the other to be there again", async () => (await ray.get(door.arrived.remote())) === 1);
    await ray.get(door.open.remote());
    assert.equal(await ray.get(again), "passed");
    await ray.kill(door, { noRestart: false });
    await eventually("the end", async () => {
      try { await ray.get(door.arrived.remote()); return false; } catch { return true; }
    });
    await assert.rejects(ray.get(door.arrived.remote()), isDead(/kill\(\)/));
  });

  it("end all with their worker, and the message names who ended it; those that may restart do, the culprit apart", async () => {
    // The first ones of a burst are in one worker.
    const [bystander, phoenix, culprit] = [Cells.remote(), ray.remote(Cell, { isolation: "shared", maxRestarts: 1 }).remote(), ray.remote(Cell, { isolation: "shared", maxRestarts: 1 }).remote()];
    const [one, two, three] = await ray.get([bystander.worker.remote(), phoenix.worker.remote(), culprit.worker.remote()]);
    const lost = new RegExp(`process\\.exit\\(3\\) in Cell\\.exit\\(\\) of actor Cell \\(${culprit.actorId}\\)`);
    await assert.rejects(ray.get(culprit.exit.remote(3)), ray.ActorError);
    if (one === three) await assert.rejects(ray.get(bystander.count.remote()), isDead(lost));
    else assert.equal(await ray.get(bystander.count.remote()), 0);
    assert.equal(await ray.get(phoenix.wasRestarted.remote()), two === three);
    assert.equal(await ray.get(culprit.wasRestarted.remote()), true);
    const apart = await ray.get(culprit.worker.remote());
    const others = Array.from({ length: 40 }, () => Cells.remote());
    const together = await ray.get([...others, phoenix].map((cell) => cell.worker.remote()));
    assert.ok(!together.includes(apart));
    for (const cell of [...others, phoenix, culprit]) cell.release();
  });

  it("take with them what they have created, though their worker lives on", async () => {
    class Parent {
      kept: unknown[] = [];
      async keep(name: string): Promise<void> { const child = ray.remote(Cell, { isolation: "shared", name }).remote(); this.kept.push(child); await ray.get(child.ready()); }
    }
    const parent = ray.remote(Parent, { isolation: "shared" }).remote();
    await ray.get(parent.keep.remote("child-of-shared"));
    const child = await ray.getActor<Cell>("child-of-shared");
    assert.equal(await ray.get(child.add.remote(1)), 1);
    await ray.kill(parent);
    await eventually("the child's end", () => ray.get(child.add.remote(1)).then(() => false, () => true));
    await assert.rejects(ray.get(child.add.remote(1)), isDead(/owner/));
    await assert.rejects(ray.getActor("child-of-shared"), ray.ActorNotFoundError);
  });

  it("and others find each other by name, whichever was asked for", async () => {
    const shared = ray.remote(Cell, { isolation: "shared", name: "both-ways", getIfExists: true }).remote(1);
    await ray.get(shared.ready());
    const own = ray.remote(Cell, { name: "both-ways", getIfExists: true }).remote(2);
    assert.equal(await ray.get(own.add.remote(0)), 1);
    assert.equal(own.actorId, shared.actorId);
    const first = ray.remote(Cell, { name: "other-way", getIfExists: true }).remote(3);
    await ray.get(first.ready());
    const second = ray.remote(Cell, { isolation: "shared", name: "other-way", getIfExists: true }).remote(4);
    assert.deepEqual(await ray.get([second.add.remote(0), second.count.remote()]), [3, 1]);
    for (const handle of [shared, own, first, second]) handle.release();
  });

  it("are passed in values by the hundred, and called from elsewhere", async () => {
    const cells = Array.from({ length: 300 }, (_, index) => Cells.remote(index));
    const sum = ray.remote(async (handles: ray.ActorHandle<Cell>[]) => {
      const values = await ray.get(handles.map((handle) => handle.add.remote(0)));
      return values.reduce((total, value) => total + value, 0);
    });
    assert.equal(await ray.get(sum.remote(cells)), (300 * 299) / 2);
    for (const cell of cells) cell.release();
  });

  it("that block their worker are named, and those that come later are not held up", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mantaray-test-"));
    const file = join(folder, "go-on");
    class Blocker {
      spin(until: string): string { while (!existsSync(until)); return "went on"; }
      hello(): string { return "hello"; }
    }
    const Blockers = ray.remote(Blocker, { isolation: "shared" });
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning.message);
    process.on("warning", onWarning);
    try {
      const [blocker, neighbour] = [Blockers.remote(), Blockers.remote()];
      await ray.get([blocker.hello.remote(), neighbour.hello.remote()]);
      const spinning = blocker.spin.remote(file);
      const waiting = neighbour.hello.remote();
      await eventually("the warning", () => warnings.some((text) => /has blocked the event loop/.test(text)));
      const warning = warnings.find((text) => /has blocked the event loop/.test(text)) as string;
      if (areThreadsHere(isolation)) assert.ok(warning.includes(`actor Blocker (${blocker.actorId})`), warning);
      const late = Blockers.remote();
      assert.equal(await ray.get(late.hello.remote()), "hello");
      writeFileSync(file, "");
      assert.deepEqual(await ray.get([spinning, waiting]), ["went on", "hello"]);
      for (const handle of [blocker, neighbour, late]) handle.release();
    } finally {
      process.off("warning", onWarning);
      rmSync(folder, { recursive: true });
    }
  });
});

describe("the output of shared actors", () => {
  for (const isolation of ISOLATIONS_ALONE) {
    it(`has the name of the class that printed it, also after an await (${isolation})`, async () => {
      const { stdout, exitCode, stderr } = await runProgram({
        files: {
          "program.mjs": `
            import * as ray from "mantaray";
            class Ant { async walk() { console.log("ant sets out"); await new Promise((resolve) => setTimeout(resolve, 5)); console.log("ant is back"); } }
            class Bee { async fly() { console.log("bee sets out"); await new Promise((resolve) => setTimeout(resolve, 5)); console.log("bee is back"); } }
            await ray.init({ numCpus: 1, isolation: "${isolation}" });
            const [ant, bee] = [Ant, Bee].map((insect) => ray.remote(insect, { isolation: "shared" }).remote());
            await ray.get([ant.walk.remote(), bee.fly.remote()]);
            await ray.shutdown();
          `,
        },
      });
      assert.equal(exitCode, 0, stderr);
      const lines = stdout.split("\n").filter((line) => line !== "").map((line) => line.replace(/ pid=\d+/, "")).sort();
      assert.deepEqual(lines, ["(Ant) ant is back", "(Ant) ant sets out", "(Bee) bee is back", "(Bee) bee sets out"]);
    });
  }
});
