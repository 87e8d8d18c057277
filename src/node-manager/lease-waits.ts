import type { ActorId } from "../base/mod.ts";
import type { NodeWaits, WorkWait } from "../protocol/mod.ts";
import type { ResourceLedger } from "../scheduling/mod.ts";
import type { ActorPlacement, Demand } from "./wishes.ts";
import type { WorkerPool } from "./worker-pool.ts";

export interface LeaseWaits {
  readonly demands: NodeWaits["demands"];
  readonly placements: readonly (WorkWait & { readonly actorId: ActorId })[];
}

/** Pure. What waits on this node for workers and resources, and for which of them. */
export function leaseWaits(demands: Iterable<Demand>, placements: Iterable<ActorPlacement>, workers: WorkerPool, ledger: ResourceLedger): LeaseWaits {
  const waitOf = (kindKey: string, hasRoom: boolean, hasEnvironment: boolean): WorkWait => ({ hasRoom, startingCount: workers.starting(kindKey), hasEnvironment });
  return {
    demands: Array.from(demands).filter(({ granted, target }) => granted < target).map(({ ownerId, key, kindKey, holdings, shape: { workerKind } }) => ({ ownerId, key, ...waitOf(kindKey, ledger.hasRoomFor(holdings.all), workerKind.runtimeEnv !== null) })),
    placements: Array.from(placements, ({ actorId, kindKey, kind, holds }) => ({ actorId, ...waitOf(kindKey, ledger.hasRoomFor(holds), kind.runtimeEnv !== null) })),
  };
}
