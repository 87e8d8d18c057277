import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { underBothIsolations } from "./both-isolations.ts";

/** Travels with what calls it. */
function nodeId(): string { return ray.getRuntimeContext().nodeId; }
class Place {
  nodeId(): string { return ray.getRuntimeContext().nodeId; }
}

type Where = Pick<ray.TaskOptions, "labelSelector" | "schedulingStrategy">;
const affinity = (id: string, soft: boolean): Where => ({ schedulingStrategy: { type: "nodeAffinity", nodeId: id, soft } });
const NOWHERE = "0123456789abcdef";

underBothIsolations("labels and strategies", { labels: { zone: "a", disk: "fast" } }, () => {
  const here = (): string => ray.getRuntimeContext().nodeId;
  const matching = (): Where[] => [
    { labelSelector: { zone: "a" } }, { labelSelector: { zone: "in(a,b)", disk: "!slow", rack: "!*" } }, { labelSelector: { disk: "*", zone: "!in(b,c)" } },
    { labelSelector: { "mantaray.io/node-id": here() } }, { labelSelector: {} },
    { schedulingStrategy: "DEFAULT" }, { schedulingStrategy: "SPREAD" }, { schedulingStrategy: "SPREAD", labelSelector: { zone: "a" } },
    affinity(here(), false), affinity(here(), true), affinity(NOWHERE, true), { ...affinity(here(), false), labelSelector: { zone: "a" } },
    { schedulingStrategy: { type: "nodeLabel", hard: { zone: "a" }, soft: { disk: "slow" } } }, { schedulingStrategy: { type: "nodeLabel", soft: { zone: "b" } } },
  ];
  const unmet: [Where, RegExp][] = [
    [{ labelSelector: { zone: "b" } }, /needs a node with the labels \{ zone: "b" \}, but in the cluster 'zone' is a; change its labelSelector/],
    [{ labelSelector: { zone: "a", rack: "7" } }, /\{ rack: "7" \}, but in the cluster no node has a label 'rack'/],
    [{ labelSelector: { zone: "!a" } }, /\{ zone: "!a" \}/],
    [{ schedulingStrategy: "SPREAD", labelSelector: { zone: "b" } }, /\{ zone: "b" \}/],
    [{ schedulingStrategy: { type: "nodeLabel", hard: { disk: "slow" } } }, /\{ disk: "slow" \}, but in the cluster 'disk' is fast/],
    [affinity(NOWHERE, false), /needs node 0123456789abcdef, but the cluster has no such node/],
    [{ ...affinity(NOWHERE, true), labelSelector: { zone: "b" } }, /\{ zone: "b" \}/],
  ];

  it("that this node meets let tasks run here", async () => {
    const task = ray.remote(nodeId);
    const seen = await ray.get(matching().map((where) => task.options(where).remote()));
    assert.deepEqual(seen, matching().map(() => here()));
  });

  it("that no node meets fail a task at once, with what is missing", async () => {
    for (const [where, reason] of unmet) {
      await assert.rejects(ray.get(ray.remote(nodeId, where).remote()), (error: unknown) => error instanceof ray.TaskUnschedulableError && reason.test(error.message), String(reason));
    }
  });

  it("place actors, shared ones too", async () => {
    for (const isolation of [undefined, "shared"] as const) {
      const place = ray.remote(Place, isolation === undefined ? {} : { isolation });
      for (const where of matching()) {
        const actor = place.options(where).remote();
        assert.equal(await ray.get(actor.nodeId.remote()), here());
        await ray.kill(actor);
      }
    }
  });

  it("that no node meets fail an actor and its calls", async () => {
    for (const isolation of [undefined, "shared"] as const) {
      for (const [where, reason] of unmet) {
        const actor = ray.remote(Place, { ...where, ...(isolation === undefined ? {} : { isolation }) }).remote();
        const isRefusal = (error: unknown): boolean => error instanceof ray.ActorUnschedulableError && reason.test(error.message);
        await assert.rejects(ray.get(actor.ready()), isRefusal, String(reason));
        await assert.rejects(ray.get(actor.nodeId.remote()), isRefusal);
      }
    }
  });

  it("say what of the resources is missing on the nodes that may be", async () => {
    await assert.rejects(ray.get(ray.remote(nodeId, { numCpus: 99, labelSelector: { zone: "a" } }).remote()), /TaskUnschedulableError.*99 CPU, but the cluster has 2/s);
    await assert.rejects(ray.get(ray.remote(nodeId, { numCpus: 99, ...affinity(here(), false) }).remote()), new RegExp(`99 CPU, but node ${here()} has 2`));
  });

  it("are options like others: later ones win, and they travel with a function that is passed on", async () => {
    const elsewhere = ray.remote(nodeId, { labelSelector: { zone: "b" } });
    assert.equal(await ray.get(elsewhere.options({ labelSelector: { zone: "a" } }).remote()), here());
    const call = ray.remote(async (task: typeof elsewhere) => ray.get(task.remote()).catch((error: Error) => error.name));
    assert.equal(await ray.get(call.remote(elsewhere)), "TaskUnschedulableError");
    assert.equal(await ray.get(call.remote(elsewhere.options({ labelSelector: {} }))), here());
  });

  it("hold also for tasks that wait for a processor", async () => {
    const slow = ray.remote(async () => { await new Promise((resolve) => setTimeout(resolve, 20)); return ray.getRuntimeContext().nodeLabels["zone"]; }, { labelSelector: { zone: "a" } });
    assert.deepEqual(await ray.get(Array.from({ length: 10 }, () => slow.remote())), Array.from({ length: 10 }, () => "a"));
  });

  it("are shown by nodes() and the runtime context", async () => {
    const labels = { "mantaray.io/node-id": here(), zone: "a", disk: "fast" };
    assert.deepEqual((await ray.nodes()).map((node) => node.labels), [labels]);
    assert.deepEqual(ray.getRuntimeContext().nodeLabels, labels);
    assert.deepEqual(await ray.get(ray.remote(() => ray.getRuntimeContext().nodeLabels).remote()), labels);
  });

  it("that are wrong are refused where they are given", () => {
    const isRefused = (text: RegExp) => (error: unknown): boolean => error instanceof ray.InvalidArgumentError && text.test(error.message);
    assert.throws(() => ray.remote(nodeId, { labelSelector: { zone: "in(a" } }), isRefused(/'labelSelector' of task nodeId\(\), label 'zone': "in\(a" is not understood/));
    assert.throws(() => ray.remote(nodeId).options({ schedulingStrategy: { type: "nodeAffinity", nodeId: here() } as unknown as ray.SchedulingStrategy }), isRefused(/needs 'nodeId'.*and 'soft'/));
    assert.throws(() => ray.remote(Place, { schedulingStrategy: "NEAR" as "SPREAD" }), isRefused(/'schedulingStrategy' of actor class Place must be one of/));
  });
});
