import type { WorkerId } from "../base/mod.ts";
import type { FromNode, LeaseEvent } from "../protocol/mod.ts";
import { HeldLease } from "./held-lease.ts";
import type { Peer } from "./peer.ts";

/** The leases that this worker holds, and who sends tasks under them. */
export class HeldLeases<T> {
  readonly #leases = new Map<number, HeldLease<T>>();
  readonly #owners = new Map<number, Peer>();
  readonly #emit: (leaseId: number, event: LeaseEvent) => void;
  /** Lease ids only grow, and the node manager opens them in order: one at or below this that is not held is closed. */
  #newestId = 0;

  constructor(emit: (leaseId: number, event: LeaseEvent) => void) {
    this.#emit = emit;
  }

  get(leaseId: number): HeldLease<T> | undefined {
    return this.#leases.get(leaseId);
  }

  /** A copy: leases may end while it is gone through. */
  all(): HeldLease<T>[] {
    return [...this.#leases.values()];
  }

  ownerOf({ leaseId }: HeldLease<T>): Peer | undefined {
    return this.#owners.get(leaseId);
  }

  /** The node manager's word. */
  opened({ leaseId, ownerId, resources, acceleratorIds, bundle }: FromNode & { readonly type: "leaseOpened" }): HeldLease<T> {
    this.#newestId = Math.max(this.#newestId, leaseId);
    const lease = this.#find(leaseId, ownerId);
    lease.opened(resources, acceleratorIds, bundle);
    return lease;
  }

  /** The owner sends tasks, perhaps before that word is here. Null if the lease has ended, or is about to. */
  usedBy(owner: Peer, leaseId: number): HeldLease<T> | null {
    if (this.#leases.get(leaseId)?.isEnding ?? this.hasEnded(leaseId)) return null;
    this.#owners.set(leaseId, owner);
    return this.#find(leaseId, owner.workerId);
  }

  /** It was held, and is not any more. */
  hasEnded(leaseId: number): boolean {
    return leaseId <= this.#newestId && !this.#leases.has(leaseId);
  }

  /** Null unless it is held and nothing runs or waits under it. */
  closeIdle(leaseId: number): HeldLease<T> | null {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined || lease.running > 0 || lease.blocked > 0 || lease.queue.length > 0) return null;
    lease.close();
    return lease;
  }

  #find(leaseId: number, ownerId: WorkerId): HeldLease<T> {
    let lease = this.#leases.get(leaseId);
    if (lease === undefined) this.#leases.set(leaseId, (lease = new HeldLease<T>(leaseId, ownerId, this.#emit)));
    return lease;
  }

  /** True if it was held. */
  forget({ leaseId }: HeldLease<T>): boolean {
    this.#owners.delete(leaseId);
    return this.#leases.delete(leaseId);
  }
}
