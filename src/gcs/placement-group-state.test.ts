import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { sequencedId, toAmounts } from "../base/mod.ts";
import type { PlacementGroupSpec } from "../protocol/mod.ts";
import type { BundleNode } from "../scheduling/mod.ts";
import { type PlacementGroupInstruction, PlacementGroupState } from "./placement-group-state.ts";

const CREATOR = "0123456789abcdef0123";
const idOf = (sequence: number): string => sequencedId(CREATOR, sequence);

function specOf(sequence: number, details: Partial<PlacementGroupSpec> = {}): PlacementGroupSpec {
  return { groupId: idOf(sequence), bundles: [toAmounts({ CPU: 1 })], strategy: "PACK", name: null, namespace: "n", jobId: "j", actorId: null, isDetached: false, ...details };
}
function node(key: string, cpus: number, freeCpus = cpus): BundleNode {
  return { key, totals: toAmounts({ CPU: cpus }), available: toAmounts({ CPU: freeCpus }), promised: null };
}
const types = (instructions: readonly PlacementGroupInstruction[]): string[] => instructions.map(({ type }) => type);
type Of<T extends PlacementGroupInstruction["type"]> = PlacementGroupInstruction & { readonly type: T };
function only<T extends PlacementGroupInstruction["type"]>(instructions: readonly PlacementGroupInstruction[], type: T): Of<T> {
  const found = instructions.filter((instruction): instruction is Of<T> => instruction.type === type);
  assert.equal(found.length, 1, JSON.stringify(instructions));
  return found[0] as Of<T>;
}

/** A group with two bundles, one on each of two nodes. */
function created(state: PlacementGroupState, details: Partial<PlacementGroupSpec> = {}): string {
  const spec = specOf(1, { bundles: [toAmounts({ CPU: 1 }), toAmounts({ CPU: 1 })], strategy: "STRICT_SPREAD", ...details });
  state.create(spec);
  state.place([node("a", 1), node("b", 1)]);
  for (const key of ["a", "b"]) state.prepared(key, spec.groupId, 1);
  for (const key of ["a", "b"]) state.committed(key, spec.groupId, 1);
  assert.equal(state.find(spec.groupId)?.phase, "CREATED");
  return spec.groupId;
}

describe("the life of a placement group", () => {
  test("(1) to (4): planned, set aside everywhere, committed everywhere, told to its maker", () => {
    const state = new PlacementGroupState();
    const groupId = idOf(1);
    assert.deepEqual(state.create(specOf(1, { bundles: [toAmounts({ CPU: 1 }), toAmounts({ CPU: 1 })], strategy: "STRICT_SPREAD" })), []);
    const prepares = state.place([node("a", 1), node("b", 1)]);
    assert.deepEqual(types(prepares), ["prepare", "prepare"]);
    assert.deepEqual(state.prepared("a", groupId, 1), []);
    assert.equal(state.find(groupId)?.phase, "PENDING");
    assert.deepEqual(types(state.prepared("b", groupId, 1)), ["commit", "commit"]);
    assert.equal(state.find(groupId)?.phase, "PREPARED");
    assert.deepEqual(state.committed("a", groupId, 1), []);
    const { watchers, record } = only(state.committed("b", groupId, 1), "publish");
    assert.deepEqual([watchers, record.phase, record.nodes], [[CREATOR], "CREATED", ["a", "b"]]);
    assert.deepEqual(state.committed("b", groupId, 1), [], "said twice");
    assert.deepEqual(state.prepared("b", groupId, 1), [], "late");
  });

  test("(2) what finds no room waits at its node, the first of each form, and holds up nobody", () => {
    const state = new PlacementGroupState();
    const busy = [node("a", 4, 1)];
    for (const [sequence, cpus] of [[1, 2], [2, 2], [3, 3], [4, 1]] as const) state.create(specOf(sequence, { bundles: [toAmounts({ CPU: cpus })] }));
    const prepares = state.place(busy) as Of<"prepare">[];
    assert.deepEqual(prepares.map(({ groupId, waits }) => [groupId, waits]), [[idOf(1), true], [idOf(3), true], [idOf(4), false]]);
    // When the first has what it wants, the next of its form takes its place.
    assert.deepEqual(types(state.prepared("a", idOf(1), 1)), ["commit"]);
    assert.deepEqual((state.place(busy) as Of<"prepare">[]).map(({ groupId, waits }) => [groupId, waits]), [[idOf(2), true]]);
  });

  test("(2) what no node could ever hold says why, and is placed once one can", () => {
    const state = new PlacementGroupState();
    state.create(specOf(1, { bundles: [toAmounts({ CPU: 8 })] }));
    assert.deepEqual(state.place([node("a", 4)]), []);
    assert.deepEqual(state.infeasible().map(({ infeasible }) => infeasible), ["its bundle needs 8 CPU, but the cluster has 4"]);
    state.nodesChanged();
    assert.deepEqual(types(state.place([node("a", 4), node("b", 8)])), ["prepare"]);
    assert.deepEqual(state.infeasible(), []);
  });

  test("(5) one refusal gives back what the others have set aside, and it is tried again when nodes change", () => {
    const state = new PlacementGroupState();
    state.create(specOf(1, { bundles: [toAmounts({ CPU: 1 }), toAmounts({ CPU: 1 })], strategy: "STRICT_SPREAD" }));
    const nodes = [node("a", 1), node("b", 1)];
    state.place(nodes);
    state.prepared("a", idOf(1), 1);
    const cancel = only(state.refused("b", idOf(1), 1), "cancel");
    assert.deepEqual([cancel.node, cancel.attempt], ["a", 1]);
    assert.deepEqual(state.place(nodes), []);
    state.nodesChanged();
    assert.deepEqual((state.place(nodes) as Of<"prepare">[]).map(({ attempt }) => attempt), [2, 2]);
    assert.deepEqual(types(state.prepared("a", idOf(1), 1)), ["cancel"], "an answer to the attempt before");
  });

  test("(6) the bundles of a lost node are placed again, and only those", () => {
    const state = new PlacementGroupState();
    const groupId = created(state);
    assert.equal(only(state.nodeLost("b"), "publish").record.phase, "RESCHEDULING");
    const { node: key, bundles, attempt } = only(state.place([node("a", 2, 1), node("c", 1)]), "prepare");
    assert.deepEqual([key, bundles.map(([index]) => index), attempt], ["c", [1], 2]);
    state.prepared("c", groupId, 2);
    assert.deepEqual(only(state.committed("c", groupId, 2), "publish").record.nodes, ["a", "c"]);
  });

  test("(7) a removed group goes back from everywhere, and who asked is told when all is back", () => {
    const state = new PlacementGroupState();
    const groupId = created(state);
    const removal = state.remove(groupId, { workerId: "w", requestId: 7 });
    assert.deepEqual(types(removal), ["publish", "return", "return"]);
    assert.deepEqual(state.remove(groupId, { workerId: "v", requestId: 8 }), [], "while it goes back");
    assert.deepEqual(state.returned("a", groupId), []);
    assert.deepEqual(state.returned("a", groupId), [], "said twice");
    assert.deepEqual(state.returned("b", groupId).map((done) => (done as Of<"removalDone">).requestId), [7, 8]);
    assert.deepEqual(types(state.remove(groupId, { workerId: "w", requestId: 9 })), ["removalDone"]);
  });

  test("(7) all who watch a group hear of its removal but who asked for it, and whoever comes later", () => {
    const state = new PlacementGroupState();
    const groupId = created(state);
    state.watch(groupId, "other");
    assert.deepEqual(only(state.remove(groupId, { workerId: CREATOR, requestId: 1 }), "publish").watchers, ["other"]);
    assert.deepEqual(only(state.watch(groupId, CREATOR), "publish").record.phase, "REMOVED");
  });

  test("(7) it ends with the actor that made it, or with its job, unless it is detached", () => {
    const state = new PlacementGroupState();
    state.create(specOf(1, { actorId: "actor" }));
    state.create(specOf(2));
    state.create(specOf(3, { isDetached: true }));
    assert.equal(only(state.actorEnded("actor"), "publish").record.groupId, idOf(1));
    assert.equal(only(state.jobEnded("j"), "publish").record.groupId, idOf(2));
    assert.equal(state.find(idOf(3))?.phase, "PENDING");
  });

  test("a name is one group's until that is removed", () => {
    const state = new PlacementGroupState();
    state.create(specOf(1, { name: "x" }));
    const { record } = only(state.create(specOf(2, { name: "x" })), "publish");
    assert.deepEqual([record.phase, record.isNameTaken], ["REMOVED", true]);
    assert.equal(state.findByName("x", "n")?.groupId, idOf(1));
    assert.equal(state.findByName("x", "other"), null);
    state.remove(idOf(1), { workerId: "w", requestId: 1 });
    assert.equal(state.findByName("x", "n"), null);
    state.create(specOf(3, { name: "x" }));
    assert.equal(state.findByName("x", "n")?.groupId, idOf(3));
  });

  test("whoever asks before the group is told of waits for its maker's word, and never in vain", () => {
    const state = new PlacementGroupState();
    assert.equal(only(state.watch(idOf(1), "early"), "askCreator").creatorId, CREATOR);
    assert.deepEqual(only(state.create(specOf(1)), "publish").watchers.toSorted(), [CREATOR, "early"]);
    assert.deepEqual(state.creatorTold(idOf(1)), []);
    state.watch(idOf(2), "early");
    assert.equal(only(state.creatorTold(idOf(2)), "publish").record.phase, "REMOVED");
    state.watchFromNode(idOf(3), "a");
    assert.deepEqual(only(state.workerLost(CREATOR), "publish").nodes, ["a"]);
    // A removal may come before the group.
    state.remove(idOf(4), { workerId: "w", requestId: 1 });
    assert.equal(only(state.create(specOf(4)), "publish").record.phase, "REMOVED");
  });

  test("(6) a node that drains gives its bundles to others, without an end for who uses them; until it has left they hear of a removal", () => {
    const state = new PlacementGroupState();
    const groupId = created(state);
    const drains = state.nodeDrains("a");
    assert.deepEqual(types(drains), ["cancel", "publish"]);
    assert.deepEqual([only(drains, "cancel").node, only(drains, "cancel").attempt, only(drains, "publish").record.phase], ["a", 1, "RESCHEDULING"]);
    assert.deepEqual(state.nodeDrains("a"), []);
    const [prepare] = state.place([node("b", 1, 0), node("c", 1)]) as Of<"prepare">[];
    assert.deepEqual([prepare?.node, prepare?.bundles.map(([index]) => index)], ["c", [0]]);
    state.prepared("c", groupId, 2);
    assert.deepEqual(only(state.committed("c", groupId, 2), "publish").record.nodes, ["c", "b"]);
    const removed = state.remove(groupId, { workerId: CREATOR, requestId: 1 });
    assert.deepEqual(removed.filter(({ type }) => type === "return").map((one) => (one as Of<"return">).node).sort(), ["a", "b", "c"]);
    for (const key of ["b", "c"]) assert.deepEqual(state.returned(key, groupId), []);
    assert.deepEqual(types(state.nodeLost("a")), ["removalDone"]);
  });

  test("(6) what is on its way to a node that drains is planned again", () => {
    const state = new PlacementGroupState();
    state.create(specOf(1));
    state.place([node("a", 1)]);
    assert.deepEqual(types(state.nodeDrains("a")), ["cancel"]);
    assert.deepEqual(types(state.prepared("a", idOf(1), 1)), ["cancel"], "an answer from before");
    assert.equal((state.place([node("b", 1)])[0] as Of<"prepare">).node, "b");
  });
});
