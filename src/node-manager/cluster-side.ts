import type { ActorId, NodeKey, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { FarRequest, FromNode } from "../protocol/mod.ts";

/** The other nodes of the cluster, as a node manager needs them. */
export interface ClusterSide {
  /** Leases of this node have ids from here on, which no other node gives. */
  readonly firstLeaseId: number;
  /** False if its node is not there. */
  toWorker(workerId: WorkerId, message: FromNode): boolean;
  /** As above. */
  fromWorker(node: NodeKey, senderId: WorkerId, message: FarRequest): boolean;
  /** The resources in use have changed. */
  loadChanged(totals: ResourceAmounts, available: ResourceAmounts): void;
  /** What owners of this node wait for in vain, `LeaseSpreading.wants`, has changed. */
  wantsChanged(): void;
  /** This node takes no actors any more. */
  actorDeclined(actorId: ActorId): void;
  /** A shared actor has blocked or ended its worker. */
  actorMakesTrouble(actorId: ActorId): void;
  /** This node drains, and nothing is left here. */
  drained(): void;
}
