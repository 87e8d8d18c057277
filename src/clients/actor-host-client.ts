import type { ActorId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ActorSpec, ActorStateRecord } from "../protocol/mod.ts";

/** What the GCS needs of node managers to run actors. */
export interface ActorHostClient {
  /** Finds a worker for the actor; the answer is `placed` or `placementRefused`. */
  place(spec: ActorSpec): void;
  cancelPlacement(actorId: ActorId): void;
  /** `number`: as it was given with `placed`. */
  start(workerId: WorkerId, spec: ActorSpec, number: number, wasRestarted: boolean): void;
  /** `graceful`: after the calls that have arrived there. */
  endWorker(workerId: WorkerId, graceful: boolean, reason: string): void;
  /** Ends one of several actors of a worker; `actorEnded` follows, unless the worker is lost. */
  endShared(workerId: WorkerId, actorId: ActorId, graceful: boolean, mayRestart: boolean, reason: string): void;
  /** Whether the owner will still create it; the answer comes to the GCS. */
  askOwner(ownerId: WorkerId, actorId: ActorId): void;
  publish(workerId: WorkerId, state: ActorStateRecord): void;
}

/** The node manager's answers. */
export interface PlacementListener {
  /** `number`: which of the actors of that worker it is, 0 where it is the only one. */
  placed(actorId: ActorId, workerId: WorkerId, number: number): void;
  /** Class, name and id, for messages to people. */
  describeActor(actorId: ActorId): string;
  placementRefused(actorId: ActorId, error: SystemErrorRecord): void;
}
