import type { JobId, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { type Demand, sharerOf, type Wishes } from "./wishes.ts";
import { holdingsOf, type Lease } from "./worker-pool.ts";

/** What a lease held that has ended. */
interface Returned {
  readonly leaseId: number;
  readonly workerId: WorkerId;
  readonly jobId: JobId;
  readonly ownerId: WorkerId;
  readonly sharer: string;
  readonly holds: ResourceAmounts;
}

/**
 * Turns of jobs that have just lost a lease. Pure.
 *
 * An owner that sends a task under a lease asks for one lease less. If the lease ends meanwhile, the task comes back, but this node hears of
 * that last: what the lease held would go to another job that may have more, and if it is for an actor, for good. So where another
 * job could take it, the owner is asked first (`askOwner`), and until it has answered, or is too late, its job's turn is kept.
 */
export class KeptTurns {
  #returned: Returned[] = [];
  readonly #asked = new Map<number, Returned>();

  /** Whatever it held is free now. */
  leaseClosed({ leaseId, workerId, jobId, ownerId, key, shape }: Lease): void {
    this.#returned.push({ leaseId, workerId, jobId, ownerId, sharer: sharerOf({ ownerId, key }), holds: holdingsOf(shape).all });
  }

  /** Of leases that have ended since the last time. Whoever is known to want another one has its turn by that. */
  ask(wishes: ReadonlyMap<JobId, Wishes> | null, demands: ReadonlyMap<string, Demand>): LeaseInstruction[] {
    if (this.#returned.length === 0) return [];
    const asked: LeaseInstruction[] = [];
    const counts = new Map<string, number>();
    for (const { sharer } of this.#asked.values()) counts.set(sharer, (counts.get(sharer) ?? 0) + 1);
    for (const one of this.#returned) {
      const { leaseId, workerId, ownerId, sharer } = one;
      const demand = demands.get(sharer);
      const count = (counts.get(sharer) ?? 0) + 1;
      counts.set(sharer, count);
      if (demand === undefined || demand.target - demand.granted >= count || !isWantedByOthers(wishes, one)) continue;
      this.#asked.set(leaseId, one);
      asked.push({ type: "askOwner", leaseId, workerId, ownerId });
    }
    this.#returned = [];
    return asked;
  }

  /** The owner has said what it wants, or has had its time. False if that is known. */
  settled(leaseId: number): boolean { return this.#asked.delete(leaseId); }

  ownerLost(ownerId: WorkerId): void {
    for (const [leaseId, one] of this.#asked) if (one.ownerId === ownerId) this.#asked.delete(leaseId);
  }

  jobs(): Set<JobId> { return new Set(Array.from(this.#asked.values(), ({ jobId }) => jobId)); }

  of(jobId: JobId): ResourceAmounts[] { return [...this.#asked.values()].filter((one) => one.jobId === jobId).map(({ holds }) => holds); }
}

function isWantedByOthers(wishes: ReadonlyMap<JobId, Wishes> | null, { jobId, holds }: Returned): boolean {
  if (wishes === null) return false;
  const isOfUse = (wanted: ResourceAmounts): boolean => Object.keys(wanted).some((name) => (wanted[name] as number) > 0 && (holds[name] ?? 0) > 0);
  for (const [other, { placements, demands, leases }] of wishes) {
    if (other !== jobId && (placements.some((one) => isOfUse(one.holds)) || demands.some(({ holdings }) => isOfUse(holdings.all)) || leases.some(({ slotHolds }) => isOfUse(slotHolds)))) return true;
  }
  return false;
}
