import assert from "node:assert/strict";
import { it } from "node:test";
import { isDeepStrictEqual } from "node:util";
import * as ray from "mantaray";
import { eventually, freeBecomes, NODES, underBothIsolations } from "./both-isolations.ts";
import { runProgram } from "./child-program.ts";
import { endPrograms, startProgram } from "./running-program.ts";

const inGroup = (placementGroup: ray.PlacementGroup | null, more: { bundleIndex?: number; captureChildTasks?: boolean } = {}) => ({ schedulingStrategy: { type: "placementGroup" as const, placementGroup, ...more } });
/** At once; where there are several nodes, the others say a moment later what they have free. */
async function assertFree(wanted: Readonly<Record<string, number>>): Promise<void> {
  const free = async (): Promise<unknown[]> => {
    const available = await ray.availableResources();
    return Object.keys(wanted).map((name) => available[name]);
  };
  if (NODES > 0) await eventually(`${JSON.stringify(wanted)} to be free`, async () => isDeepStrictEqual(await free(), Object.values(wanted)));
  assert.deepEqual(await free(), Object.values(wanted));
}
const codeOf = async (promise: Promise<unknown>): Promise<unknown> => promise.then(() => "no error", (error: { code?: unknown }) => error.code);
const REMOVED = "ERR_MANTARAY_PLACEMENT_GROUP_REMOVED";

underBothIsolations("placement groups", { numCpus: 4, numGpus: 0, resources: { licence: 2 }, isOnOneOfThem: true }, (isolation) => {
  const where = ray.remote(function where() { return ray.getRuntimeContext().placementGroupId; });

  it("reserve their bundles until they are removed, and ready() has the group", async () => {
    const group = ray.placementGroup([{ CPU: 1, licence: 1 }, { CPU: 2 }], { strategy: "PACK" });
    const there = await ray.get(group.ready());
    assert.equal(there.id, group.id);
    assert.deepEqual(there.bundles, [{ CPU: 1, licence: 1 }, { CPU: 2 }]);
    assert.equal(await group.wait(), true);
    await assertFree({ CPU: 1, licence: 1 });
    assert.deepEqual(Object.keys(await ray.clusterResources()).filter((name) => name.includes("group")), []);
    await ray.removePlacementGroup(group);
    await assertFree({ CPU: 4, licence: 2 });
    await ray.removePlacementGroup(group);
  });

  it("give their resources to tasks and actors in them, bundle by bundle", async () => {
    const group = ray.placementGroup([{ CPU: 1, licence: 1 }, { CPU: 2 }]);
    assert.equal(await ray.get(where.options({ ...inGroup(group, { bundleIndex: 0 }), resources: { licence: 1 } }).remote()), group.id);
    assert.equal(await ray.get(where.options({ ...inGroup(group), numCpus: 2 }).remote()), group.id);
    assert.equal(await ray.get(where.options({ ...inGroup(group), numCpus: 0 }).remote()), group.id);
    assert.equal(await ray.get(where.remote()), undefined);
    const Holder = ray.remote(class Holder {
      context() { return [ray.getRuntimeContext().placementGroupId, ray.getRuntimeContext().assignedResources] as const; }
    }, { numCpus: 2 });
    const holder = Holder.options(inGroup(group, { bundleIndex: 1 })).remote();
    assert.deepEqual(await ray.get(holder.context.remote()), [group.id, { CPU: 2 }]);
    // The actor has all of its bundle, so the next one waits for it.
    const next = Holder.options(inGroup(group, { bundleIndex: 1 })).remote();
    const [ready] = await ray.wait([next.ready()], { timeoutMs: 50 });
    assert.equal(ready.length, 0);
    await ray.kill(holder);
    assert.deepEqual(await ray.get(next.context.remote()), [group.id, { CPU: 2 }]);
    await ray.removePlacementGroup(group);
    // The lease of the task outside of it may still be idle.
    await freeBecomes({ CPU: 4 });
  });

  it("run no more at once than a bundle has, also when tasks wait for others", async () => {
    const group = ray.placementGroup([{ CPU: 1 }]);
    const inner = ray.remote(function inner(value: number) { return value + 1; }, inGroup(group));
    const outer = ray.remote(async function outer(value: number) { return ray.get(inner.remote(value)); }, inGroup(group));
    const values = await ray.get(Array.from({ length: 10 }, (_, value) => outer.remote(value)));
    assert.deepEqual(values, Array.from({ length: 10 }, (_, value) => value + 1));
    await ray.removePlacementGroup(group);
  });

  it("are there before tasks that were submitted for them run, and wait for room", async () => {
    const blocker = ray.placementGroup([{ CPU: 3 }]);
    await blocker.wait();
    const group = ray.placementGroup([{ CPU: 1 }, { CPU: 2 }]);
    const ref = where.options(inGroup(group)).remote();
    const actor = ray.remote(class Waiter { here() { return ray.getRuntimeContext().placementGroupId; } }).options(inGroup(group)).remote();
    assert.equal(await group.wait(20), false);
    assert.equal((await ray.placementGroupTable(group)).state, "PENDING");
    // Smaller ones behind it are not held up.
    const small = ray.placementGroup([{ CPU: 1 }]);
    assert.equal(await small.wait(), true);
    await ray.removePlacementGroup(small);
    await ray.removePlacementGroup(blocker);
    assert.equal(await ray.get(ref), group.id);
    assert.equal(await ray.get(actor.here.remote()), group.id);
    await ray.removePlacementGroup(group);
  });

  it("get what running tasks give back, though there are always more tasks", async () => {
    const spin = ray.remote(function spin() { for (const end = Date.now() + 2; Date.now() < end; ) continue; });
    const over = new AbortController();
    const flood = (async () => { while (!over.signal.aborted) await ray.get(Array.from({ length: 64 }, () => spin.remote())); })();
    const group = ray.placementGroup([{ CPU: 1 }]);
    assert.equal(await group.wait(), true);
    over.abort();
    await flood;
    await ray.removePlacementGroup(group);
  });

  it("are removed for who removes them from then on, though who runs in them takes a while to end", async () => {
    const group = ray.placementGroup([{ CPU: 1 }]);
    const inGroup = { schedulingStrategy: { type: "placementGroup" as const, placementGroup: group } };
    const endless = ray.remote(() => new Promise(() => {})).options({ ...inGroup, maxRetries: 0 }).remote();
    assert.equal(await group.wait(), true);
    const waiting = ray.placementGroup([{ CPU: 1_000_000 }]);
    const refused = assert.rejects(waiting.wait(), ray.PlacementGroupRemovedError);
    const removals = [ray.removePlacementGroup(group), ray.removePlacementGroup(waiting)];
    await refused;
    await assert.rejects(group.wait(), ray.PlacementGroupRemovedError);
    await assert.rejects(ray.get(endless), ray.PlacementGroupRemovedError);
    await Promise.all(removals);
  });

  it("capture what their tasks and actors submit, if that is asked for", async () => {
    const group = ray.placementGroup([{ CPU: 2 }]);
    const family: ray.RemoteFunction<[number], Promise<(string | undefined)[]>> = ray.remote(async function member(depth: number): Promise<(string | undefined)[]> {
      const child = depth === 0 ? [] : await ray.get(family.remote(depth - 1));
      return [ray.getRuntimeContext().placementGroupId, await ray.get(where.options({ schedulingStrategy: { type: "placementGroup", placementGroup: null } }).remote()), ...child];
    });
    const captured = await ray.get(family.options(inGroup(group, { captureChildTasks: true })).remote(1));
    assert.deepEqual(captured, [group.id, undefined, group.id, undefined]);
    assert.deepEqual(await ray.get(family.options(inGroup(group)).remote(1)), [group.id, undefined, undefined, undefined]);
    const Parent = ray.remote(class Parent {
      async child() { return ray.get(where.remote()); }
      async actor() {
        const child = ray.remote(class Child { here() { return ray.getRuntimeContext().placementGroupId; } }).remote();
        return ray.get(child.here.remote());
      }
    });
    const parent = Parent.options(inGroup(group, { captureChildTasks: true })).remote();
    assert.deepEqual(await ray.get([parent.child.remote(), parent.actor.remote()]), [group.id, group.id]);
    await ray.removePlacementGroup(group);
  });

  it("end what runs in them and what waits for them, with a typed error", async () => {
    const group = ray.placementGroup([{ CPU: 1 }, { CPU: 1 }]);
    const signal = ray.remote(class Signal { #sent = false; send() { this.#sent = true; } sent() { return this.#sent; } }).remote();
    const forever = ray.remote(async function forever(started: ray.ActorHandle<{ send(): void }>) { void started.send.remote(); await new Promise(() => setInterval(() => undefined, 1_000)); }, { maxRetries: -1 });
    // It never waits for an object, which would give its processor back.
    const running = forever.options(inGroup(group, { bundleIndex: 0 })).remote(signal);
    await eventually("the task to run", () => ray.get(signal.sent.remote()));
    const queued = where.options(inGroup(group, { bundleIndex: 0 })).remote();
    const actor = ray.remote(class Lives { here() { return ray.getRuntimeContext().placementGroupId; } }, { numCpus: 1, maxRestarts: -1 }).options(inGroup(group, { bundleIndex: 1 })).remote();
    assert.equal(await ray.get(actor.here.remote()), group.id);
    const waiting = ray.remote(class Waits { here() { return 1; } }, { numCpus: 1 }).options(inGroup(group, { bundleIndex: 1 })).remote();
    const call = waiting.here.remote();
    await ray.removePlacementGroup(group);
    await freeBecomes({ CPU: 4 });
    assert.equal(await codeOf(ray.get(running)), REMOVED);
    assert.equal(await codeOf(ray.get(queued)), REMOVED);
    assert.equal(await codeOf(ray.get(actor.here.remote())), REMOVED);
    assert.equal(await codeOf(ray.get(call)), REMOVED);
    assert.equal(await codeOf(ray.get(where.options(inGroup(group)).remote())), REMOVED);
    assert.equal(await codeOf(ray.get(group.ready())), REMOVED);
    assert.equal(await codeOf(group.wait()), REMOVED);
    assert.equal((await ray.placementGroupTable(group)).state, "REMOVED");
    await ray.kill(signal);
  });

  it("leave workers alone that only had an idle lease in them", async () => {
    const group = ray.placementGroup([{ CPU: 1 }]);
    const make = ray.remote(function make() { return { kept: ray.put(new Array(10).fill("kept")) }; });
    const { kept } = await ray.get(make.options(inGroup(group)).remote());
    await ray.removePlacementGroup(group);
    assert.equal((await ray.get(kept)).length, 10);
  });

  it("can be passed on, and found by their names", async () => {
    const group = ray.placementGroup([{ CPU: 1 }], { name: "named" });
    const use = ray.remote(async function use({ group: given }: { group: ray.PlacementGroup }) {
      const found = await ray.getPlacementGroup("named");
      const there = await ray.get(given.ready());
      return [found.id, there.id, await given.wait(), await ray.get(where.options({ schedulingStrategy: { type: "placementGroup", placementGroup: given } }).remote())];
    });
    assert.deepEqual(await ray.get(use.remote({ group })), [group.id, group.id, true, group.id]);
    const bound = where.options(inGroup(group));
    const call = ray.remote(async function call(fn: typeof bound) { return ray.get(fn.remote()); });
    assert.equal(await ray.get(call.remote(bound)), group.id);
    const second = ray.placementGroup([{ CPU: 1 }], { name: "named" });
    assert.equal(await codeOf(ray.get(second.ready())), "ERR_MANTARAY_PLACEMENT_GROUP_ALREADY_EXISTS");
    await ray.removePlacementGroup(group);
    assert.equal(await codeOf(ray.getPlacementGroup("named")), "ERR_MANTARAY_PLACEMENT_GROUP_NOT_FOUND");
  });

  it("end with the actor that made them, unless they are detached", async () => {
    const Maker = ray.remote(class Maker {
      async make() {
        const [own, detached] = [ray.placementGroup([{ CPU: 1 }]), ray.placementGroup([{ CPU: 1 }], { lifetime: "detached", name: "stays" })];
        await ray.get([own.ready(), detached.ready()]);
        return own;
      }
    });
    const maker = Maker.remote();
    const own = await ray.get(maker.make.remote());
    await ray.kill(maker);
    await eventually("the group to be removed", async () => (await ray.placementGroupTable(own)).state === "REMOVED");
    const detached = await ray.getPlacementGroup("stays");
    assert.equal(await detached.wait(), true);
    await ray.removePlacementGroup(detached);
  });

  it("end with the program that made them, unless they are detached", async () => {
    const [node] = await ray.nodes();
    const program = startProgram(`
      await ray.init({ address: ${JSON.stringify(node?.address)}, namespace: ${JSON.stringify(ray.getRuntimeContext().namespace)} });
      const own = ray.placementGroup([{ CPU: 1 }], { name: "own" });
      const inTask = ray.remote(async function make() { return (await ray.get(ray.placementGroup([{ CPU: 1 }], { name: "of a task" }).ready())).id; });
      await inTask.remote().get();
      await ray.get([own.ready(), ray.placementGroup([{ CPU: 1 }], { name: "detached", lifetime: "detached" }).ready()]);
      say("made");
      await new Promise(() => setInterval(() => undefined, 1_000));
    `);
    assert.equal(await program.said(), "made");
    const states = async (): Promise<string[]> => {
      const rows = Object.values(await ray.placementGroupTable());
      return ["own", "of a task", "detached"].map((name) => rows.find((row) => row.name === name)?.state ?? "gone");
    };
    assert.deepEqual(await states(), ["CREATED", "CREATED", "CREATED"]);
    await endPrograms();
    await eventually("the groups of the program to be removed", async () => (await states()).join() === "REMOVED,REMOVED,CREATED");
    await ray.removePlacementGroup(await ray.getPlacementGroup("detached"));
  });

  it("are made of what makes sense, and refuse the rest at the call", async () => {
    const refused = (bundles: unknown, options: unknown, message: RegExp): void => assert.throws(() => ray.placementGroup(bundles as Record<string, number>[], options as object), { code: "ERR_MANTARAY_INVALID_ARGUMENT", message });
    refused([], {}, /at least one, but got an empty list/);
    refused([{}], {}, /bundle 0 of placementGroup\(\) is empty/);
    refused([{ CPU: 1 }, { CPU: 0 }], {}, /bundle 1 of placementGroup\(\) is empty/);
    refused([{ CPU: -1 }], {}, /'CPU' in bundle 0 of placementGroup\(\) must be a number, 0 or more/);
    refused([{ numCpus: 1 }], {}, /write \{ CPU: … \}/);
    refused([{ CPU: 1 }], { strategy: "PACKED" }, /must be one of "PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"/);
    refused([{ CPU: 1 }], { lifetime: "forever" }, /detached/);
    refused({ CPU: 1 }, {}, /a list of bundles/);
    const group = ray.placementGroup([{ CPU: 1 }, { CPU: 2 }]);
    assert.throws(() => where.options(inGroup(group, { bundleIndex: 2 })).remote(), { code: "ERR_MANTARAY_INVALID_ARGUMENT", message: /'bundleIndex' .* is 2, but the placement group has 2 bundles, 0 to 1/ });
    assert.throws(() => where.options({ ...inGroup(group, { bundleIndex: 0 }), numCpus: 2 }).remote(), { message: /needs \{"CPU":2\}, but bundle 0 of its placement group has \{"CPU":1\}/ });
    assert.throws(() => where.options({ ...inGroup(group), numCpus: 3 }).remote(), { message: /no bundle of its placement group has so much/ });
    assert.throws(() => where.options(inGroup({ id: "x" } as ray.PlacementGroup)), { message: /must be a placement group/ });
    assert.throws(() => ray.remote(class Light {}, { isolation: "shared", ...inGroup(group) }), { message: /isolation 'shared' and a placement group/ });
    assert.throws(() => where.options({ resources: { CPU_group_x: 1 } }), { message: /cannot be the name of a resource/ });
    // What a captured task asks for is known only there.
    const tooMuch = ray.remote(async function tooMuch() { return ray.get(where.options({ numCpus: 3 }).remote()).catch((error: { code: string }) => error.code); });
    assert.equal(await ray.get(tooMuch.options(inGroup(group, { captureChildTasks: true })).remote()), "ERR_MANTARAY_TASK_UNSCHEDULABLE");
    await ray.removePlacementGroup(group);
  });

  it("that never have room are said to be so, in the table and in a warning", async () => {
    const group = ray.placementGroup([{ CPU: 1 }, { CPU: 8 }], { name: "large" });
    const spread = ray.placementGroup([{ CPU: 1 }, { CPU: 1 }], { strategy: "STRICT_SPREAD" });
    assert.equal(await group.wait(0), false);
    assert.match((await ray.placementGroupTable(group)).reason ?? "", /bundle 1 needs 8 CPU, but (the cluster|no node) has (more than )?4/);
    if (NODES === 0) assert.match((await ray.placementGroupTable())[spread.id]?.reason ?? "", /2 bundles for as many nodes \(STRICT_SPREAD\), but the cluster has one node/);
    await Promise.all([ray.removePlacementGroup(group), ray.removePlacementGroup(spread)]);
    const { stdout, exitCode, stderr } = await runProgram({ files: { "main.mjs": `
      import * as ray from "mantaray";
      await ray.init({ numCpus: 2, isolation: "${isolation}" });
      const warnings = [];
      const warned = new Promise((resolve) => process.on("warning", ({ message }) => { if (warnings.push(message) === 2) resolve(); }));
      const large = Array.from({ length: 100 }, (_, index) => ray.placementGroup([{ CPU: 3 }], index === 0 ? { name: "large" } : {}));
      ray.placementGroup([{ CPU: 4 }]);
      await Promise.race([warned, large[0].wait()]);
      console.log(warnings.sort().join("\\n"));
      await ray.shutdown();
    ` } });
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, /^placement group 'large' \([0-9a-f]{32}\), PACK, has no place: its bundle needs 3 CPU, but the cluster has 2; .* \(and 99 more wait for the same\)\nplacement group \w+, PACK, has no place: its bundle needs 4 CPU, but the cluster has 2; it waits [^()]*\n$/);
  });
});
