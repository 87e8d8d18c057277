import type { NodeKey, PlacementGroupId, ResourceAmounts, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { LeaseShape } from "../protocol/mod.ts";
import { chooseNode, describeRefusal, distribute, feasibleNodes, fits, meetsConditions, type NodeView, type PlacementRequest, takenFromNode } from "../scheduling/mod.ts";

/** Leases that are waited for at a node without room, by owners whose own node could never hold them. */
const WAITING_FAR_MAX = 2;

export type SpillInstruction =
  /** Of this node's own scheduler; as a demand of the owner's. */
  | { readonly type: "askHere"; readonly ownerId: WorkerId; readonly key: string; readonly shape: LeaseShape; readonly target: number; readonly priority: number }
  | { readonly type: "askThere"; readonly node: NodeKey; readonly ownerId: WorkerId; readonly key: string; readonly shape: LeaseShape; readonly target: number; readonly priority: number }
  /** The owner is asked to name the arguments of so many tasks, which can go to nodes that have room for them. */
  | { readonly type: "nameArguments"; readonly ownerId: WorkerId; readonly key: string; readonly count: number }
  | { readonly type: "refuse"; readonly ownerId: WorkerId; readonly key: string; readonly error: SystemErrorRecord };

type SharedWish = Pick<Wish, "ownerId" | "key" | "shape">;

/** What one owner of this node wants of leases with one key, here and elsewhere. */
interface Wish {
  readonly ownerId: WorkerId;
  readonly key: string;
  readonly shape: LeaseShape;
  priority: number;
  /** All ever wanted, the granted ones included. */
  target: number;
  askedHere: number;
  grantedHere: number;
  /** By node: as told last, and as granted. */
  readonly asked: Map<NodeKey, number>;
  readonly granted: Map<NodeKey, number>;
  /** Of nodes that are gone. */
  grantedByLost: number;
  /** None had room when it was last looked: a few wait in the queue of one. */
  isQueued: boolean;
  /** No node could ever hold it, when it was last looked. */
  isInfeasible: boolean;
  /** Of tasks with unnamed arguments, since its owner was heard last. */
  isAskedForNames: boolean;
  /** Its owner has all that it wants, and will not ask under this key again. */
  isOver: boolean;
}

/**
 * Where the owners of this node get their leases: here while there is room, and what has no room here from the nodes that fit best. Pure.
 *
 * A demand is a number, not an order, here as at other nodes: it may be told again, raised, and withdrawn by telling what was granted
 * already. So a view of another node that was out of date does no harm: what that node could not grant is asked for elsewhere when
 * its next view comes, and a lease too many goes back unused.
 */
export class SpillOver {
  readonly #node: NodeKey;
  readonly #wishes = new Map<string, Wish>();
  readonly #others = new Map<NodeKey, NodeView>();
  /** Where the last lease of SPREAD was asked for: whoever wants some next begins behind it. */
  #spreadAfter: NodeKey;
  /** What the last plan found no room for, here or anywhere. */
  #unmet: SharedWish[] = [];

  constructor(node: NodeKey) {
    this.#node = node;
    this.#spreadAfter = node;
  }

  // ------------------------------------------------------------------ other nodes

  nodeSeen(view: NodeView): void {
    this.#others.set(view.key, view);
  }

  nodeLost(node: NodeKey): void {
    this.#others.delete(node);
    for (const wish of this.#wishes.values()) {
      wish.grantedByLost += wish.granted.get(node) ?? 0;
      wish.granted.delete(node);
      wish.asked.delete(node);
    }
  }

  // ------------------------------------------------------------------ owners

  demand(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): void {
    const id = idOf(ownerId, key);
    const known = this.#wishes.get(id);
    if (known === undefined) {
      this.#wishes.set(id, { ownerId, key, shape, priority, target, askedHere: 0, grantedHere: 0, asked: new Map(), granted: new Map(), grantedByLost: 0, isQueued: false, isInfeasible: false, isAskedForNames: false, isOver: endsKey(shape, target) });
      return;
    }
    known.isOver = endsKey(shape, target);
    known.isAskedForNames = false;
    known.target = target;
    known.priority = priority;
  }

  ownerLost(ownerId: WorkerId): void {
    for (const [id, wish] of this.#wishes) if (wish.ownerId === ownerId) this.#wishes.delete(id);
  }

  /** Tasks that other nodes could run wait for all of these: whether in vain is not seen from here. */
  mayRunElsewhere(ownerId: WorkerId, key: string, own: NodeView): boolean {
    const shape = this.#wishes.get(idOf(ownerId, key))?.shape;
    if (shape === undefined) return false;
    const able = feasibleNodes([own, ...this.#others.values()], { resources: takenFromNode(shape.resources, shape.bundle), strategy: shape.strategy });
    return able.some((view) => view.key !== this.#node);
  }

  /** Nothing that is not granted is wanted any more. */
  refused(ownerId: WorkerId, key: string, node: NodeKey): void {
    const wish = this.#wishes.get(idOf(ownerId, key));
    if (wish === undefined) return;
    wish.target = this.#granted(wish);
    // That node has dropped what it has not granted: whoever wants it again must ask again, also for as much.
    if (node === this.#node) wish.askedHere = wish.grantedHere;
    else wish.asked.set(node, wish.granted.get(node) ?? 0);
  }

  /** Those who wait for leases in the group, wherever they were asked for, and for whom there is an error. */
  refuseInGroup(groupId: PlacementGroupId, errorFor: (shape: LeaseShape) => SystemErrorRecord | null): SpillInstruction[] {
    const out: SpillInstruction[] = [];
    for (const wish of this.#wishes.values()) {
      const { ownerId, key, shape } = wish;
      const error = shape.bundle?.groupId === groupId && wish.target > this.#granted(wish) ? errorFor(shape) : null;
      if (error === null) continue;
      wish.target = this.#granted(wish);
      out.push({ type: "refuse", ownerId, key, error });
    }
    return out;
  }

  granted(ownerId: WorkerId, key: string, node: NodeKey): void {
    const wish = this.#wishes.get(idOf(ownerId, key));
    if (wish === undefined) return;
    if (wish.isQueued && isSpread(wish.shape)) this.#spreadAfter = node;
    if (node === this.#node) wish.grantedHere++;
    else wish.granted.set(node, (wish.granted.get(node) ?? 0) + 1);
  }

  #granted({ grantedHere, granted, grantedByLost }: Wish): number {
    let count = grantedHere + grantedByLost;
    for (const there of granted.values()) count += there;
    return count;
  }

  // ------------------------------------------------------------------ plan

  get isAnythingMissing(): boolean {
    for (const wish of this.#wishes.values()) if (wish.target > this.#granted(wish)) return true;
    return false;
  }

  /** What to ask for here, first of all; then `planThere`, when it has been seen what this node has granted at once. */
  planHere(own: NodeView): SpillInstruction[] {
    const out: SpillInstruction[] = [];
    for (const wish of this.#wishes.values()) {
      if (wish.isOver) {
        this.#askHere(wish, 0, out);
        continue;
      }
      if (this.#isForAll(wish.shape, own)) continue;
      const missing = wish.target - this.#granted(wish);
      const here = missing > 0 && this.#mayRunHere(wish.shape, own) ? missing : 0;
      this.#askHere(wish, wish.grantedHere + here, out);
    }
    return out;
  }

  /** This node is one of many, though its owner's: it does not come first. */
  #isForAll({ strategy, near, arguments: large }: LeaseShape, own: NodeView): boolean {
    if (near !== undefined && this.#others.has(near)) return true;
    if (this.#others.size === 0) return false;
    // Whatever node is asked may fetch them, so no more of them are asked than will be needed.
    if (large?.type === "named" || large?.areNear === false) return true;
    if (strategy === null) return false;
    const { preference } = strategy;
    return isSpread({ strategy }) || (preference.type === "labels" && !meetsConditions(own.labels, preference.preferred));
  }

  #mayRunHere(shape: LeaseShape, own: NodeView): boolean {
    if (shape.strategy?.preference.type !== "node") return feasibleNodes([own], shape).length > 0;
    return feasibleNodes([own, ...this.#others.values()], shape).includes(own);
  }

  get unmet(): readonly SharedWish[] { return this.#unmet; }

  planThere(own: NodeView): SpillInstruction[] {
    const out: SpillInstruction[] = [];
    this.#unmet = [];
    const others = [...this.#others.values()];
    // What this very plan sends somewhere is not there for the next wish.
    const left = new Map(others.map((view) => [view.key, view]));
    const unnamed: Wish[] = [];
    let namedMissing = 0;
    for (const [id, wish] of this.#wishes) {
      if (wish.isOver) {
        this.#end(wish, out);
        this.#wishes.delete(id);
        continue;
      }
      if (wish.shape.arguments?.type === "unnamed" && others.length > 0) {
        unnamed.push(wish);
        continue;
      }
      const missing = wish.target - this.#granted(wish);
      if (wish.shape.arguments !== undefined && missing > 0) namedMissing++;
      const isForAll = this.#isForAll(wish.shape, own);
      const asked = missing <= 0 ? NOWHERE : isForAll ? this.#amongAll(wish, missing, [own, ...left.values()], (lastNode) => { this.#spreadAfter = lastNode; }) : this.#overflow(wish, missing, own, [...left.values()]);
      for (const view of others) {
        const more = asked.get(view.key) ?? 0;
        const target = (wish.granted.get(view.key) ?? 0) + more;
        if (more > 0) left.set(view.key, taken(left.get(view.key) as NodeView, takenFromNode(wish.shape.resources, wish.shape.bundle), more));
        this.#askThere(wish, view.key, target, out);
      }
      if (isForAll) this.#askHere(wish, wish.grantedHere + (asked.get(this.#node) ?? 0), out);
    }
    // Those that were named before have their places.
    for (const wish of unnamed) this.#planUnnamed(wish, own, left, namedMissing, out);
    return out;
  }

  /** The node with all of their arguments is asked for leases; for others the tasks are named one by one. */
  #planUnnamed(wish: Wish, own: NodeView, left: Map<NodeKey, NodeView>, namedMissing: number, out: SpillInstruction[]): void {
    const { shape } = wish;
    const near = shape.arguments?.type === "unnamed" && shape.arguments.areNear ? (shape.near ?? null) : null;
    const missing = wish.target - this.#granted(wish);
    const isForAll = this.#isForAll(shape, own);
    const counts = missing <= 0 ? NOWHERE : isForAll ? this.#amongAll(wish, missing, [own, ...left.values()]) : this.#overflow(wish, missing, own, [...left.values()]);
    const before = [...left.values()];
    let toBeNamed = 0;
    for (const [node, count] of counts) {
      if (node !== near) toBeNamed += count;
      const view = left.get(node);
      if (view !== undefined) left.set(node, taken(view, takenFromNode(shape.resources, shape.bundle), count));
    }
    if (near !== null && near !== this.#node) this.#askThere(wish, near, (wish.granted.get(near) ?? 0) + (counts.get(near) ?? 0), out);
    // Without room anywhere a few wait in a queue, and their arguments are fetched meanwhile.
    if (toBeNamed > 0 && !this.#hasRoom(shape, [own, ...before])) toBeNamed = Math.min(toBeNamed, WAITING_FAR_MAX - namedMissing);
    if (toBeNamed <= 0 || wish.isAskedForNames) return;
    wish.isAskedForNames = true;
    out.push({ type: "nameArguments", ownerId: wish.ownerId, key: wish.key, count: toBeNamed });
  }

  #hasRoom({ resources, bundle }: LeaseShape, views: readonly NodeView[]): boolean {
    return views.some(({ available }) => fits(takenFromNode(resources, bundle), available));
  }

  #end(wish: Wish, out: SpillInstruction[]): void {
    for (const node of wish.asked.keys()) if (this.#others.has(node)) this.#askThere(wish, node, 0, out);
  }

  #askThere(wish: Wish, node: NodeKey, target: number, out: SpillInstruction[]): void {
    if (target === (wish.asked.get(node) ?? 0)) return;
    wish.asked.set(node, target);
    out.push({ type: "askThere", node, ownerId: wish.ownerId, key: wish.key, shape: wish.shape, target, priority: wish.priority });
  }

  #askHere(wish: Wish, target: number, out: SpillInstruction[]): void {
    if (target === wish.askedHere) return;
    wish.askedHere = target;
    out.push({ type: "askHere", ownerId: wish.ownerId, key: wish.key, shape: wish.shape, target, priority: wish.priority });
  }

  /** What this node has no room for. */
  #overflow(wish: Wish, missing: number, own: NodeView, others: readonly NodeView[]): ReadonlyMap<NodeKey, number> {
    const { shape } = wish;
    const mayRunHere = this.#mayRunHere(shape, own);
    const farWanted = missing - (mayRunHere ? roomFor(takenFromNode(shape.resources, shape.bundle), own.available, missing) : 0);
    if (farWanted <= 0 || others.length === 0) return NOWHERE;
    // Of one node that is to be waited for, the others are none.
    const able = shape.strategy?.preference.type === "node" ? feasibleNodes([own, ...others], shape).filter((view) => view !== own) : others;
    const request = requestOf(shape, null, null);
    const { counts } = distribute(farWanted, able, request);
    this.#look(wish, farWanted, counts);
    // A bundle that is waited for here may be on another node.
    const mayBeHere = mayRunHere && fits(request.resources, own.totals);
    return counts.size > 0 || mayBeHere ? counts : this.#queueAtOne(able, missing, request);
  }

  /** `placed` hears where the last one goes of those that were not asked for yet. */
  #amongAll(wish: Wish, missing: number, all: readonly NodeView[], placed?: (lastNode: NodeKey) => void): ReadonlyMap<NodeKey, number> {
    const { shape } = wish;
    const request = requestOf(shape, this.#node, this.#spreadAfter);
    const counts = new Map(isSpread(shape) ? this.#stillAsked(wish, missing, all, request) : NOWHERE);
    const views = all.map((view) => taken(view, request.resources, counts.get(view.key) ?? 0));
    const { counts: more, lastNode } = distribute(missing - sumOf(counts), views, request);
    if (lastNode !== null) placed?.(lastNode);
    for (const [node, count] of more) counts.set(node, (counts.get(node) ?? 0) + count);
    this.#look(wish, missing, counts);
    wish.isQueued = counts.size === 0;
    return wish.isQueued ? this.#queueAtOne(all, missing, request) : counts;
  }

  /**
   * What was asked for and is not granted yet, where there is still room. Nodes answer in any order: to begin behind the one that was
   * first would take their places from those that answer later.
   */
  #stillAsked({ asked, granted, askedHere, grantedHere }: Wish, missing: number, all: readonly NodeView[], request: PlacementRequest): ReadonlyMap<NodeKey, number> {
    const kept = new Map<NodeKey, number>();
    let left = missing;
    for (const { key, available } of feasibleNodes(all, request)) {
      const pending = key === this.#node ? askedHere - grantedHere : (asked.get(key) ?? 0) - (granted.get(key) ?? 0);
      const count = Math.min(left, roomFor(request.resources, available, pending));
      if (count <= 0) continue;
      kept.set(key, count);
      left -= count;
    }
    return kept;
  }

  #look(wish: Wish, wanted: number, counts: ReadonlyMap<NodeKey, number>): void {
    if (sumOf(counts) < wanted) this.#unmet.push(wish);
  }

  /** Whoever waits in nobody's queue is never given anything back for. */
  #queueAtOne(views: readonly NodeView[], missing: number, request: PlacementRequest): ReadonlyMap<NodeKey, number> {
    const answer = chooseNode(views.map((view) => ({ ...view, available: view.totals })), request);
    return answer.type === "node" ? new Map([[answer.node, Math.min(missing, WAITING_FAR_MAX)]]) : NOWHERE;
  }

  /** Those that no node could ever hold, at this look and the one before: they are refused. */
  refuseInfeasible(own: NodeView): SpillInstruction[] {
    const out: SpillInstruction[] = [];
    for (const wish of this.#wishes.values()) {
      // A placement group that is not there yet is waited for.
      if (wish.target <= this.#granted(wish) || wish.shape.bundle !== null) continue;
      const answer = chooseNode([own, ...this.#others.values()], requestOf(wish.shape, this.#node, null));
      if (answer.type !== "infeasible") {
        wish.isInfeasible = false;
      } else if (!wish.isInfeasible) {
        wish.isInfeasible = true;
      } else {
        wish.isInfeasible = false;
        wish.target = this.#granted(wish);
        const message = describeRefusal(answer.reason, wish.shape.strategy, "run");
        out.push({ type: "refuse", ownerId: wish.ownerId, key: wish.key, error: { kind: "TaskUnschedulableError", message, subjectId: null } });
      }
    }
    return out;
  }
}

const NOWHERE: ReadonlyMap<NodeKey, number> = new Map();

function isSpread({ strategy }: Pick<LeaseShape, "strategy">): boolean {
  return strategy?.preference.type === "spread";
}

function sumOf(counts: ReadonlyMap<NodeKey, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function endsKey(shape: LeaseShape, target: number): boolean {
  return target === 0 && shape.arguments?.type === "named";
}

function idOf(ownerId: WorkerId, key: string): string {
  return `${ownerId}/${key}`;
}

function requestOf({ resources, bundle, strategy, near }: LeaseShape, ownNode: NodeKey | null, spreadAfter: NodeKey | null): PlacementRequest {
  return { resources: takenFromNode(resources, bundle), strategy, ownNode, argumentBytes: near === undefined ? null : new Map([[near, 1]]), spreadAfter };
}

function roomFor(resources: ResourceAmounts, available: ResourceAmounts, countMax: number): number {
  if (!fits(resources, available)) return 0;
  let room = countMax;
  for (const name in resources) if ((resources[name] as number) > 0) room = Math.min(room, Math.floor((available[name] ?? 0) / (resources[name] as number)));
  return room;
}

function taken(view: NodeView, resources: ResourceAmounts, count: number): NodeView {
  const available: Record<string, number> = { ...view.available };
  for (const name in resources) available[name] = (available[name] ?? 0) - count * (resources[name] as number);
  return { ...view, available };
}
