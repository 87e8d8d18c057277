// Both halves of placement groups together: the GCS's PlacementGroupState, and the BundleHolds of several nodes, with links that are
// late and say things twice, nodes that are lost and come, and tasks that use the bundles.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type BundleInstruction, BundleHolds } from "../../src/node-manager/bundle-holds.ts";
import { PlacementGroupState, type PlacementGroupInstruction } from "../../src/gcs/placement-group-state.ts";
import { creatorOf, sequencedId, type ResourceAmounts } from "../../src/base/mod.ts";
import type { PlacementGroupSpec, PlacementStrategyName } from "../../src/protocol/mod.ts";
import { type BundleNode, placeBundles, ResourceLedger, sumOf, takenFromNode } from "../../src/scheduling/mod.ts";

const CREATOR = "0123456789abcdef0123";
const STRATEGIES: readonly PlacementStrategyName[] = ["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"];

interface Node {
  readonly ledger: ResourceLedger;
  readonly holds: BundleHolds;
  /** On their way to it, and from it. */
  readonly orders: PlacementGroupInstruction[];
  readonly answers: BundleInstruction[];
  /** What tasks have of bundles there, by group. */
  readonly ending: Set<string>;
  readonly used: { readonly groupId: string; readonly amounts: ResourceAmounts }[];
}

class World {
  readonly state = new PlacementGroupState();
  readonly nodes = new Map<string, Node>();
  readonly totals = new Map<string, ResourceAmounts>();
  readonly specs = new Map<string, PlacementGroupSpec>();
  readonly asked = new Set<number>();
  readonly answered = new Set<number>();
  #names = 0;

  addNode(totals: ResourceAmounts): void {
    const key = `n${this.#names++}`;
    const ledger = new ResourceLedger(totals);
    this.nodes.set(key, { ledger, holds: new BundleHolds(ledger), orders: [], answers: [], ending: new Set(), used: [] });
    this.totals.set(key, totals);
    this.state.nodesChanged();
    this.place();
  }

  views(): BundleNode[] {
    return [...this.nodes].map(([key, { ledger }]) => ({ key, totals: this.totals.get(key) as ResourceAmounts, available: ledger.available, promised: null }));
  }

  create(bundles: readonly ResourceAmounts[], strategy: PlacementStrategyName, name: string | null): void {
    const groupId = sequencedId(CREATOR, this.#names++);
    assert.equal(creatorOf(groupId), CREATOR);
    const spec: PlacementGroupSpec = { groupId, bundles, strategy, name, namespace: "", jobId: "job", actorId: null, isDetached: false };
    this.specs.set(groupId, spec);
    this.act(this.state.create(spec));
    this.act(this.state.create(spec));
    this.place();
  }

  place(): void {
    if (this.state.isAnyUntried) this.act(this.state.place(this.views()));
  }

  act(instructions: readonly PlacementGroupInstruction[]): void {
    for (const instruction of instructions) {
      if (instruction.type === "removalDone") this.answered.add(instruction.requestId);
      else if ("node" in instruction) this.nodes.get(instruction.node)?.orders.push(instruction);
    }
  }

  /** The next order arrives at the node. With `again`, it will once more. */
  deliverOrder(key: string, again: boolean): void {
    const node = this.nodes.get(key);
    const order = node?.orders.shift();
    if (node === undefined || order === undefined) return;
    if (again) node.orders.splice(Math.min(2, node.orders.length), 0, order);
    const { holds } = node;
    if (order.type === "cancel" || order.type === "return") node.ending.add(order.groupId);
    if (order.type === "prepare") node.answers.push(...holds.prepare(order.groupId, order.attempt, order.bundles, order.waits));
    else if (order.type === "commit") node.answers.push(...holds.commit(order.groupId, order.attempt, again));
    else if (order.type === "cancel") holds.end(order.groupId, order.attempt);
    else if (order.type === "return") holds.end(order.groupId, null);
    this.#afterGiving(node);
    for (const name in node.ledger.available) assert.ok((node.ledger.available[name] as number) >= 0, `nothing is given twice: ${name}`);
  }

  #afterGiving(node: Node): void {
    node.answers.push(...node.holds.settle());
  }

  deliverAnswer(key: string, again: boolean): void {
    const node = this.nodes.get(key);
    const answer = node?.answers.shift();
    if (node === undefined || answer === undefined) return;
    if (again) node.answers.splice(Math.min(2, node.answers.length), 0, answer);
    const { groupId } = answer;
    if (answer.type === "bundlesPrepared") this.act(this.state.prepared(key, groupId, answer.attempt));
    else if (answer.type === "bundlesRefused") this.act(this.state.refused(key, groupId, answer.attempt));
    else if (answer.type === "bundlesCommitted") this.act(this.state.committed(key, groupId, answer.attempt));
    else this.act(this.state.returned(key, groupId));
    this.place();
  }

  /** A task begins in a bundle, if it is there. */
  use(groupId: string, bundleIndex: number, isIndexed: boolean): void {
    const spec = this.specs.get(groupId);
    const key = this.state.find(groupId)?.nodes[bundleIndex];
    const node = this.nodes.get(key ?? "");
    if (spec === undefined || node === undefined) return;
    const amounts = takenFromNode(spec.bundles[bundleIndex] as ResourceAmounts, { groupId, bundleIndex: isIndexed ? bundleIndex : -1, capturesChildren: false });
    node.holds.wanted(groupId);
    if (!node.ledger.hasRoomFor(amounts)) return;
    node.ledger.take(amounts);
    node.used.push({ groupId, amounts });
  }

  endUse(key: string, onlyEnding: boolean): void {
    const node = this.nodes.get(key);
    if (node === undefined) return;
    const index = node.used.findIndex(({ groupId }) => !onlyEnding || node.ending.has(groupId));
    const [used] = index < 0 ? [] : node.used.splice(index, 1);
    if (used === undefined) return;
    node.ledger.give(used.amounts);
    this.#afterGiving(node);
  }

  lose(key: string): void {
    if (!this.nodes.delete(key)) return;
    this.act(this.state.nodeLost(key));
    this.place();
  }

  remove(groupId: string): void {
    const requestId = this.#names++;
    this.asked.add(requestId);
    this.act(this.state.remove(groupId, { workerId: CREATOR, requestId }));
    this.place();
  }

  /** Everything arrives, who uses what ends is gone, and nodes tell what they have until nothing moves any more. */
  settle(isAlone: boolean): void {
    for (let round = 0; ; round++) {
      assert.ok(round < 200, "it comes to rest");
      let moved = false;
      for (const [key, node] of [...this.nodes]) {
        while (node.orders.length > 0) { this.deliverOrder(key, false); moved = true; }
        while (node.used.some(({ groupId }) => node.ending.has(groupId))) { this.endUse(key, true); moved = true; }
        while (node.answers.length > 0) { this.deliverAnswer(key, false); moved = true; }
      }
      if (moved) continue;
      if (isAlone) return;
      this.state.nodesChanged();
      this.place();
      if ([...this.nodes.values()].every(({ orders }) => orders.length === 0)) return;
    }
  }

  checkAtRest(): void {
    const held = new Map<string, ResourceAmounts[]>([...this.nodes.keys()].map((key) => [key, []]));
    for (const row of this.state.rows(null)) {
      const { bundles, strategy } = this.specs.get(row.groupId) as PlacementGroupSpec;
      const here = row.nodes.filter((node) => node !== null);
      if (row.phase === "CREATED") assert.equal(here.length, bundles.length, "all bundles are somewhere");
      if (row.phase === "PENDING" || row.phase === "REMOVED") assert.equal(here.length, 0, "all or none");
      if (strategy === "STRICT_PACK") assert.ok(new Set(here).size <= 1);
      if (strategy === "STRICT_SPREAD") assert.equal(new Set(here).size, here.length);
      for (const [index, node] of row.nodes.entries()) {
        if (node === null) continue;
        assert.ok(this.nodes.has(node), "no bundle is on a node that is lost");
        held.get(node)?.push(bundles[index] as ResourceAmounts);
      }
      if (row.phase === "PENDING" || row.phase === "RESCHEDULING") {
        const missing = bundles.filter((_, index) => row.nodes[index] === null);
        assert.notEqual(placeBundles(this.views(), { bundles: missing, strategy, occupied: here }).type, "nodes", "what has room does not wait");
      }
    }
    for (const [key, { ledger }] of this.nodes) {
      const totals = this.totals.get(key) as ResourceAmounts;
      const bundles = sumOf(held.get(key) as ResourceAmounts[]);
      for (const name in totals) assert.equal(ledger.available[name], (totals[name] as number) - (bundles[name] ?? 0), `${key} has the ${name} that no group has`);
    }
    assert.deepEqual(this.answered, this.asked, "whoever removed a group was told");
  }
}

const nat = fc.nat({ max: 30 });
const amounts = fc.record({ CPU: fc.integer({ min: 1, max: 3 }), GPU: fc.constantFrom(0, 0, 1) }).map(({ CPU, GPU }): ResourceAmounts => (GPU === 0 ? { CPU: CPU * 10_000 } : { CPU: CPU * 10_000, GPU: GPU * 10_000 }));
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("create" as const), bundles: fc.array(amounts, { minLength: 1, maxLength: 4 }), strategy: fc.constantFrom(...STRATEGIES), name: fc.constantFrom(null, null, "a", "b") }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("remove" as const), which: nat }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), which: nat }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("addNode" as const), totals: amounts }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("order" as const), which: nat, again: fc.boolean() }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("answer" as const), which: nat, again: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("use" as const), which: nat, bundle: nat, isIndexed: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("endUse" as const), which: nat }) },
  { weight: 1, arbitrary: fc.constant({ kind: "changed" as const }) },
);

function pick<T>(all: Iterable<T>, which: number): T | undefined {
  const list = [...all];
  return list[which % Math.max(1, list.length)];
}

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function run(nodes: readonly ResourceAmounts[], steps: readonly Step[], isAlone: boolean): void {
  const world = new World();
  for (const totals of nodes) world.addNode(totals);
  for (const one of steps) {
    if (one.kind === "create") world.create(one.bundles, one.strategy, one.name);
    else if (one.kind === "remove") world.remove(pick(world.specs.keys(), one.which) ?? "");
    else if (one.kind === "lose") world.lose(pick(world.nodes.keys(), one.which) ?? "");
    else if (one.kind === "addNode") world.addNode(one.totals);
    else if (one.kind === "order") world.deliverOrder(pick(world.nodes.keys(), one.which) ?? "", one.again && !isAlone);
    else if (one.kind === "answer") world.deliverAnswer(pick(world.nodes.keys(), one.which) ?? "", one.again && !isAlone);
    else if (one.kind === "use") world.use(pick(world.specs.keys(), one.which) ?? "", one.bundle % 4, one.isIndexed);
    else if (one.kind === "endUse") world.endUse(pick(world.nodes.keys(), one.which) ?? "", false);
    else { world.state.nodesChanged(); world.place(); }
  }
  world.settle(isAlone);
  world.checkAtRest();
  for (const groupId of world.specs.keys()) world.remove(groupId);
  world.settle(isAlone);
  world.checkAtRest();
}

test("whatever is late, said twice or lost: bundles are placed all or none, and nothing is held twice or lost", () => {
  fc.assert(fc.property(fc.array(amounts, { minLength: 1, maxLength: 3 }), fc.array(step, { maxLength: 80 }), (nodes, steps) => run(nodes, steps, false)), { numRuns: 300 });
});

test("one node grants what waits by itself: nobody has to say that it has changed", () => {
  // Few forms of groups, so that several of one form wait.
  const create = fc.record({ kind: fc.constant("create" as const), bundles: fc.constantFrom<ResourceAmounts[]>([{ CPU: 10_000 }], [{ CPU: 20_000 }]), strategy: fc.constant("PACK" as const), name: fc.constant(null) });
  const kinds = new Set(["remove", "order", "answer", "use", "endUse"]);
  const steps = fc.array(fc.oneof({ weight: 1, arbitrary: create }, { weight: 5, arbitrary: step.filter(({ kind }) => kinds.has(kind)) }), { maxLength: 80 });
  fc.assert(fc.property(amounts, steps, (totals, some) => run([totals], some, true)), { numRuns: 300 });
});
