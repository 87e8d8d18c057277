import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, ISOLATIONS_ALONE, underEveryActorIsolation } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

class Gate {
  open: (() => void) | null = null;
  readonly opened = new Promise<void>((resolve) => { this.open = resolve; });
  arrived = 0;
  whenArrived: { count: number; resolve: () => void }[] = [];
  async pass(): Promise<void> {
    this.arrived++;
    for (const { count, resolve } of this.whenArrived) if (this.arrived >= count) resolve();
    await this.opened;
  }
  /** Resolves when so many have come to `pass`. */
  async reached(count: number): Promise<void> {
    if (this.arrived < count) await new Promise<void>((resolve) => this.whenArrived.push({ count, resolve }));
  }
  async unlock(): Promise<void> { this.open?.(); }
}
type GateHandle = ray.ActorHandle<Gate>;

/** Waits at gates, one call after the other. */
class Worker {
  calls = 0;
  readonly life = Math.random();
  async waitAt(gate: GateHandle): Promise<string> { await ray.get(gate.pass.remote()); return "passed"; }
  quick(): number { return ++this.calls; }
  exit(code: number): void { process.exit(code); }
  leave(): void { ray.exitActor(); }
  async leaveLater(): Promise<void> { await Promise.resolve(); ray.exitActor(); }
  identity(): number { return this.life; }
  wasRestarted(): boolean { return ray.getRuntimeContext().wasCurrentActorRestarted; }
  killed(): void { process.kill(process.pid, "SIGKILL"); }
  throwLater(): Promise<void> {
    setImmediate(() => { throw new RangeError("nobody catches this"); });
    return new Promise<void>(() => undefined);
  }
}
const isDead = (pattern?: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.ActorDiedError, `not an ActorDiedError: ${String(error)}`);
  if (pattern !== undefined) assert.match(error.message, pattern);
  return true;
};
const isUnavailable = (pattern: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof ray.ActorUnavailableError && !(error instanceof ray.ActorDiedError), `not an ActorUnavailableError: ${String(error)}`);
  assert.match(error.message, pattern);
  return true;
};
let unique = 0;

underEveryActorIsolation("the end of actors", { isOnOneOfThem: true }, (isolation, remote) => {
  const OneByOne = remote(Worker, { maxConcurrency: 1 });
  const Workers = remote(Worker);

  it("kill() ends an actor at once: calls that run, wait or come later fail", async () => {
    const gate = remote(Gate).remote();
    const worker = OneByOne.remote();
    const running = worker.waitAt.remote(gate);
    const waiting = worker.quick.remote();
    await ray.get(gate.reached.remote(1));
    await ray.kill(worker);
    await assert.rejects(ray.get(running), isDead(/kill\(\)/));
    await assert.rejects(ray.get(waiting), isDead());
    await assert.rejects(ray.get(worker.quick.remote()), isDead(/kill\(\)/));
    await ray.kill(worker); // Twice is no error.
  });

  it("has a reason for programs, the same to calls that were there and to later ones", async () => {
    class Unmakeable { constructor() { throw new RangeError("no"); } quick(): number { return 1; } }
    class Creator {
      readonly #child = OneByOne.remote();
      child(): ray.ActorHandle<Worker> { return this.#child; }
      exit(): void { process.exit(4); }
    }
    const reasonOf = (ref: ray.ObjectRef<unknown>): Promise<unknown> => ray.get(ref).then(() => "no end", (error: unknown) => (error instanceof ray.ActorDiedError ? error.reason : error));
    const gate = remote(Gate).remote();
    const workerAtGate = async (count: number, handle = OneByOne.remote()) => {
      const running = handle.waitAt.remote(gate);
      const waiting = handle.quick.remote();
      await ray.get(gate.reached.remote(count));
      return { handle, calls: [running, waiting] };
    };
    const reasonsOf = async ({ handle, calls }: { handle: ray.ActorHandle<Worker>; calls: readonly ray.ObjectRef<unknown>[] }) => Promise.all([...calls, handle.quick.remote()].map(reasonOf));

    const killed = await workerAtGate(1);
    await ray.kill(killed.handle);
    assert.deepEqual(await reasonsOf(killed), ["killed", "killed", "killed"]);

    const creator = remote(Creator).remote();
    const orphan = await workerAtGate(2, await ray.get(creator.child.remote()));
    assert.equal(await reasonOf(creator.exit.remote()), "workerLost");
    assert.deepEqual(await reasonsOf(orphan), ["ownerEnded", "ownerEnded", "ownerEnded"]);

    for (const leave of ["leave", "terminate"] as const) {
      const leaving = OneByOne.remote();
      if (leave === "leave") assert.equal(await reasonOf(leaving.leave.remote()), "exited");
      else await ray.get(leaving.terminate());
      assert.equal(await reasonOf(leaving.quick.remote()), "exited");
    }
    assert.equal(await reasonOf(remote(Unmakeable).remote().quick.remote()), "constructorThrew");
    const crashing = OneByOne.remote();
    assert.deepEqual(await Promise.all([crashing.exit.remote(5), crashing.quick.remote()].map(reasonOf)), ["workerLost", "workerLost"]);

    const restartable = OneByOne.remote();
    await ray.get(restartable.ready());
    await ray.kill(restartable, { noRestart: false });
    await eventually("the end, since there was no restart for it", async () => (await reasonOf(restartable.quick.remote())) === "killed");
  });

  it("kill() frees the name before it resolves", async () => {
    const name = `ending-${++unique}`;
    const worker = remote(Worker, { name }).remote();
    await ray.get(worker.ready());
    await ray.kill(worker);
    await assert.rejects(ray.getActor(name), ray.ActorNotFoundError);
    const successor = remote(Worker, { name }).remote();
    assert.equal(await ray.get(successor.quick.remote()), 1);
  });

  it("kill() resolves when code of the actor runs no more", { skip: isolation === "shared" ? "what it has started goes on in the worker, which lives" : false }, async () => {
    class Writer {
      /** Without an end. */
      begin(path: string): void {
        const write = (): void => { appendFileSync(path, "."); setImmediate(write); };
        write();
      }
    }
    const folder = mkdtempSync(join(tmpdir(), "actors-ends-"));
    try {
      const path = join(folder, "written");
      const [writer, other] = [remote(Writer).remote(), remote(Worker).remote()];
      await ray.get([writer.begin.remote(path), other.quick.remote()]);
      await Promise.all([ray.kill(writer), ray.kill(writer)]);
      const { size } = statSync(path);
      for (let round = 0; round < 20; round++) await ray.get(other.quick.remote());
      assert.equal(statSync(path).size, size);
      await ray.kill(writer);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("kill() with noRestart: false uses up a restart", async () => {
    const worker = remote(Worker, { maxRestarts: 1 }).remote();
    const first = await ray.get(worker.identity.remote());
    assert.equal(await ray.get(worker.wasRestarted.remote()), false);
    await ray.kill(worker, { noRestart: false });
    await eventually("a call to arrive at the new worker", async () => {
      try { return (await ray.get(worker.identity.remote())) !== first; } catch { return false; }
    });
    assert.equal(await ray.get(worker.wasRestarted.remote()), true);
    await ray.kill(worker, { noRestart: false });
    await eventually("the end", async () => {
      try { await ray.get(worker.quick.remote()); return false; } catch { return true; }
    });
    await assert.rejects(ray.get(worker.quick.remote()), isDead());
  });

  it("kill() of an actor that waits for resources ends it too", async () => {
    const holder = remote(Worker, { numCpus: 2 }).remote();
    await ray.get(holder.ready());
    const waiting = remote(Worker, { numCpus: 1 }).remote();
    const call = waiting.quick.remote();
    await ray.kill(waiting);
    await assert.rejects(ray.get(call), isDead());
    await assert.rejects(ray.get(waiting.ready()), isDead());
    await ray.kill(holder);
    await everythingFree();
  });

  for (const method of ["leave", "leaveLater"] as const) {
    it(`exitActor() ends it after this call (${method}), without a restart`, async () => {
      const worker = remote(Worker, { maxRestarts: 5, maxConcurrency: 1 }).remote();
      assert.equal(await ray.get(worker.quick.remote()), 1);
      const leaving = worker[method].remote();
      const behind = worker.quick.remote();
      await assert.rejects(ray.get(leaving), isDead(/exitActor\(\)/));
      await assert.rejects(ray.get(behind), isDead());
      await assert.rejects(ray.get(worker.quick.remote()), isDead(/exitActor\(\)/));
    });
  }

  it("terminate() ends it after the calls that were made before", async () => {
    const worker = OneByOne.remote();
    const calls = Array.from({ length: 500 }, () => worker.quick.remote());
    const end = worker.terminate();
    const later = worker.quick.remote();
    assert.deepEqual(await ray.get(calls), calls.map((_, index) => index + 1));
    assert.equal(await ray.get(end), undefined);
    await assert.rejects(ray.get(later), isDead(/terminate\(\)/));
    await assert.rejects(ray.get(worker.quick.remote()), isDead(/terminate\(\)/));
  });

  it("terminate() waits for asynchronous calls that are running", async () => {
    const gate = remote(Gate).remote();
    const worker = Workers.remote();
    const running = worker.waitAt.remote(gate);
    await ray.get(gate.reached.remote(1));
    const end = worker.terminate();
    await ray.get(gate.unlock.remote());
    assert.equal(await ray.get(running), "passed");
    assert.equal(await ray.get(end), undefined);
  });

  it("process.exit() in a method is its end, and says so", async () => {
    const worker = OneByOne.remote();
    const [exiting, waiting] = [worker.exit.remote(3), worker.quick.remote()];
    await assert.rejects(ray.get(exiting), isDead(/process\.exit\(3\)/));
    await assert.rejects(ray.get(waiting), isDead());
    await assert.rejects(ray.get(worker.quick.remote()), isDead(/process\.exit\(3\)/));
  });

  it("an uncaught exception is its end, and says so", async () => {
    const worker = Workers.remote();
    await assert.rejects(ray.get(worker.throwLater.remote()), isDead(/nobody catches this/));
  });

  if (isolation === "process") {
    it("SIGKILL is its end, and says so", async () => {
      const worker = Workers.remote();
      await assert.rejects(ray.get(worker.killed.remote()), isDead(/SIGKILL/));
      await assert.rejects(ray.get(worker.quick.remote()), isDead(/SIGKILL/));
    });
  }

  it("goes on in the pool: the rest of the runtime is not touched", { skip: isolation === "shared" ? "the bystander shares the worker" : false }, async () => {
    const worker = Workers.remote();
    const bystander = Workers.remote();
    await ray.get(bystander.quick.remote());
    const add = remote((a: number, b: number) => a + b);
    const tasks = Array.from({ length: 100 }, (_, index) => add.remote(index, 1));
    await assert.rejects(ray.get(worker.exit.remote(1)), isDead());
    assert.deepEqual(await ray.get(tasks), tasks.map((_, index) => index + 1));
    assert.equal(await ray.get(bystander.quick.remote()), 2);
  });

  it("restarts as often as maxRestarts says, with its constructor, its arguments, its name and its resources", async () => {
    const name = `phoenix-${++unique}`;
    class Phoenix {
      readonly start: number;
      lives = 0;
      constructor(start: number, box: { ref: ray.ObjectRef<number> }) { this.start = start; void box; }
      live(): [number, number] { return [this.start, ++this.lives]; }
      burn(): void { process.exit(1); }
    }
    const phoenix = remote(Phoenix, { name, maxRestarts: 2, numCpus: 1 }).remote(7, { ref: ray.put(1) });
    for (let life = 0; life <= 2; life++) {
      // Calls made while there is no worker wait for the new one.
      assert.deepEqual(await ray.get([phoenix.live.remote(), phoenix.live.remote()]), [[7, 1], [7, 2]]);
      await eventually("the other processor to be free, and only that", async () => (await ray.availableResources())["CPU"] === 1);
      const found = await ray.getActor<Phoenix>(name);
      assert.equal(found.actorId, phoenix.actorId);
      found.release();
      await assert.rejects(ray.get(phoenix.burn.remote()), life < 2 ? isUnavailable(/process\.exit\(1\)/) : isDead(/process\.exit\(1\)/));
    }
    await assert.rejects(ray.get(phoenix.live.remote()), isDead());
    await assert.rejects(ray.getActor(name), ray.ActorNotFoundError);
    await everythingFree();
  });

  it("comes with its owner's end: actors of an actor that was killed", async () => {
    const name = `orphan-${++unique}`;
    class Parent {
      child: ray.ActorHandle<Worker> | null = null;
      async makeChild(childName: string): Promise<ray.ActorHandle<Worker>> {
        this.child = remote(Worker, { name: childName }).remote();
        await ray.get(this.child.ready());
        return this.child;
      }
    }
    const parent = remote(Parent).remote();
    const child = (await ray.get(parent.makeChild.remote(name))) as unknown as ray.ActorHandle<Worker>;
    assert.equal(await ray.get(child.quick.remote()), 1);
    await ray.kill(parent);
    await eventually("the child's name to be free", async () => !(await ray.listNamedActors()).some((actor) => actor.name === name));
    await assert.rejects(ray.get(child.quick.remote()), isDead(/owner/));
  });

  it("does not come with its owner's end when it is detached", async () => {
    const name = `detached-${++unique}`;
    class Parent {
      async makeChild(childName: string): Promise<void> { await ray.get(remote(Worker, { name: childName, lifetime: "detached" }).remote().ready()); }
    }
    const parent = remote(Parent).remote();
    await ray.get(parent.makeChild.remote(name));
    await ray.kill(parent);
    const child = await ray.getActor<Worker>(name);
    assert.equal(await ray.get(child.quick.remote()), 1);
    await ray.kill(child);
  });
});

for (const isolation of ISOLATIONS_ALONE) {
  it(`actors that run out of memory die with what is known, and others go on (${isolation})`, async () => {
    const { exitCode, stdout, stderr } = await runProgram({
      files: {
        "program.mjs": `
          import * as ray from "mantaray";
          class Hog {
            calls = 0;
            quick() { return ++this.calls; }
            fill() { const kept = []; for (;;) kept.push(Array.from({ length: 10_000 }, (_, index) => index + kept.length + 0.5)); }
          }
          await ray.init({ numCpus: 2, isolation: "${isolation}" });
          const [hog, bystander] = [ray.remote(Hog).remote(), ray.remote(Hog).remote()];
          await ray.get(bystander.quick.remote());
          const error = await ray.get(hog.fill.remote()).then(() => null, (thrown) => thrown);
          console.log(error instanceof ray.ActorDiedError, /heap memory/.test(error.message), await ray.get(bystander.quick.remote()));
        `,
      },
      environment: { NODE_OPTIONS: "--max-old-space-size=64" },
    });
    assert.equal(stdout.trim().split("\n").at(-1), "true true 2", `${stdout}\n${stderr}`);
    assert.equal(exitCode, 0);
  });
}
