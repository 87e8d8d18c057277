import type { ActorId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ActorSpec, ActorStateRecord } from "../protocol/mod.ts";

/** What the GCS needs of node managers to run actors. */
export interface ActorHostClient {
  /** Finds a worker for the actor; the answer is `placed` or `placementRefused`. */
  place(spec: ActorSpec): void;
  cancelPlacement(actorId: ActorId): void;
  start(workerId: WorkerId, spec: ActorSpec, wasRestarted: boolean): void;
  /** `graceful`: after the calls that have arrived there. */
  endWorker(workerId: WorkerId, graceful: boolean, reason: string): void;
  /** Whether the owner will still create it; the answer comes to the GCS. */
  askOwner(ownerId: WorkerId, actorId: ActorId): void;
  publish(workerId: WorkerId, state: ActorStateRecord): void;
}

/** The node manager's answers. */
export interface PlacementListener {
  placed(actorId: ActorId, workerId: WorkerId): void;
  placementRefused(actorId: ActorId, error: SystemErrorRecord): void;
}
