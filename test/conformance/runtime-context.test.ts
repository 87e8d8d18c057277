import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { areThreadsHere, eventually, NODES, underBothIsolations } from "./both-isolations.ts";

/** Every field of the context that is plain data. */
type Seen = Omit<ray.RuntimeContext, "currentActor" | "signal"> & { readonly currentActorId: string | undefined; readonly isSignalAborted: boolean; readonly pid: number };

/** Travels with what calls it. */
function look(): Seen {
  const context = ray.getRuntimeContext();
  const { jobId, nodeId, workerId, taskId, taskName, actorId, actorName, namespace, placementGroupId, assignedResources, acceleratorIds, nodeLabels, runtimeEnv, address, wasCurrentActorRestarted } = context;
  let currentActorId: string | undefined;
  try { currentActorId = context.currentActor.actorId; } catch { /* There is none. */ }
  return { jobId, nodeId, workerId, taskId, taskName, actorId, actorName, namespace, placementGroupId, assignedResources, acceleratorIds, nodeLabels, runtimeEnv, address, wasCurrentActorRestarted, currentActorId, isSignalAborted: context.signal.aborted, pid: process.pid };
}

underBothIsolations("the runtime context", { namespace: "ours", labels: { zone: "here" }, resources: { seat: 2 } }, (isolation) => {
  /** What is the same everywhere, and what is nothing where no task and no actor runs. */
  const common = (): Partial<Seen> => {
    const { jobId, nodeId, address } = ray.getRuntimeContext();
    return {
      jobId, nodeId, address, namespace: "ours", nodeLabels: { "mantaray.io/node-id": nodeId, zone: "here" }, runtimeEnv: {}, acceleratorIds: { GPU: [] }, placementGroupId: undefined, wasCurrentActorRestarted: false, isSignalAborted: false,
      taskId: undefined, taskName: undefined, actorId: undefined, actorName: undefined, currentActorId: undefined, assignedResources: {},
    };
  };
  /** All but worker and process, which are checked apart, and which one of several nodes it is. */
  const place = ({ workerId, pid, ...rest }: Seen): Partial<Seen> => {
    if (NODES === 0) return rest;
    assert.deepEqual(rest.nodeLabels, { "mantaray.io/node-id": rest.nodeId, zone: "here" });
    assert.match(rest.address, /^(unix:.*\.sock|127\.0\.0\.1:\d+)$/);
    const own = common();
    return { ...rest, nodeId: own.nodeId, nodeLabels: own.nodeLabels, address: own.address } as Partial<Seen>;
  };

  it("of the driver is that of the program", () => {
    const seen = look();
    assert.deepEqual(place(seen), common());
    assert.match(seen.workerId, /^[0-9a-f]{20}$/);
    assert.equal(seen.pid, process.pid);
    assert.throws(() => ray.getRuntimeContext().currentActor, ray.InvalidArgumentError);
  });

  it("of a task is the task's, also after an await, and apart from others that run there", async () => {
    const plain = ray.remote(function plain() { return look(); }, { resources: { seat: 1 } });
    const waits = ray.remote(async function waits(turns: number) {
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
      return look();
    }, { numCpus: 0 });
    const ref = plain.remote();
    const seen = await ray.get(ref);
    assert.deepEqual(place(seen), { ...common(), taskId: ref.taskId(), taskName: "plain", assignedResources: { CPU: 1, seat: 1 } });
    assert.equal(seen.pid === process.pid, areThreadsHere(isolation));
    assert.notEqual(seen.workerId, ray.getRuntimeContext().workerId);
    const refs = [3, 1, 2].map((turns) => waits.options({ name: `waits ${turns}` }).remote(turns));
    const all = await ray.get(refs);
    for (const [index, one] of all.entries()) assert.deepEqual(place(one), { ...common(), taskId: refs[index]?.taskId(), taskName: `waits ${[3, 1, 2][index]}` });
  });

  it("of a nested task is its own, and the outer one's goes on afterwards", async () => {
    const inner = ray.remote(function inner() { return look(); }, { numCpus: 0.5 });
    const outer = ray.remote(async function outer() {
      const ref = inner.remote();
      const nested = await ray.get(ref);
      return { nested, nestedId: ref.taskId(), own: look() };
    });
    const ref = outer.remote();
    const { nested, nestedId, own } = await ray.get(ref);
    assert.deepEqual(place(nested), { ...common(), taskId: nestedId, taskName: "inner", assignedResources: { CPU: 0.5 } });
    assert.deepEqual(place(own), { ...common(), taskId: ref.taskId(), taskName: "outer", assignedResources: { CPU: 1 } });
  });

  it("of an actor is the actor's: in its constructor, its methods, and its restarts; a task that it starts has none of it", async () => {
    class Watcher {
      readonly born = look();
      birth(): Seen { return this.born; }
      now(): Seen { return look(); }
      async later(): Promise<Seen> { await new Promise((resolve) => setImmediate(resolve)); return look(); }
      async self(): Promise<string> { return (ray.getRuntimeContext().currentActor as unknown as ray.ActorHandle<Watcher>).actorId; }
      async nested(): Promise<Seen> { return ray.get(ray.remote(function nested() { return look(); }).remote()); }
    }
    const watcher = ray.remote(Watcher, { name: "watcher", resources: { seat: 0.5 }, maxRestarts: 1, maxTaskRetries: 1 }).remote();
    const ofActor = { ...common(), actorId: watcher.actorId, actorName: "watcher", currentActorId: watcher.actorId, assignedResources: { seat: 0.5 } };
    assert.deepEqual(place(await ray.get(watcher.birth.remote())), ofActor);
    for (const method of ["now", "later"] as const) {
      const ref = watcher[method].remote();
      assert.deepEqual(place(await ray.get(ref)), { ...ofActor, taskId: ref.taskId(), taskName: `Watcher.${method}` });
    }
    assert.equal(await ray.get(watcher.self.remote()), watcher.actorId);
    const nested = await ray.get(watcher.nested.remote());
    assert.deepEqual(place({ ...nested, taskId: undefined }), { ...common(), taskName: "nested", assignedResources: { CPU: 1 } });
    await ray.kill(watcher, { noRestart: false });
    // On another node it may answer for a moment longer.
    if (NODES > 0) await eventually("it to start again", async () => (await ray.get(watcher.now.remote())).wasCurrentActorRestarted);
    const again = await ray.get(watcher.now.remote());
    assert.equal(again.wasCurrentActorRestarted, true);
    assert.deepEqual([again.actorId, again.actorName, again.assignedResources], [watcher.actorId, "watcher", { seat: 0.5 }]);
    assert.equal((await ray.get(watcher.birth.remote())).wasCurrentActorRestarted, true);
    await ray.kill(watcher);
  });
});
