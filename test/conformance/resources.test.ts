import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as ray from "mantaray";
import { eventually, everythingFree, freeBecomes, ISOLATIONS, onlyOnOneNode, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";

/** Calls of `wait` stay until somebody calls `open`. */
class Gate {
  readonly #opened: Promise<void>;
  #open!: () => void;
  #entered = 0;
  constructor() { this.#opened = new Promise((resolve) => { this.#open = resolve; }); }
  open(): void { this.#open(); }
  async wait(): Promise<void> { this.#entered++; await this.#opened; }
  async entered(): Promise<number> { return this.#entered; }
}

interface Seen { readonly ids: string[]; readonly variable: string | undefined; readonly assigned: Record<string, number> }

underBothIsolations("accelerators", { numCpus: 4, numGpus: 2, resources: { licence: 2 } }, () => {
  const look = (): Seen => {
    const { acceleratorIds, assignedResources } = ray.getRuntimeContext();
    return { ids: acceleratorIds["GPU"] as string[], variable: process.env["CUDA_VISIBLE_DEVICES"], assigned: assignedResources };
  };

  it("are those of the tasks that asked for them, one each", async () => {
    const gate = ray.remote(Gate).remote();
    const use = ray.remote(async function use(handle: typeof gate) { await ray.get(handle.wait.remote()); return look(); }, { numGpus: 1 });
    const held = [use.remote(gate), use.remote(gate)];
    await eventually("both to run", async () => (await ray.get(gate.entered.remote())) === 2);
    const third = use.remote(gate);
    await freeBecomes({ GPU: 0, CPU: 4 }); // A waiting task keeps its accelerator and gives back its processor.
    assert.equal(await ray.get(gate.entered.remote()), 2);
    await ray.get(gate.open.remote());
    const seen = await ray.get(held);
    assert.deepEqual(seen.map(({ ids }) => ids).sort(), [["0"], ["1"]]);
    for (const { ids, variable, assigned } of seen) assert.deepEqual([variable, assigned], [ids.join(","), { CPU: 1, GPU: 1 }]);
    assert.equal((await ray.get(third)).ids.length, 1);
    gate.release();
  });

  it("may be several for one task, and none for others", async () => {
    assert.deepEqual(await ray.get(ray.remote(look, { numGpus: 2 }).remote()), { ids: ["0", "1"], variable: "0,1", assigned: { CPU: 1, GPU: 2 } });
    const none = { ids: [], variable: process.env["CUDA_VISIBLE_DEVICES"], assigned: { CPU: 1 } };
    assert.deepEqual(await ray.get(Array.from({ length: 8 }, () => ray.remote(look).remote())), Array.from({ length: 8 }, () => none), "also on a worker that had some before");
    assert.deepEqual(ray.getRuntimeContext().acceleratorIds, { GPU: [] });
    assert.deepEqual(ray.getRuntimeContext().assignedResources, {});
  });

  it("are shared by those that ask for parts, and whole ones stay whole", async () => {
    class Model { look(): Seen { return look(); } }
    const halves = Array.from({ length: 2 }, () => ray.remote(Model, { numGpus: 0.5 }).remote());
    const whole = ray.remote(Model, { numGpus: 1 }).remote();
    const [first, second, third] = await ray.get([...halves, whole].map((actor) => actor.look.remote())) as [Seen, Seen, Seen];
    assert.deepEqual(first, second);
    assert.deepEqual([first.ids, first.variable, first.assigned], [[first.variable], first.ids[0], { GPU: 0.5 }]);
    assert.notDeepEqual(third.ids, first.ids);
    await freeBecomes({ GPU: 0 });
    for (const actor of [...halves, whole]) await ray.kill(actor);
    await everythingFree();
  });

  it("wait for a whole one although parts of several are free", async () => {
    class Model { ids(): string[] { return ray.getRuntimeContext().acceleratorIds["GPU"] as string[]; } }
    const [one, other] = [ray.remote(Model, { numGpus: 0.6 }).remote(), ray.remote(Model, { numGpus: 0.6 }).remote()];
    assert.deepEqual((await ray.get([one.ids.remote(), other.ids.remote()])).flat().sort(), ["0", "1"]);
    const whole = ray.remote(look, { numGpus: 0.8 }).remote();
    assert.deepEqual(await ray.wait([whole], { timeoutMs: 50 }), [[], [whole]]);
    await ray.kill(one);
    assert.equal((await ray.get(whole)).ids.length, 1);
    await ray.kill(other);
  });

  it("refuse what makes no sense", () => {
    for (const numGpus of [1.5, -1, 0.00001]) assert.throws(() => ray.remote(look, { numGpus }), (error: unknown) => error instanceof ray.InvalidArgumentError && /numGpus/.test(error.message));
  });
});

underBothIsolations("resources of one's own", { numCpus: 2, resources: { licence: 1, tape: 0.5 } }, () => {
  it("stay with a task that waits", async () => {
    const gate = ray.remote(Gate).remote();
    const hold = ray.remote(async function hold(handle: typeof gate) { await ray.get(handle.wait.remote()); return "held"; }, { resources: { licence: 1 } });
    const held = hold.remote(gate);
    await eventually("it to wait", async () => (await ray.get(gate.entered.remote())) === 1);
    const next = hold.remote(gate);
    await freeBecomes({ CPU: 2, licence: 0 });
    const others = Array.from({ length: 10 }, () => ray.remote(() => 1).remote());
    assert.equal((await ray.get(others)).length, 10);
    assert.deepEqual(await ray.wait([next], { timeoutMs: 50 }), [[], [next]]);
    assert.equal(await ray.get(gate.entered.remote()), 1);
    await ray.get(gate.open.remote());
    assert.deepEqual(await ray.get([held, next]), ["held", "held"]);
    gate.release();
  });

  it("limit many short tasks, which all run", async () => {
    const add = ray.remote((value: number) => value + 1, { numCpus: 0, resources: { tape: 0.25 } });
    const values = Array.from({ length: 2_000 }, (_, index) => index);
    assert.deepEqual(await ray.get(values.map((value) => add.remote(value))), values.map((value) => value + 1));
  });

  it("let a waiting task's own tasks use what is left, also of the same kind", async () => {
    const leaf = ray.remote(async () => ray.getRuntimeContext().assignedResources, { resources: { tape: 0.25 } });
    const root = ray.remote(async () => ray.get(Array.from({ length: 20 }, () => leaf.remote())), { resources: { tape: 0.25 } });
    const seen = await ray.get(root.remote());
    assert.deepEqual(seen, Array.from({ length: 20 }, () => ({ CPU: 1, tape: 0.25 })));
  });

  it("are held by an actor for as long as it lives", async () => {
    const holder = ray.remote(class Holder { look() { return ray.getRuntimeContext().assignedResources; } }, { resources: { licence: 1 }, numCpus: 0.5 }).remote();
    assert.deepEqual(await ray.get(holder.look.remote()), { CPU: 0.5, licence: 1 });
    await freeBecomes({ CPU: 1.5, licence: 0 });
    await ray.kill(holder);
    await everythingFree();
  });
});

describe("what a node has", { skip: onlyOnOneNode("it has runtimes of its own") }, () => {
  const printed = `
    const { CPU, GPU, memory, ...rest } = await ray.clusterResources();
    const { ids } = await ray.get(ray.remote(() => ({ ids: ray.getRuntimeContext().acceleratorIds.GPU }), { numGpus: GPU ?? 0 }).remote());
    console.log(JSON.stringify({ GPU, ids, rest, hasMemory: memory > 0 }));
    await ray.shutdown();
  `;
  const started = async (options: string, devices: string): Promise<unknown> => {
    const { stdout, stderr, exitCode } = await runProgram({ environment: { CUDA_VISIBLE_DEVICES: devices }, files: { "main.mjs": `import * as ray from "mantaray"; await ray.init(${options}); ${printed}` } });
    return exitCode === 0 ? JSON.parse(stdout) : stderr;
  };

  it("are the accelerators that CUDA_VISIBLE_DEVICES names, under their names", async () => {
    assert.deepEqual(await started("{}", "3,GPU-8f2"), { GPU: 2, ids: ["3", "GPU-8f2"], rest: {}, hasMemory: true });
    assert.deepEqual(await started("{ numGpus: 1, isolation: 'process' }", "3,5"), { GPU: 1, ids: ["3"], rest: {}, hasMemory: true });
    assert.deepEqual(await started("{ memory: 0, objectStoreMemory: 1e8 }", ""), { ids: [], rest: {}, hasMemory: false });
  });

  it("are no more of them than it names", async () => {
    assert.match(String(await started("{ numGpus: 3 }", "3,5")), /InvalidArgumentError.*'numGpus' of init\(\) is 3.*CUDA_VISIBLE_DEVICES.*2/s);
  });

  for (const isolation of ISOLATIONS) {
    it(`is told by nodes() (${isolation})`, async () => {
      const { hostname } = await import("node:os");
      const info = await ray.init({ numCpus: 1, numGpus: 1, memory: 5e8, resources: { licence: 1 }, labels: { zone: "here" }, isolation });
      const resources = { CPU: 1, GPU: 1, memory: 5e8, licence: 1 };
      assert.deepEqual(await ray.nodes(), [{ nodeId: info.nodeId, alive: true, draining: false, name: null, address: info.address, hostname: hostname(), resources, labels: { "mantaray.io/node-id": info.nodeId, zone: "here" } }]);
      assert.deepEqual(await ray.clusterResources(), resources);
      assert.deepEqual(await ray.availableResources(), resources);
      await ray.shutdown();
    });
  }
});
