import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toAmounts } from "../base/mod.ts";
import { type LeaseShape, plainWorkerKind, type StrategyRecord } from "../protocol/mod.ts";
import { givenByBundle, type NodeView } from "../scheduling/mod.ts";
import { type SpillInstruction, SpillOver } from "./spill-over.ts";

const labelIs = (value: string) => ({ key: "zone", values: [value], isNegated: false });
const SPREAD: StrategyRecord = { required: [], preference: { type: "spread" } };
const required = (value: string): StrategyRecord => ({ required: [labelIs(value)], preference: { type: "pack" } });
const preferred = (value: string): StrategyRecord => ({ required: [], preference: { type: "labels", preferred: [labelIs(value)] } });
const onNode = (node: string, isSoft: boolean): StrategyRecord => ({ required: [], preference: { type: "node", nodeId: `${node}-id`, isSoft } });

const shapeOf = (cpus: number, strategy: StrategyRecord | null = null): LeaseShape => ({ resources: toAmounts({ CPU: cpus }), workerKind: plainWorkerKind("thread"), strategy, bundle: null });

interface Demand {
  readonly shape: LeaseShape;
  target: number;
  granted: number;
}

/** A node's own scheduler, as far as it matters here: it grants what is asked for while it has room. */
class SimulatedNode {
  readonly demands = new Map<string, Demand>();
  readonly leases: { readonly key: string; readonly units: number }[] = [];
  readonly #units: number;
  readonly key: string;
  readonly #labels: Readonly<Record<string, string>>;

  constructor(key: string, cpus: number, labels: Readonly<Record<string, string>>) {
    this.key = key;
    this.#units = cpus * 10_000;
    this.#labels = labels;
  }

  view(): NodeView {
    const used = this.leases.reduce((sum, { units }) => sum + units, 0);
    return { key: this.key, nodeId: `${this.key}-id`, totals: { CPU: this.#units }, available: { CPU: this.#units - used }, labels: this.#labels, isAlive: true, isDraining: false, weightless: 0 };
  }

  ask(key: string, shape: LeaseShape, target: number): void {
    const demand = this.demands.get(key);
    if (demand === undefined) this.demands.set(key, { shape, target, granted: 0 });
    else demand.target = target;
  }

  /** The key of one lease that it has room for. */
  grant(): string | undefined {
    for (const [key, demand] of this.demands) {
      const units = demand.shape.resources["CPU"] ?? 0;
      if (demand.granted >= demand.target || units > (this.view().available["CPU"] as number)) continue;
      demand.granted++;
      this.leases.push({ key, units });
      return key;
    }
    return undefined;
  }
}

/** What this node grants at once is dealt out anew with the rest. */
const PLANS_MAX = 30;

/** One owner on node `a`, whose leases come from several nodes. */
class World {
  readonly nodes: ReadonlyMap<string, SimulatedNode>;
  readonly state = new SpillOver("a");
  readonly granted = new Map<string, string[]>();
  readonly shapes = new Map<string, LeaseShape>();
  readonly targets = new Map<string, number>();
  readonly refused: string[] = [];

  constructor(nodes: readonly SimulatedNode[]) {
    this.nodes = new Map(nodes.map((node) => [node.key, node]));
    for (const node of nodes) this.see(node.key);
  }

  get own(): SimulatedNode {
    return this.nodes.get("a") as SimulatedNode;
  }

  see(key: string): void {
    if (key !== "a") this.state.nodeSeen((this.nodes.get(key) as SimulatedNode).view());
    this.plan();
  }

  demand(key: string, shape: LeaseShape, target: number): void {
    this.shapes.set(key, shape);
    this.targets.set(key, target);
    this.state.demand("owner", key, shape, target, 0);
    this.plan();
  }

  plan(): void {
    for (let round = 0; round < PLANS_MAX; round++) {
      const isChanged = [this.#act(this.state.planHere(this.own.view())), this.grantAll("a"), this.#act(this.state.planThere(this.own.view())), this.grantAll("a")].includes(true);
      if (!isChanged) return;
    }
    assert.fail("plans come to an end");
  }

  /** True if there was anything to do. */
  #act(instructions: readonly SpillInstruction[]): boolean {
    for (const instruction of instructions) {
      if (instruction.type === "refuse") this.refused.push(instruction.key);
      else if (instruction.type !== "nameArguments") (this.nodes.get(instruction.type === "askHere" ? "a" : instruction.node) as SimulatedNode).ask(instruction.key, instruction.shape, instruction.target);
    }
    return instructions.length > 0;
  }

  /** True if there was one. */
  grantOne(node: string): boolean {
    const key = (this.nodes.get(node) as SimulatedNode).grant();
    if (key === undefined) return false;
    this.granted.set(key, [...(this.granted.get(key) ?? []), node]);
    this.state.granted("owner", key, node);
    return true;
  }

  grantAll(node: string): boolean {
    let isAny = false;
    while (this.grantOne(node)) isAny = true;
    return isAny;
  }

  /** Everything is granted, told and given back, until nothing more happens. */
  settle(): void {
    for (let round = 0; round < 200; round++) {
      for (const node of this.nodes.values()) {
        this.grantAll(node.key);
        node.leases.length = 0;
      }
      for (const key of this.nodes.keys()) this.see(key);
    }
  }

  where(key: string): string {
    return (this.granted.get(key) ?? []).join("");
  }
}

function world(...nodes: readonly (readonly [key: string, cpus: number, zone: string])[]): World {
  return new World(nodes.map(([key, cpus, zone]) => new SimulatedNode(key, cpus, { zone })));
}

describe("strategies of leases from several nodes", () => {
  test("come from the own node while it has room, then from others", () => {
    const cluster = world(["a", 2, "x"], ["b", 2, "x"], ["c", 2, "x"]);
    cluster.demand("k", shapeOf(1), 5);
    assert.equal(cluster.where("k"), "aa");
    for (const node of ["b", "c"]) cluster.grantAll(node);
    assert.equal(cluster.where("k"), "aabbc");
  });

  test("SPREAD takes one node after the other, the own one too, whatever is asked for in between", () => {
    const cluster = world(["a", 4, "x"], ["b", 4, "x"], ["c", 4, "x"]);
    for (let target = 1; target <= 6; target++) {
      cluster.demand("k", shapeOf(1, SPREAD), target);
      cluster.see("b");
      for (const node of ["a", "b", "c"]) cluster.grantAll(node);
    }
    assert.equal(cluster.where("k"), "bcabca");
    cluster.demand("k", shapeOf(1, SPREAD), 9);
    for (const node of ["b", "c"]) cluster.grantAll(node);
    assert.equal([...cluster.where("k").slice(6)].sort().join(""), "abc");
  });

  test("SPREAD keeps what was asked for, in whatever order nodes answer and views come", () => {
    for (const [first, second] of [["b", "c"], ["c", "b"]] as const) {
      const cluster = world(["a", 4, "x"], ["b", 4, "x"], ["c", 4, "x"]);
      for (let target = 1; target <= 6; target++) cluster.demand("k", shapeOf(1, SPREAD), target);
      cluster.grantOne(first);
      cluster.see(first);
      cluster.grantAll(first);
      cluster.grantAll(second);
      assert.equal([...cluster.where("k")].sort().join(""), "aabbcc", `${first} before ${second}`);
    }
  });

  test("SPREAD gives up what a node has no room for any more", () => {
    const cluster = world(["a", 0, "x"], ["b", 2, "x"], ["c", 2, "x"]);
    cluster.demand("k", shapeOf(1, SPREAD), 2);
    (cluster.nodes.get("b") as SimulatedNode).leases.push({ key: "another", units: 20_000 });
    cluster.see("b");
    cluster.grantAll("c");
    assert.equal(cluster.where("k"), "cc");
  });

  test("SPREAD goes on with tasks of another kind where the last one ended", () => {
    const cluster = world(["a", 4, "x"], ["b", 4, "x"], ["c", 4, "x"]);
    for (const [index, cpus] of [1, 0.5, 0.25, 1, 0.5, 0.25].entries()) {
      cluster.demand(String(cpus), shapeOf(cpus, SPREAD), index < 3 ? 1 : 2);
      for (const node of ["b", "c"]) cluster.grantAll(node);
    }
    assert.deepEqual(["1", "0.5", "0.25"].map((key) => cluster.where(key)), ["bb", "cc", "aa"]);
  });

  test("labels that are preferred lead to another node, while the own one would have room", () => {
    const cluster = world(["a", 4, "x"], ["b", 1, "y"], ["c", 1, "y"]);
    cluster.demand("k", shapeOf(1, preferred("y")), 4);
    for (const node of ["b", "c"]) cluster.grantAll(node);
    assert.deepEqual([...cluster.where("k")].sort().join(""), "aabc");
    cluster.demand("l", shapeOf(1, preferred("x")), 2);
    assert.equal(cluster.where("l"), "aa");
  });

  test("labels that are required are asked for nowhere else", () => {
    const cluster = world(["a", 4, "x"], ["b", 1, "y"]);
    cluster.demand("k", shapeOf(1, required("y")), 3);
    cluster.grantAll("b");
    assert.equal(cluster.where("k"), "b");
    assert.equal(cluster.own.demands.has("k"), false);
  });

  test("an affinity waits for its node, be it far or near, hard or soft", () => {
    for (const isSoft of [false, true]) {
      for (const [target, other] of [["a", "b"], ["b", "a"]] as const) {
        const cluster = world(["a", 1, "x"], ["b", 1, "x"]);
        cluster.demand("k", shapeOf(1, onNode(target, isSoft)), 3);
        cluster.settle();
        assert.equal(cluster.where("k"), target.repeat(3));
        assert.equal(cluster.nodes.get(other)?.demands.get("k")?.granted ?? 0, 0);
      }
    }
  });

  test("an affinity that is soft goes elsewhere, here too, when its node could never hold it or is gone", () => {
    const cluster = world(["a", 2, "x"], ["b", 1, "x"]);
    cluster.demand("k", shapeOf(2, onNode("b", true)), 1);
    cluster.demand("l", shapeOf(1, onNode("gone", true)), 1);
    cluster.settle();
    assert.deepEqual([cluster.where("k"), cluster.where("l")], ["a", "b"]);
  });

  test("whatever has room nowhere waits in a queue where it will have some", () => {
    const cluster = world(["a", 1, "x"], ["b", 4, "x"]);
    cluster.demand("full", shapeOf(4), 1);
    cluster.grantAll("b");
    cluster.see("b");
    cluster.demand("k", shapeOf(2), 3);
    assert.equal(cluster.nodes.get("b")?.demands.get("k")?.target, 2);
    cluster.settle();
    assert.equal(cluster.where("k"), "bbb");
  });

  test("tasks in a bundle of another node wait in that node's queue, when the bundle is full", () => {
    const shape: LeaseShape = { ...shapeOf(1), bundle: { groupId: "g", bundleIndex: 0, capturesChildren: false } };
    const bundle = givenByBundle(toAmounts({ CPU: 1 }), "g", 0);
    const state = new SpillOver("a");
    const own = new SimulatedNode("a", 2, {}).view();
    const far = new SimulatedNode("b", 2, {}).view();
    const full = { ...far, totals: { ...far.totals, ...bundle }, available: { ...far.available, ...bundle, ...Object.fromEntries(Object.keys(bundle).filter((name) => name.startsWith("CPU")).map((name) => [name, 0])) } };
    state.nodeSeen(full);
    state.demand("owner", "k", shape, 3, 0);
    state.planHere(own);
    const asked = state.planThere(own).map((instruction) => (instruction.type === "askThere" ? [instruction.node, instruction.target] : []));
    assert.deepEqual(asked, [["b", 2]]);
  });

  test("who waits for a bundle that no node has told of is refused when the group is removed", () => {
    const inGroup = (groupId: string): LeaseShape => ({ ...shapeOf(1), bundle: { groupId, bundleIndex: 0, capturesChildren: false } });
    const state = new SpillOver("a");
    const own = new SimulatedNode("a", 0, {}).view();
    for (const groupId of ["g", "h"]) state.demand("owner", groupId, inGroup(groupId), 1, 0);
    assert.deepEqual([...state.planHere(own), ...state.planThere(own)], []);
    const error = { kind: "PlacementGroupRemovedError" as const, message: "removed", subjectId: "g" };
    assert.deepEqual(state.refuseInGroup("g", () => null), []);
    assert.deepEqual(state.refuseInGroup("g", () => error), [{ type: "refuse", ownerId: "owner", key: "g", error }]);
    assert.deepEqual(state.refuseInGroup("g", () => error), [], "it is told once");
    assert.equal(state.isAnythingMissing, true, "the other one waits");
  });

  test("what no node could ever hold is refused at the second look", () => {
    const cluster = world(["a", 1, "x"], ["b", 2, "y"]);
    cluster.demand("k", shapeOf(1, required("z")), 1);
    assert.deepEqual(cluster.state.refuseInfeasible(cluster.own.view()), []);
    const [refusal] = cluster.state.refuseInfeasible(cluster.own.view());
    assert.ok(refusal?.type === "refuse");
    assert.equal(refusal.error.kind, "TaskUnschedulableError");
    assert.match(refusal.error.message, /needs a node with the labels \{ zone: "z" \}, but in the cluster 'zone' is x or y/);
    assert.equal(cluster.state.isAnythingMissing, false);
  });

  test("however demands, grants and views come: leases come from nodes that may be, and all that can be had is had", () => {
    const strategies = fc.oneof(
      fc.constantFrom(null, SPREAD, { ...SPREAD, required: [labelIs("x")] }), fc.constantFrom("x", "y").map(required), fc.constantFrom("x", "y").map(preferred),
      fc.tuple(fc.constantFrom("a", "b", "c", "gone"), fc.boolean()).map(([node, isSoft]) => onNode(node, isSoft)),
    );
    const wishes = fc.array(fc.record({ cpus: fc.constantFrom(0, 1, 2), strategy: strategies }), { minLength: 1, maxLength: 4 });
    const nodes = fc.array(fc.record({ cpus: fc.constantFrom(0, 1, 2, 4), zone: fc.constantFrom("x", "y") }), { minLength: 1, maxLength: 4 });
    const steps = fc.array(fc.oneof(
      fc.tuple(fc.constant("demand"), fc.nat({ max: 3 }), fc.integer({ min: -2, max: 5 })),
      fc.tuple(fc.constantFrom("grant", "giveBack", "see"), fc.nat({ max: 3 }), fc.constant(0)),
    ), { maxLength: 40 });
    fc.assert(fc.property(nodes, wishes, steps, (given, kinds, events) => {
      const cluster = new World(given.map(({ cpus, zone }, index) => new SimulatedNode("abcd"[index] as string, cpus, { zone })));
      const shapes = kinds.map(({ cpus, strategy }) => shapeOf(cpus, strategy));
      for (const [what, which, more] of events) {
        const node = [...cluster.nodes.values()][which % cluster.nodes.size] as SimulatedNode;
        if (what === "grant") { cluster.grantOne(node.key); cluster.plan(); }
        if (what === "giveBack") { node.leases.shift(); cluster.plan(); }
        if (what === "see") cluster.see(node.key);
        if (what !== "demand") continue;
        const key = String(which % shapes.length);
        cluster.demand(key, shapes[Number(key)] as LeaseShape, Math.max(cluster.where(key).length, (cluster.targets.get(key) ?? 0) + more));
      }
      cluster.settle();
      for (const [key, target] of cluster.targets) {
        const { resources, strategy } = cluster.shapes.get(key) as LeaseShape;
        const able = [...cluster.nodes.values()].map((node) => node.view()).filter((view) => (resources["CPU"] ?? 0) <= (view.totals["CPU"] as number) && (strategy?.required ?? []).every(({ values }) => values?.includes(view.labels["zone"] as string)));
        const { preference } = strategy ?? { preference: { type: "pack" } };
        const aim = preference.type === "node" ? able.filter((view) => view.nodeId === preference.nodeId) : [];
        const allowed = (preference.type === "node" && (aim.length > 0 || !preference.isSoft) ? aim : able).map((view) => view.key);
        for (const node of cluster.where(key)) assert.ok(allowed.includes(node), `${node} is not one of ${allowed.join("")}`);
        if (allowed.length > 0) assert.ok(cluster.where(key).length >= target, "nothing waits for ever");
      }
    }), { numRuns: 200 });
  });
});
