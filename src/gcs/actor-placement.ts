import { isZero, nodeKeyOf, type ActorId, type NodeKey } from "../base/mod.ts";
import type { ActorSpec, NodeLoadRecord, NodeRecord, WantRecord } from "../protocol/mod.ts";
import { chooseNode, distinctWants, type NodeAnswer, type NodeView, type PlacementRequest, takenFromNode } from "../scheduling/mod.ts";

/** After so many looks in vain a waiting actor queues at a node, so that it gets its turn there although no load ever shows room. */
const LOOKS_BEFORE_QUEUE = 2;
/** So many looks it stays in the queue of a node if others could hold it, too, and twice as many in each round of them all. */
const STAY_LOOKS_MIN = 6;
const STAY_LOOKS_MAX = 384;

/** To the node `place`, or `cancel` what was sent there; `withdraw`: it declines what it has no worker for yet. */
export type PlacementInstruction =
  | { readonly type: "place"; readonly node: NodeKey; readonly spec: ActorSpec }
  | { readonly type: "cancel" | "withdraw"; readonly node: NodeKey; readonly actorId: ActorId };

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
  readonly past: Past;
}

/** What an actor has waited for. */
interface Past {
  /** Looks that it has seen. */
  looks: number;
  /** It was queued somewhere and taken away, since there was room elsewhere; when it comes to that again, the room must last. */
  wasWithdrawn: boolean;
  /** Nodes where it has queued in vain, in this round. */
  readonly tried: Set<NodeKey>;
  stayLooks: number;
}

interface Queued {
  readonly waiting: Waiting;
  readonly node: NodeKey;
  /** Looks that it has seen there. */
  looks: number;
  /** Another node had room at the last look. */
  hadRoomElsewhere: boolean;
  isWithdrawn: boolean;
  /** It was withdrawn to queue elsewhere. */
  movesOn: boolean;
}

/**
 * Which node each actor goes to. Pure.
 *
 *   waiting ── a node has room (1) ──▶ sent to that node ── placed ──▶ (gone: its worker's id says where it is)
 *    ▲  │  ▲                              │                   ▲
 *    │  │  └─── the node is lost ─────────┘                   │
 *    │  └────── for long (2) ──▶ queued at a node ── placed ──┘
 *    └─ declined, or node lost ──────┘ withdrawn (3)
 *
 * (1) Waiting actors are tried again, in the order of their arrival, whenever a node's load changes, a node joins, or one that was sent
 *     does not come to be.
 * (2) Where programs take everything as soon as it is free, no load ever shows room. So who has waited for some looks is sent to a node that
 *     could hold it, and takes its turn there among tasks and actors of all programs. Of each program, one at each node at most:
 *     the others may find room elsewhere. What it needs counts as taken when it is placed, not before.
 * (3) When another node has room meanwhile, the node is asked to decline it. It has a worker by then, or it waits again: never both. So
 *     it is after some time at a node if it may queue at another: what is there may be held for good, by other actors say.
 */
export class ActorPlacement {
  readonly #nodes = new Map<NodeKey, Node>();
  readonly #views = new Map<NodeKey, NodeView>();
  readonly #waiting = new Map<ActorId, Waiting>();
  /** How many there are of each kind, with one of them. */
  readonly #waitingKinds = new Map<string, { readonly spec: ActorSpec; count: number }>();
  readonly #queued = new Map<ActorId, Queued>();
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
    for (const { waiting, node: queuedAt } of [...this.#queued.values()]) if (queuedAt === key) this.#waitAgain(waiting);
    return this.#retry();
  }

  /** New, or to start again. */
  place(spec: ActorSpec): PlacementInstruction[] {
    this.ended(spec.actorId);
    const placed = this.#tryPlace(spec);
    if (placed === null) this.#wait(spec);
    return placed === null ? [] : [placed];
  }

  #wait(spec: ActorSpec, past: Past = { looks: 0, wasWithdrawn: false, tried: new Set(), stayLooks: STAY_LOOKS_MIN }): void {
    this.#waitNoMore(spec.actorId);
    const kind = JSON.stringify([spec.resources, spec.bundle, spec.strategy, nodeKeyOf(spec.ownerId)]);
    this.#waiting.set(spec.actorId, { spec, kind, past });
    const ofKind = this.#waitingKinds.get(kind);
    if (ofKind === undefined) this.#waitingKinds.set(kind, { spec, count: 1 });
    else ofKind.count++;
  }

  #waitNoMore(actorId: ActorId): boolean {
    const waiting = this.#waiting.get(actorId) ?? this.#queued.get(actorId)?.waiting;
    if (waiting === undefined) return false;
    this.#waiting.delete(actorId);
    this.#queued.delete(actorId);
    const ofKind = this.#waitingKinds.get(waiting.kind) as { count: number };
    if (--ofKind.count === 0) this.#waitingKinds.delete(waiting.kind);
    return true;
  }

  /** What they wait for. */
  wants(): readonly WantRecord[] {
    return distinctWants(Array.from(this.#waitingKinds.values(), ({ spec }) => [spec, null] as const));
  }

  cancel(actorId: ActorId): PlacementInstruction[] {
    const queuedAt = this.#queued.get(actorId)?.node;
    if (this.#waitNoMore(actorId)) return queuedAt === undefined ? [] : [{ type: "cancel", node: queuedAt, actorId }];
    const key = this.#dropPlacing(actorId);
    return key === null ? [] : [{ type: "cancel", node: key, actorId }, ...this.#retry()];
  }

  /** Its node has found a worker. */
  placed(actorId: ActorId, key: NodeKey): PlacementInstruction[] {
    const node = this.#nodes.get(key);
    const queued = this.#queued.get(actorId);
    node?.placing.delete(actorId);
    if (node === undefined || queued?.node !== key) return [];
    this.#waitNoMore(actorId);
    this.#take(node, queued.waiting.spec, 1);
    this.#look(key);
    return this.#withdrawOverfull(key, node);
  }

  /** What was sent for the room that one of the queue has taken is asked back: it may have room elsewhere. */
  #withdrawOverfull(key: NodeKey, { placing, load, taken }: Node): PlacementInstruction[] {
    const left = new Map(Array.from(taken, ([name, amount]) => [name, (load.available[name] ?? 0) - amount]));
    const out: PlacementInstruction[] = [];
    for (const { actorId, resources, bundle, isShared } of [...placing.values()].reverse()) {
      const needs = takenFromNode(resources, bundle);
      if (isShared || !Object.keys(needs).some((name) => (left.get(name) ?? 0) < 0)) continue;
      for (const name in needs) left.set(name, (left.get(name) ?? 0) + (needs[name] as number));
      out.push({ type: "withdraw", node: key, actorId });
    }
    return out;
  }

  /** Its node takes none any more, or was asked to decline it. */
  declined(actorId: ActorId, node: NodeKey): PlacementInstruction[] {
    const queued = this.#queued.get(actorId);
    if (queued?.node === node) {
      this.#waitAgain(queued.waiting);
      return this.#retry();
    }
    const spec = this.#nodes.get(node)?.placing.get(actorId);
    if (spec === undefined) return [];
    this.#dropPlacing(actorId);
    return [...this.place(spec), ...this.#retry()];
  }

  /** Its node will not take it. */
  refused(actorId: ActorId): PlacementInstruction[] {
    if (this.#queued.has(actorId)) this.#waitNoMore(actorId);
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

  get isAnybodyQueued(): boolean {
    return this.#queued.size > 0;
  }

  /** Time has passed. */
  look(): PlacementInstruction[] {
    const out: PlacementInstruction[] = [];
    const taken = new Set(Array.from(this.#queued.values(), ({ node, waiting }) => placeInQueue(node, waiting)));
    const withoutPlace = new Set<string>();
    for (const waiting of [...this.#waiting.values()]) {
      const equals = `${waiting.spec.jobId} ${waiting.kind}`;
      if (++waiting.past.looks <= LOOKS_BEFORE_QUEUE || withoutPlace.has(equals)) continue;
      const queued = this.#tryQueue(waiting, taken);
      if (queued === null) withoutPlace.add(equals);
      else out.push(queued);
    }
    return [...out, ...this.#withdraw(true), ...this.#moveOn(taken)];
  }

  #tryQueue(waiting: Waiting, taken: Set<string>): PlacementInstruction | null {
    const { spec } = waiting;
    // Those have no resources, so they have room wherever they may be.
    if (spec.isShared) return null;
    const node = this.#nextQueue(waiting, this.#openQueues(waiting, taken));
    if (node === null) return null;
    this.#waiting.delete(spec.actorId);
    this.#queued.set(spec.actorId, { waiting, node, looks: 0, hadRoomElsewhere: false, isWithdrawn: false, movesOn: false });
    taken.add(placeInQueue(node, waiting));
    return { type: "place", node, spec };
  }

  #openQueues(waiting: Waiting, taken: ReadonlySet<string>): NodeView[] {
    return this.views().filter(({ key }) => !taken.has(placeInQueue(key, waiting)));
  }

  /** One where it has not queued yet in this round; when it has been at all, it begins anew. */
  #nextQueue({ spec, past }: Waiting, open: readonly NodeView[]): NodeKey | null {
    const untried = this.#couldHold(spec, open.filter(({ key }) => !past.tried.has(key)));
    if (untried !== null || past.tried.size === 0) return untried;
    past.tried.clear();
    past.stayLooks = Math.min(2 * past.stayLooks, STAY_LOOKS_MAX);
    return this.#couldHold(spec, open);
  }

  /** Of these, the node that it fits best if nothing else were there. */
  #couldHold(spec: ActorSpec, views: readonly NodeView[]): NodeKey | null {
    const answer = chooseNode(views.map((view) => ({ ...view, available: view.totals })), this.#requestOf(spec));
    return answer.type === "node" ? answer.node : null;
  }

  #moveOn(taken: ReadonlySet<string>): PlacementInstruction[] {
    const out: PlacementInstruction[] = [];
    for (const queued of this.#queued.values()) {
      const { waiting: { spec, past }, node } = queued;
      if (queued.isWithdrawn || queued.looks++ < past.stayLooks || this.#couldHold(spec, this.#openQueues(queued.waiting, taken)) === null) continue;
      queued.isWithdrawn = queued.movesOn = true;
      out.push({ type: "withdraw", node, actorId: spec.actorId });
    }
    return out;
  }

  /** One after the other, for they may all mean the same room. */
  #withdraw(isLook: boolean): PlacementInstruction[] {
    const out: PlacementInstruction[] = [];
    let isAsking = [...this.#queued.values()].some(({ isWithdrawn }) => isWithdrawn);
    const answers = new Map<string, NodeAnswer>();
    for (const queued of this.#queued.values()) {
      const { waiting: { spec, kind, past }, node, hadRoomElsewhere } = queued;
      if (!isLook && (isAsking || past.wasWithdrawn)) continue;
      const answer = answers.get(kind) ?? this.#choose(spec);
      answers.set(kind, answer);
      const hasRoomElsewhere = answer.type === "node" && answer.node !== node;
      if (isLook) queued.hadRoomElsewhere = hasRoomElsewhere;
      if (!hasRoomElsewhere || isAsking || (isLook && !hadRoomElsewhere)) continue;
      isAsking = queued.isWithdrawn = true;
      out.push({ type: "withdraw", node, actorId: spec.actorId });
    }
    return out;
  }

  #waitAgain({ spec, past }: Waiting): void {
    const queued = this.#queued.get(spec.actorId);
    if (queued?.movesOn === true) past.tried.add(queued.node);
    else if (queued?.isWithdrawn === true) past.wasWithdrawn = true;
    this.#wait(spec, past);
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
    return [...out, ...this.#withdraw(false)];
  }

  #choose(spec: ActorSpec): NodeAnswer {
    return chooseNode(this.views(), this.#requestOf(spec));
  }

  #requestOf({ resources, bundle, strategy, ownerId }: ActorSpec): PlacementRequest {
    return { resources: takenFromNode(resources, bundle), strategy, ownNode: nodeKeyOf(ownerId), argumentBytes: null, spreadAfter: this.#spreadAfter };
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

function placeInQueue(node: NodeKey, { spec }: Waiting): string {
  return `${node} ${spec.jobId}`;
}

function reduced(available: NodeLoadRecord["available"], taken: ReadonlyMap<string, number>): NodeLoadRecord["available"] {
  const left: Record<string, number> = { ...available };
  for (const [name, amount] of taken) left[name] = (left[name] ?? 0) - amount;
  return left;
}
