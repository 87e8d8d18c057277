import { isZero, nodeKeyOf, type ActorId, type NodeKey } from "../base/mod.ts";
import type { ActorSpec, NodeLoadRecord, NodeRecord, WantRecord } from "../protocol/mod.ts";
import { chooseNode, distinctWants, type NodeAnswer, type NodeView, takenFromNode } from "../scheduling/mod.ts";

/** To the node `place`, or `cancel` what was sent there. */
export type PlacementInstruction =
  | { readonly type: "place"; readonly node: NodeKey; readonly spec: ActorSpec }
  | { readonly type: "cancel"; readonly node: NodeKey; readonly actorId: ActorId };

interface Node {
  readonly record: NodeRecord;
  load: NodeLoadRecord;
  /** Of `load`, what actors take that it does not show yet: those that wait there for a worker, and those placed since. */
  readonly taken: Map<string, number>;
  /** Sent there, and not placed yet. */
  readonly placing: Map<ActorId, ActorSpec>;
  /** Actors without resources that live there or are on their way. */
  weightless: number;
  isDraining: boolean;
}

interface Waiting {
  readonly spec: ActorSpec;
  /** The same for those that have room nowhere together. */
  readonly kind: string;
}

/**
 * Which node each actor goes to. Pure.
 *
 *   waiting ── a node has room ──▶ sent to that node ── placed ──▶ (gone: its worker's id says where it is)
 *      ▲                              │
 *      └──── the node is lost ────────┘
 *
 * Waiting actors are tried again, in the order of their arrival, whenever a node's load changes, a node joins, or one that was sent does
 * not come to be.
 */
export class ActorPlacement {
  readonly #nodes = new Map<NodeKey, Node>();
  readonly #views = new Map<NodeKey, NodeView>();
  readonly #waiting = new Map<ActorId, Waiting>();
  /** How many there are of each kind, with one of them. */
  readonly #waitingKinds = new Map<string, { readonly spec: ActorSpec; count: number }>();
  /** The nodes of actors without resources, which no load shows. */
  readonly #weightless = new Map<ActorId, NodeKey>();
  #spreadAfter: NodeKey | null = null;

  nodeJoined(record: NodeRecord, load: NodeLoadRecord): PlacementInstruction[] {
    this.#nodes.set(load.node, { record, load, taken: new Map(), placing: new Map(), weightless: 0, isDraining: false });
    this.#look(load.node);
    return this.#retry();
  }

  /** It takes nothing new. */
  nodeDrains(key: NodeKey): void {
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    node.isDraining = true;
    this.#look(key);
  }

  loadChanged(load: NodeLoadRecord): PlacementInstruction[] {
    const node = this.#nodes.get(load.node);
    if (node === undefined) return [];
    node.load = load;
    // The node told of those that it had placed before.
    node.taken.clear();
    for (const spec of node.placing.values()) this.#take(node, spec, 1);
    this.#look(load.node);
    return this.#retry();
  }

  /** What was sent there goes elsewhere. Actors that live there are not this class's concern. */
  nodeLost(key: NodeKey): PlacementInstruction[] {
    const node = this.#nodes.get(key);
    if (node === undefined) return [];
    this.#nodes.delete(key);
    this.#views.delete(key);
    for (const spec of node.placing.values()) this.#wait(spec);
    return this.#retry();
  }

  /** New, or to start again. */
  place(spec: ActorSpec): PlacementInstruction[] {
    this.ended(spec.actorId);
    const placed = this.#tryPlace(spec);
    if (placed === null) this.#wait(spec);
    return placed === null ? [] : [placed];
  }

  #wait(spec: ActorSpec): void {
    this.#waitNoMore(spec.actorId);
    const kind = JSON.stringify([spec.resources, spec.bundle, spec.strategy, nodeKeyOf(spec.ownerId)]);
    this.#waiting.set(spec.actorId, { spec, kind });
    const ofKind = this.#waitingKinds.get(kind);
    if (ofKind === undefined) this.#waitingKinds.set(kind, { spec, count: 1 });
    else ofKind.count++;
  }

  #waitNoMore(actorId: ActorId): boolean {
    const waiting = this.#waiting.get(actorId);
    if (waiting === undefined) return false;
    this.#waiting.delete(actorId);
    const ofKind = this.#waitingKinds.get(waiting.kind) as { count: number };
    if (--ofKind.count === 0) this.#waitingKinds.delete(waiting.kind);
    return true;
  }

  /** What they wait for. */
  wants(): readonly WantRecord[] {
    return distinctWants(Array.from(this.#waitingKinds.values(), ({ spec }) => [spec, null] as const));
  }

  cancel(actorId: ActorId): PlacementInstruction[] {
    if (this.#waitNoMore(actorId)) return [];
    const key = this.#dropPlacing(actorId);
    return key === null ? [] : [{ type: "cancel", node: key, actorId }, ...this.#retry()];
  }

  /** Its node has found a worker. */
  placed(actorId: ActorId, node: NodeKey): void {
    this.#nodes.get(node)?.placing.delete(actorId);
  }

  /** Its node takes none any more. */
  declined(actorId: ActorId, node: NodeKey): PlacementInstruction[] {
    const spec = this.#nodes.get(node)?.placing.get(actorId);
    if (spec === undefined) return [];
    this.#dropPlacing(actorId);
    return this.place(spec);
  }

  /** Its node will not take it. */
  refused(actorId: ActorId): PlacementInstruction[] {
    return this.#dropPlacing(actorId) === null ? [] : this.#retry();
  }

  /** The node that it was sent to. */
  #dropPlacing(actorId: ActorId): NodeKey | null {
    for (const [key, node] of this.#nodes) {
      const spec = node.placing.get(actorId);
      if (spec === undefined) continue;
      node.placing.delete(actorId);
      this.#take(node, spec, -1);
      this.#look(key);
      this.ended(actorId);
      return key;
    }
    return null;
  }

  /** It lives no more where it did. */
  ended(actorId: ActorId): void {
    const key = this.#weightless.get(actorId);
    if (key === undefined) return;
    this.#weightless.delete(actorId);
    const node = this.#nodes.get(key);
    if (node === undefined) return;
    node.weightless--;
    this.#look(key);
  }

  /** Those that no node of the cluster could ever hold as it is now, and why. */
  infeasible(): { readonly spec: ActorSpec; readonly reason: string }[] {
    const found: { spec: ActorSpec; reason: string }[] = [];
    for (const { spec } of this.#waiting.values()) {
      // What its placement group has, its node has not told yet.
      if (spec.bundle !== null) continue;
      const answer = this.#choose(spec);
      if (answer.type === "infeasible") found.push({ spec, reason: answer.reason });
    }
    return found;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  #retry(): PlacementInstruction[] {
    const out: PlacementInstruction[] = [];
    const withoutRoom = new Set<string>();
    for (const { spec, kind } of this.#waiting.values()) {
      if (withoutRoom.has(kind)) continue;
      const placed = this.#tryPlace(spec);
      if (placed === null) withoutRoom.add(kind);
      else out.push(placed);
    }
    return out;
  }

  #choose({ resources, bundle, strategy, ownerId }: ActorSpec): NodeAnswer {
    return chooseNode(this.views(), { resources: takenFromNode(resources, bundle), strategy, ownNode: nodeKeyOf(ownerId), argumentBytes: null, spreadAfter: this.#spreadAfter });
  }

  #tryPlace(spec: ActorSpec): PlacementInstruction | null {
    const answer = this.#choose(spec);
    if (answer.type !== "node") return null;
    const node = this.#nodes.get(answer.node) as Node;
    if (spec.strategy?.preference.type === "spread") this.#spreadAfter = answer.node;
    this.#waitNoMore(spec.actorId);
    node.placing.set(spec.actorId, spec);
    this.#take(node, spec, 1);
    if (isZero(takenFromNode(spec.resources, spec.bundle))) {
      node.weightless++;
      this.#weightless.set(spec.actorId, answer.node);
    }
    this.#look(answer.node);
    return { type: "place", node: answer.node, spec };
  }

  #take({ taken }: Node, spec: ActorSpec, sign: 1 | -1): void {
    const resources = takenFromNode(spec.resources, spec.bundle);
    for (const name in resources) taken.set(name, (taken.get(name) ?? 0) + sign * (resources[name] as number));
  }

  views(): readonly NodeView[] {
    return [...this.#views.values()];
  }

  /** How the node is seen from now on. */
  #look(key: NodeKey): void {
    const { record: { nodeId, labels }, load, taken, weightless, isDraining } = this.#nodes.get(key) as Node;
    const available = taken.size === 0 ? load.available : reduced(load.available, taken);
    this.#views.set(key, { key, nodeId, labels, totals: load.totals, available, isAlive: true, isDraining, weightless });
  }
}

function reduced(available: NodeLoadRecord["available"], taken: ReadonlyMap<string, number>): NodeLoadRecord["available"] {
  const left: Record<string, number> = { ...available };
  for (const [name, amount] of taken) left[name] = (left[name] ?? 0) - amount;
  return left;
}
