import { isZero, type ActorId, type JobId, type PlacementGroupId, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import type { LeaseShape, WorkerKind } from "../protocol/mod.ts";
import type { ResourceLedger } from "../scheduling/mod.ts";
import { Shares } from "./turns.ts";
import type { Lease, LeaseHoldings, PoolWorker, WorkerPool } from "./worker-pool.ts";

/** Leases that one owner wants for tasks of one shape. */
export interface Demand {
  readonly ownerId: WorkerId;
  readonly jobId: JobId;
  /** As in PoolWorker. */
  readonly rootId: WorkerId;
  readonly key: string;
  readonly shape: LeaseShape;
  readonly holdings: LeaseHoldings;
  readonly kindKey: string;
  /** Of the task that comes next. */
  priority: number;
  target: number;
  granted: number;
}

/** An actor that waits for a worker. */
export interface ActorPlacement {
  readonly actorId: ActorId;
  readonly jobId: JobId;
  /** As in PoolWorker. Null: its worker is one itself. */
  readonly rootId: WorkerId | null;
  readonly kind: WorkerKind;
  readonly kindKey: string;
  /** The placement group that it is to live in. */
  readonly groupId: PlacementGroupId | null;
  readonly holds: ResourceAmounts;
  readonly mayRestart: boolean;
}

/** What a job waits for. */
export interface Wishes {
  readonly placements: ActorPlacement[];
  readonly demands: Demand[];
  /** They want a slot. */
  readonly leases: Lease[];
}

/** By job; null when there are none. Whatever has no room now will have none while others are served. */
export function wishesWithRoom(placements: Iterable<ActorPlacement>, demands: Iterable<Demand>, leases: Iterable<Lease>, ledger: ResourceLedger): Map<JobId, Wishes> | null {
  let wishes: Map<JobId, Wishes> | null = null;
  for (const placement of placements) {
    if (ledger.hasRoomFor(placement.holds)) wishesOf((wishes ??= new Map()), placement.jobId).placements.push(placement);
  }
  for (const demand of demands) {
    if (demand.granted < demand.target && ledger.hasRoomFor(demand.holdings.all)) wishesOf((wishes ??= new Map()), demand.jobId).demands.push(demand);
  }
  for (const lease of leases) {
    // With a slot of its own again (a waiting task went on) it needs no other for now.
    if (lease.wantsSlot && lease.slots === 0 && ledger.hasRoomFor(lease.slotHolds)) wishesOf((wishes ??= new Map()), lease.jobId).leases.push(lease);
  }
  return wishes;
}

function wishesOf(wishes: Map<JobId, Wishes>, jobId: JobId): Wishes {
  let found = wishes.get(jobId);
  if (found === undefined) wishes.set(jobId, (found = { placements: [], demands: [], leases: [] }));
  return found;
}

/** Who waits for resources that are in use, after all that could be granted was. */
export function findStarved(waitingGroups: Iterable<PlacementGroupId>, placements: Iterable<ActorPlacement>, demands: Iterable<Demand>, leases: Iterable<Lease>, ledger: ResourceLedger): Set<string> {
  const starved = new Set<string>(waitingGroups);
  // Not of a placement group that is not there: nobody could give that back.
  const isInUse = (holds: ResourceAmounts): boolean => !ledger.hasRoomFor(holds) && ledger.canEverHold(holds);
  for (const { actorId, holds } of placements) if (isInUse(holds)) starved.add(actorId);
  for (const demand of demands) if (demand.granted < demand.target && isInUse(demand.holdings.all)) starved.add(sharerOf(demand));
  for (const lease of leases) if (lease.wantsSlot && lease.slots === 0) starved.add(sharerOf(lease));
  return starved;
}

/** Whether somebody waits for resources of this placement group. */
export function isAskedFor(wantedId: PlacementGroupId, demands: Iterable<Demand>, placements: Iterable<ActorPlacement>): boolean {
  for (const { shape } of demands) if (shape.bundle?.groupId === wantedId) return true;
  for (const { groupId } of placements) if (groupId === wantedId) return true;
  return false;
}

/** How many more workers could be put to use at once, by the key of their kind: no more than there are resources for. */
export function workersWanted(placements: Iterable<ActorPlacement>, demands: Iterable<Demand>, workers: WorkerPool, ledger: ResourceLedger, taskWorkersMax: number): Map<string, { readonly kind: WorkerKind; readonly count: number }> {
  const wanted = new Map<string, { readonly kind: WorkerKind; count: number }>();
  const want = (kindKey: string, kind: WorkerKind, count: number): void => {
    const known = wanted.get(kindKey);
    if (known !== undefined) known.count += count;
    else if (count > 0) wanted.set(kindKey, { kind, count });
  };
  const room = ledger.free();
  for (const { holds, kind, kindKey } of placements) {
    if (!room.hasRoomFor(holds)) continue;
    room.take(holds);
    want(kindKey, kind, 1);
  }
  for (const { target, granted, rootId, kindKey, holdings, shape: { resources, workerKind } } of demands) {
    if (isZero(resources)) {
      want(kindKey, workerKind, Math.max(0, Math.min(target - granted, taskWorkersMax - workers.taskWorkerCountOf(kindKey, rootId))));
      continue;
    }
    for (let missing = target - granted; missing > 0 && room.hasRoomFor(holdings.all); missing--) {
      room.take(holdings.all);
      want(kindKey, workerKind, 1);
    }
  }
  return wanted;
}

export function sharesOfJobs(totals: ResourceAmounts, workers: Iterable<PoolWorker>, leases: Iterable<Lease>): Shares {
  const shares = new Shares(totals);
  for (const { jobId, actorHolds } of workers) if (jobId !== null && actorHolds !== null) shares.add(jobId, actorHolds);
  for (const lease of leases) addHoldings(shares, lease.jobId, lease);
  return shares;
}

/** By what `sharerOf` says. */
export function sharesOfDemands(totals: ResourceAmounts, leases: Iterable<Lease>): Shares {
  const shares = new Shares(totals);
  for (const lease of leases) addHoldings(shares, sharerOf(lease), lease);
  return shares;
}

function addHoldings(shares: Shares, holder: string, { slots, slotHolds, keeps }: Lease): void {
  for (let slot = 0; slot < slots; slot++) shares.add(holder, slotHolds);
  if (keeps !== null) shares.add(holder, keeps);
}

/** Owner and key: what shares leases. */
export function sharerOf(holder: { readonly ownerId: WorkerId; readonly key: string }): string {
  return `${holder.ownerId}/${holder.key}`;
}
