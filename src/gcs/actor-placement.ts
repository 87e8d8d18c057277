import { isZero, nodeKeyOf, type ActorId, type NodeKey } from "../base/mod.ts";
import type { ActorSpec, NodeLoadRecord, NodeRecord } from "../protocol/mod.ts";
import { chooseNode, type NodeAnswer, type NodeView, takenFromNode } from "../scheduling/mod.ts";

/** To the node `place`, or `cancel` what was sent there. */
export type PlacementInstruction =
  | { readonly type: "place"; readonly node: NodeKey; readonly spec: ActorSpec }
  | { readonly type: "cancel"; readonly node: NodeKey; readonly actorId: ActorId };

interface Node {
  readonly record: NodeRecord;
  load: NodeLoadRecord;
  /** Of `load`, what actors take that were sent there since. */
  readonly taken: Map<string, number>;
  readonly placing: Map<ActorId, ActorSpec>;
  /** Actors without resources that live there or are on their way. */
  weightless: number;
  isDraining: boolean;
}

/**
 * Which node each actor goes to. Pure.
 *
 *   waiting ── a node has room ──▶ sent to that node ── placed ──▶ (gone: its worker's id says where it is)
 *      ▲                              │
 *      └──── the node is lost ────────┘
 *
 * Waiting actors are tried again, in the order of their arrival, whenever a node's load changes or a node joins.
 */
export class ActorPlacement {
  readonly #nodes = new Map<NodeKey, Node>();
  readonly #waiting = new Map<ActorId, ActorSpec>();
  /** The nodes of actors without resources, which no load shows. */
  readonly #weightless = new Map<ActorId, NodeKey>();
  #spreadAfter: NodeKey | null = null;

  nodeJoined(record: NodeRecord, load: NodeLoadRecord): PlacementInstruction[] {
    this.#nodes.set(load.node, { record, load, taken: new Map(), placing: new Map(), weightless: 0, isDraining: false });
    return this.#retry();
  }

  /** It takes nothing new. */
  nodeDrains(key: NodeKey): void {
    const node = this.#nodes.get(key);
    if (node !== undefined) node.isDraining = true;
  }

  loadChanged(load: NodeLoadRecord): PlacementInstruction[] {
    const node = this.#nodes.get(load.node);
    if (node === undefined) return [];
    node.load = load;
    node.taken.clear();
    return this.#retry();
  }

  /** What was sent there goes elsewhere. Actors that live there are not this class's concern. */
  nodeLost(key: NodeKey): PlacementInstruction[] {
    const node = this.#nodes.get(key);
    if (node === undefined) return [];
    this.#nodes.delete(key);
    for (const [actorId, spec] of node.placing) this.#waiting.set(actorId, spec);
    return this.#retry();
  }

  place(spec: ActorSpec): PlacementInstruction[] {
    this.#waiting.set(spec.actorId, spec);
    return this.#tryPlace(spec);
  }

  cancel(actorId: ActorId): PlacementInstruction[] {
    if (this.#waiting.delete(actorId)) return [];
    for (const [key, node] of this.#nodes) {
      if (!node.placing.delete(actorId)) continue;
      this.ended(actorId);
      return [{ type: "cancel", node: key, actorId }];
    }
    return [];
  }

  /** Its node has found a worker. */
  placed(actorId: ActorId, node: NodeKey): void {
    this.#nodes.get(node)?.placing.delete(actorId);
  }

  /** Its node will not take it. */
  refused(actorId: ActorId): void {
    for (const node of this.#nodes.values()) node.placing.delete(actorId);
    this.ended(actorId);
  }

  /** It lives no more where it did. */
  ended(actorId: ActorId): void {
    const key = this.#weightless.get(actorId);
    if (key === undefined) return;
    this.#weightless.delete(actorId);
    const node = this.#nodes.get(key);
    if (node !== undefined) node.weightless--;
  }

  /** Those that no node of the cluster could ever hold as it is now, and why. */
  infeasible(): { readonly spec: ActorSpec; readonly reason: string }[] {
    const found: { spec: ActorSpec; reason: string }[] = [];
    for (const spec of this.#waiting.values()) {
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
    for (const spec of this.#waiting.values()) out.push(...this.#tryPlace(spec));
    return out;
  }

  #choose({ resources, bundle, strategy, ownerId }: ActorSpec): NodeAnswer {
    return chooseNode(this.views(), { resources: takenFromNode(resources, bundle), strategy, ownNode: nodeKeyOf(ownerId), argumentBytes: null, spreadAfter: this.#spreadAfter });
  }

  #tryPlace(spec: ActorSpec): PlacementInstruction[] {
    const answer = this.#choose(spec);
    if (answer.type !== "node") return [];
    const node = this.#nodes.get(answer.node) as Node;
    if (spec.strategy?.preference.type === "spread") this.#spreadAfter = answer.node;
    this.#waiting.delete(spec.actorId);
    node.placing.set(spec.actorId, spec);
    const resources = takenFromNode(spec.resources, spec.bundle);
    for (const name in resources) node.taken.set(name, (node.taken.get(name) ?? 0) + (resources[name] as number));
    if (isZero(resources)) {
      node.weightless++;
      this.#weightless.set(spec.actorId, answer.node);
    }
    return [{ type: "place", node: answer.node, spec }];
  }

  views(): NodeView[] {
    return Array.from(this.#nodes, ([key, { record, load, taken, weightless, isDraining }]) => ({
      key, nodeId: record.nodeId, labels: record.labels, totals: load.totals, available: taken.size === 0 ? load.available : reduced(load.available, taken), isAlive: true, isDraining, weightless,
    }));
  }
}

function reduced(available: NodeLoadRecord["available"], taken: ReadonlyMap<string, number>): NodeLoadRecord["available"] {
  const left: Record<string, number> = { ...available };
  for (const [name, amount] of taken) left[name] = (left[name] ?? 0) - amount;
  return left;
}
