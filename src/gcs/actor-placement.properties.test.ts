import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isZero } from "../base/mod.ts";
import { type ActorSpec, plainWorkerKind, type StrategyRecord } from "../protocol/mod.ts";
import { ActorPlacement, type PlacementInstruction } from "./actor-placement.ts";

const UNITS = 10_000;
const KEYS = ["aaaaaaaa", "bbbbbbbb", "cccccccc"];

type Told = { readonly type: "placed" | "declined"; readonly actorId: string } | { readonly type: "load"; readonly version: number; readonly available: number };

/** A node that places actors in the order in which they come to it, once it has a worker; all that is said takes its time. */
class SimulatedNode {
  readonly inbox: PlacementInstruction[] = [];
  readonly outbox: Told[] = [];
  readonly waiting: ActorSpec[] = [];
  readonly living = new Map<string, ActorSpec>();
  readonly key: string;
  readonly units: number;
  #version = 0;

  constructor(key: string, cpus: number) {
    this.key = key;
    this.units = cpus * UNITS;
  }

  get available(): number {
    return [...this.living.values()].reduce((left, spec) => left - unitsOf(spec), this.units);
  }

  hear(): void {
    const instruction = this.inbox.shift();
    if (instruction?.type === "place") this.waiting.push(instruction.spec);
    if (instruction?.type === "cancel") this.drop(instruction.actorId);
    if (instruction?.type === "withdraw") this.#decline(instruction.actorId);
  }

  drop(actorId: string): void {
    const index = this.waiting.findIndex((spec) => spec.actorId === actorId);
    if (index >= 0) this.waiting.splice(index, 1);
    if (this.living.delete(actorId)) this.#tellLoad();
  }

  #decline(actorId: string): void {
    const index = this.waiting.findIndex((spec) => spec.actorId === actorId);
    if (index < 0) return;
    this.waiting.splice(index, 1);
    this.outbox.push({ type: "declined", actorId });
  }

  /** False when nothing waits that has room. */
  start(): boolean {
    const index = this.waiting.findIndex((waiting) => unitsOf(waiting) <= this.available);
    const spec = this.waiting[index];
    if (spec === undefined) return false;
    this.waiting.splice(index, 1);
    this.living.set(spec.actorId, spec);
    this.outbox.push({ type: "placed", actorId: spec.actorId });
    this.#tellLoad();
    return true;
  }

  #tellLoad(): void {
    this.outbox.push({ type: "load", version: ++this.#version, available: this.available });
  }
}

function unitsOf({ resources }: ActorSpec): number {
  return resources["CPU"] ?? 0;
}

class World {
  readonly placement = new ActorPlacement();
  readonly nodes = new Map<string, SimulatedNode>();
  /** Not cancelled, not ended. */
  readonly wanted = new Map<string, ActorSpec>();
  mayExceed = false;
  #count = 0;

  join(index: number, cpus: number): void {
    const key = KEYS[index] as string;
    if (this.nodes.has(key)) return;
    const node = new SimulatedNode(key, cpus);
    this.nodes.set(key, node);
    const totals = { CPU: node.units };
    this.act(this.placement.nodeJoined({ nodeId: `${key}00000000`, name: null, hostname: "h", pid: 1, address: { host: "h", port: 1 }, objectAddress: null, totals, labels: {} }, { node: key, version: 0, totals, available: totals, isDraining: false }));
  }

  lose(key: string): void {
    const node = this.nodes.get(key) as SimulatedNode;
    this.nodes.delete(key);
    const moved = this.placement.nodeLost(key);
    // What it has told and nobody has heard was not placed, as far as anybody knows.
    const known = new Set(node.outbox.flatMap((told) => (told.type === "placed" ? [told.actorId] : [])));
    for (const actorId of node.living.keys()) {
      if (known.has(actorId)) continue;
      this.wanted.delete(actorId);
      this.placement.ended(actorId);
    }
    this.act(moved);
  }

  place(cpus: number, strategy: StrategyRecord | null): void {
    const spec: ActorSpec = {
      actorId: `actor${this.#count++}`, ownerId: `${KEYS[0]}000000000001`, jobId: "j", className: "C", unitId: "u", units: [], args: [], methods: {}, rules: { maxTaskRetries: 0, maxPendingCalls: -1, groups: {}, allowsOvertaking: false },
      name: null, namespace: "n", isDetached: false, getIfExists: false, maxRestarts: 0, maxConcurrency: null, resources: cpus === 0 ? {} : { CPU: cpus * UNITS }, workerKind: plainWorkerKind("thread"), strategy, bundle: null, isShared: false, parentId: null,
    };
    this.wanted.set(spec.actorId, spec);
    this.act(this.placement.place(spec));
  }

  end(actorId: string): void {
    this.wanted.delete(actorId);
    const host = [...this.nodes.values()].find(({ living, outbox }) => living.has(actorId) && !outbox.some((told) => told.type === "placed" && told.actorId === actorId));
    if (host === undefined) {
      // It may have a worker, of which nobody knows yet, for a while.
      this.mayExceed = true;
      return this.act(this.placement.cancel(actorId));
    }
    host.drop(actorId);
    this.placement.ended(actorId);
  }

  hear(key: string): void {
    const told = this.nodes.get(key)?.outbox.shift();
    if (told?.type === "placed") this.act(this.placement.placed(told.actorId, key));
    if (told?.type === "declined") this.act(this.placement.declined(told.actorId, key));
    if (told?.type === "load") this.act(this.placement.loadChanged({ node: key, version: told.version, totals: { CPU: (this.nodes.get(key) as SimulatedNode).units }, available: { CPU: told.available }, isDraining: false }));
  }

  act(instructions: readonly PlacementInstruction[]): void {
    for (const instruction of instructions) {
      const node = this.nodes.get(instruction.node);
      assert.ok(node !== undefined, "only nodes that are there are told");
      node.inbox.push(instruction);
    }
    // Who queues at a node has no room there.
    if (!this.mayExceed && !this.placement.isAnybodyQueued) for (const node of this.nodes.values()) assert.ok(this.sentTo(node).reduce((sum, spec) => sum + unitsOf(spec), 0) <= node.units, "no more is sent to a node than it has");
  }

  look(): void {
    // What queues may be placed before what was sent for the same room.
    this.mayExceed ||= this.placement.waitingCount > 0;
    this.act(this.placement.look());
  }

  sentTo({ inbox, waiting, living }: SimulatedNode): ActorSpec[] {
    return [...inbox.flatMap((instruction) => (instruction.type === "place" ? [instruction.spec] : [])), ...waiting, ...living.values()];
  }

  settle(): void {
    for (let isQuiet = false; !isQuiet; isQuiet = [...this.nodes.values()].every(({ inbox, outbox }) => inbox.length + outbox.length === 0)) {
      for (const node of this.nodes.values()) {
        while (node.inbox.length > 0) node.hear();
        while (node.start());
        while (node.outbox.length > 0) this.hear(node.key);
      }
    }
  }
}

test("actors: whatever happens, no more is sent to a node than it has, and whoever can be placed is, also when it queues at another node", () => {
  const strategies = fc.constantFrom<StrategyRecord | null>(null, null, { required: [], preference: { type: "spread" } }, ...KEYS.flatMap((key) => [true, false].map((isSoft) => ({ required: [], preference: { type: "node", nodeId: `${key}00000000`, isSoft } }) as const)));
  const which = fc.nat({ max: 99 });
  const event = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(fc.constant("place" as const), fc.constantFrom(0, 0.5, 1, 2), strategies) },
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom("toNode" as const, "start" as const, "fromNode" as const), which) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("end" as const), which) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("join" as const), fc.nat({ max: 2 }), fc.constantFrom(0, 1, 3)) },
    { weight: 1, arbitrary: fc.tuple(fc.constant("lose" as const), which) },
    { weight: 2, arbitrary: fc.tuple(fc.constant("look" as const)) },
  );
  fc.assert(fc.property(fc.array(event, { maxLength: 80, size: "max" }), (events) => {
    const world = new World();
    world.join(0, 2);
    const one = <T>(all: Iterable<T>, index: number): T | undefined => { const list = [...all]; return list[index % Math.max(1, list.length)]; };
    for (const step of events) {
      const key = step[0] === "toNode" || step[0] === "start" || step[0] === "fromNode" || step[0] === "lose" ? one(world.nodes.keys(), step[1]) : undefined;
      if (step[0] === "place") world.place(step[1], step[2]);
      if (step[0] === "join") world.join(step[1], step[2]);
      if (step[0] === "look") world.look();
      if (step[0] === "toNode" && key !== undefined) world.nodes.get(key)?.hear();
      if (step[0] === "start" && key !== undefined) world.nodes.get(key)?.start();
      if (step[0] === "fromNode" && key !== undefined) world.hear(key);
      if (step[0] === "lose" && key !== undefined) world.lose(key);
      if (step[0] === "end") { const actorId = one(world.wanted.keys(), step[1]); if (actorId !== undefined) world.end(actorId); }
    }
    // Whoever was withdrawn in vain is withdrawn again when room has lasted for two looks.
    for (let count = 0; count < 2 + 2 * world.wanted.size; count++) {
      world.settle();
      world.look();
    }
    world.settle();
    const living = [...world.nodes.values()].flatMap((node) => [...node.living.keys()]);
    assert.deepEqual([...living].sort(), [...world.wanted.keys()].filter((actorId) => living.includes(actorId)).sort(), "nobody lives who is not wanted, nor twice");
    for (const { available, key } of world.placement.views()) assert.deepEqual(available, { CPU: world.nodes.get(key)?.available }, "what the GCS knows is so");
    for (const { weightless, key } of world.placement.views()) assert.equal(weightless, [...(world.nodes.get(key) as SimulatedNode).living.values()].filter(({ resources }) => isZero(resources)).length);
    for (const [actorId, spec] of world.wanted) {
      if (living.includes(actorId)) continue;
      const { preference } = spec.strategy ?? { preference: { type: "pack" } };
      const able = [...world.nodes.values()].filter((node) => unitsOf(spec) <= node.units);
      const aim = preference.type === "node" ? able.filter((node) => `${node.key}00000000` === preference.nodeId) : [];
      const allowed = aim.length > 0 || (preference.type === "node" && !preference.isSoft) ? aim : able;
      for (const node of allowed) assert.ok(node.available < unitsOf(spec), "nobody waits for what is free");
    }
  }), { numRuns: 400 });
});
