import { isZero, UNITS_PER_RESOURCE, type NodeKey, type ResourceAmounts } from "../base/mod.ts";
import type { NodePreference } from "../protocol/mod.ts";
import { isGroupResource } from "./bundle-resources.ts";
import { describeInfeasible, feasibleNodes } from "./infeasibility.ts";
import { meetsConditions } from "./label-selector.ts";
import type { NodeView } from "./node-view.ts";
import type { PlacementRequest } from "./placement-request.ts";
import { Ranking } from "./ranking.ts";

export type NodeAnswer =
  | { readonly type: "node"; readonly node: NodeKey }
  /** A node could hold it, but none has room now. */
  | { readonly type: "wait" }
  /** No node of those known could ever hold it. `reason` follows "needs …". */
  | { readonly type: "infeasible"; readonly reason: string };

export interface Distribution {
  readonly counts: ReadonlyMap<NodeKey, number>;
  /** The node that came last, for `spreadAfter`. Null when nothing was placed. */
  readonly lastNode: NodeKey | null;
}

/** A node is filled up to this part of what it has before the next one is begun. */
const PACKED_LOAD_MAX = 0.5;
/** They are kept for those who ask for them. */
const SCARCE = "GPU";

/**
 * The node for one request. Pure, and whatever the order of the views: equal ones are told apart by their keys.
 *
 * Among nodes that are alive, have the labels and have room:
 *
 * - `pack`, as without a strategy: the node that holds most bytes of the arguments; else the own node; else those without GPUs
 *   if none is asked for; else the first that is less than half full, so that few nodes are used; else the least loaded one.
 * - `spread`: the next one in the order of their keys, behind `spreadAfter`.
 * - `node`: that node, even if it has to be waited for. Soft: as `pack`, once that node is gone or could never hold the request.
 * - `labels`: as `pack` among those that meet what is preferred, else among all.
 *
 * What takes no resources always has room. Of these, each that a node has counts as one processor in use there, so that a thousand
 * actors do not all live where they were made.
 */
export function chooseNode(views: readonly NodeView[], request: PlacementRequest): NodeAnswer {
  const feasible = feasibleNodes(views, request);
  if (feasible.length === 0) return { type: "infeasible", reason: describeInfeasible(views, request) };
  const { lastNode } = place(1, feasible, request);
  return lastNode === null ? { type: "wait" } : { type: "node", node: lastNode };
}

/**
 * Nodes for `count` equal requests at once, as if `chooseNode` had been asked for one after the other: as many of them as have room. The
 * map is empty when none has; `chooseNode` says whether waiting helps.
 */
export function distribute(count: number, views: readonly NodeView[], request: PlacementRequest): Distribution {
  return place(count, feasibleNodes(views, request), request);
}

/** A node with what is placed there by this very distribution. */
interface Spot {
  readonly view: NodeView;
  readonly argumentBytes: number;
  readonly hasScarce: boolean;
  /** How many more have room. */
  room: number;
  placed: number;
  /** The largest part in use of anything that the node has; 0 up to `PACKED_LOAD_MAX`. */
  load: number;
  isOwn: boolean;
}

function place(count: number, feasible: readonly NodeView[], request: PlacementRequest): Distribution {
  const counts = new Map<NodeKey, number>();
  let lastNode: NodeKey | null = null;
  let left = count;
  if (left === 0) return { counts, lastNode };
  for (const { view: { key }, placed } of oneByOne(feasible, request)) {
    counts.set(key, placed);
    lastNode = key;
    if (--left === 0) break;
  }
  return { counts, lastNode };
}

/** Where each of them goes, for as long as there is room. */
function* oneByOne(feasible: readonly NodeView[], request: PlacementRequest): Generator<Spot> {
  for (const views of preferredFirst(feasible, request)) {
    const spots = spotsOf(views, request);
    if (request.strategy?.preference.type === "spread") {
      for (let round = behind(spots, request.spreadAfter); round.length > 0; round = round.filter(({ room }) => room > 0)) {
        for (const spot of round) yield taken(spot);
      }
      continue;
    }
    const ranking = new Ranking(spots, compareSpots);
    for (let spot = ranking.first; spot !== undefined; spot = ranking.first) {
      yield taken(spot);
      if (spot.room === 0) {
        ranking.dropFirst();
      } else {
        weigh(spot, request);
        ranking.firstChanged();
      }
    }
  }
}

function taken(spot: Spot): Spot {
  spot.room--;
  spot.placed++;
  return spot;
}

/** In parts: a part is looked at when those before it have no room left. */
function preferredFirst(feasible: readonly NodeView[], { strategy }: PlacementRequest): (readonly NodeView[])[] {
  const preference: NodePreference | undefined = strategy?.preference;
  if (preference?.type !== "labels") return [feasible];
  const isPreferred = (view: NodeView): boolean => meetsConditions(view.labels, preference.preferred);
  return [feasible.filter(isPreferred), feasible.filter((view) => !isPreferred(view))];
}

function spotsOf(views: readonly NodeView[], request: PlacementRequest): Spot[] {
  const isScarceWanted = request.resources[SCARCE] !== undefined;
  const spots: Spot[] = [];
  for (const view of views) {
    const room = roomFor(request.resources, view.available);
    if (room < 1) continue;
    const spot: Spot = { view, argumentBytes: request.argumentBytes?.get(view.key) ?? 0, hasScarce: !isScarceWanted && (view.totals[SCARCE] ?? 0) > 0, room, placed: 0, load: 0, isOwn: false };
    weigh(spot, request);
    spots.push(spot);
  }
  return spots;
}

function roomFor(resources: ResourceAmounts, available: ResourceAmounts): number {
  let room = Infinity;
  for (const name in resources) room = Math.min(room, Math.floor((available[name] ?? 0) / (resources[name] as number)));
  return room;
}

function weigh(spot: Spot, { resources, ownNode }: PlacementRequest): void {
  const { view: { key, totals, available, weightless }, placed } = spot;
  let load = 0;
  for (const name in totals) {
    const total = totals[name] as number;
    // What groups have set aside is missing from the node's own resources already.
    if (total > 0 && !isGroupResource(name)) load = Math.max(load, (total - (available[name] ?? 0) + placed * (resources[name] ?? 0)) / total);
  }
  spot.isOwn = key === ownNode;
  if (isZero(resources)) {
    const processors = Math.max(1, (totals["CPU"] ?? 0) / UNITS_PER_RESOURCE);
    load += (weightless + placed) / processors;
    spot.isOwn &&= weightless + placed < processors;
  }
  spot.load = load < PACKED_LOAD_MAX ? 0 : load;
}

/** Negative when `a` comes first. */
function compareSpots(a: Spot, b: Spot): number {
  return b.argumentBytes - a.argumentBytes || Number(b.isOwn) - Number(a.isOwn) || Number(a.hasScarce) - Number(b.hasScarce) || a.load - b.load || (a.view.key < b.view.key ? -1 : 1);
}

/** In the order of the keys, from the one behind `after` on. */
function behind(spots: readonly Spot[], after: NodeKey | null): Spot[] {
  const sorted = [...spots].sort((a, b) => (a.view.key < b.view.key ? -1 : 1));
  const first = after === null ? 0 : sorted.findIndex(({ view }) => view.key > after);
  return first <= 0 ? sorted : [...sorted.slice(first), ...sorted.slice(0, first)];
}
