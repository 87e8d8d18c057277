import type { ActorId, JobId, ResourceAmounts } from "../base/mod.ts";
import type { NodeWaits, ShareWait, WorkWait } from "../protocol/mod.ts";
import { plainName, type ResourceLedger } from "../scheduling/mod.ts";
import type { Shares } from "./turns.ts";
import { type ActorPlacement, type Demand, sharesOfJobs } from "./wishes.ts";
import type { Lease, WorkerPool } from "./worker-pool.ts";

export interface LeaseWaits {
  readonly demands: NodeWaits["demands"];
  readonly placements: readonly (WorkWait & { readonly actorId: ActorId })[];
}

/** Pure. What waits on this node for workers and resources, for which of them, and for which other programs. */
export function leaseWaits(demands: Iterable<Demand>, placements: Iterable<ActorPlacement>, workers: WorkerPool, leases: Iterable<Lease>, ledger: ResourceLedger): LeaseWaits {
  const waitingDemands = Array.from(demands).filter(({ granted, target }) => granted < target);
  const waitingActors = Array.from(placements);
  const given = [...leases];
  const shares = sharesOfJobs(ledger.totals, workers.values(), given);
  const wanted = wantedByJob([...given.filter(({ wantsSlot, slots }) => wantsSlot && slots === 0).map(({ jobId, slotHolds }) => ({ jobId, wants: slotHolds })),
    ...waitingDemands.map(({ jobId, holdings }) => ({ jobId, wants: holdings.all })), ...waitingActors.map(({ jobId, holds }) => ({ jobId, wants: holds }))]);
  const waitOf = (jobId: JobId, wants: ResourceAmounts, kindKey: string, hasEnvironment: boolean): WorkWait => {
    const hasRoom = ledger.hasRoomFor(wants);
    return { hasRoom, startingCount: workers.starting(kindKey), hasEnvironment, share: hasRoom ? null : shareWait(jobId, wants, wanted, shares) };
  };
  return {
    demands: waitingDemands.map(({ ownerId, jobId, key, kindKey, holdings, shape: { workerKind } }) => ({ ownerId, key, ...waitOf(jobId, holdings.all, kindKey, workerKind.runtimeEnv !== null) })),
    placements: waitingActors.map(({ actorId, jobId, kindKey, kind, holds }) => ({ actorId, ...waitOf(jobId, holds, kindKey, kind.runtimeEnv !== null) })),
  };
}

function wantedByJob(waiting: readonly { readonly jobId: JobId; readonly wants: ResourceAmounts }[]): Map<JobId, Set<string>> {
  const wanted = new Map<JobId, Set<string>>();
  for (const { jobId, wants } of waiting) {
    const names = wanted.get(jobId) ?? new Set();
    wanted.set(jobId, names);
    for (const name of namesIn(wants)) names.add(name);
  }
  return wanted;
}

function shareWait(jobId: JobId, wants: ResourceAmounts, wanted: ReadonlyMap<JobId, ReadonlySet<string>>, shares: Shares): ShareWait | null {
  const part = shares.of(jobId);
  // Who has nothing is served before those who have something, and by turns with the rest.
  if (part === 0) return null;
  const names = namesIn(wants);
  let otherPrograms = 0;
  for (const [other, theirs] of wanted) if (other !== jobId && names.some((name) => theirs.has(name)) && shares.of(other) <= part) otherPrograms++;
  return otherPrograms === 0 ? null : { part, otherPrograms };
}

/** A bundle's resources are others' too, by their plain names. */
function namesIn(amounts: ResourceAmounts): string[] {
  return Object.keys(amounts).filter((name) => (amounts[name] as number) > 0).map(plainName);
}
