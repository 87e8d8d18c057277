import type { WorkerId } from "../base/mod.ts";

interface WorkerLease {
  readonly leaseId: number;
  readonly ownerId: WorkerId;
  readonly workerId: WorkerId;
}

/**
 * The workers that must end so that the run under this lease does; none if the lease has ended. With `isRecursive` also
 * those that run what one of them has submitted, and so on: with their owners these runs would go on for nobody.
 */
export function workersToEnd(leases: Iterable<WorkerLease>, workerId: WorkerId, leaseId: number, isRecursive: boolean, sparedId: WorkerId): Set<WorkerId> {
  const all = [...leases];
  const ending = new Set<WorkerId>();
  if (!all.some((lease) => lease.leaseId === leaseId && lease.workerId === workerId)) return ending;
  ending.add(workerId);
  // A Set that grows is iterated to its end.
  if (isRecursive) for (const endingId of ending) for (const lease of all) if (lease.ownerId === endingId && lease.workerId !== sparedId) ending.add(lease.workerId);
  return ending;
}
