import type { ActorEndReason, ActorId, JobId, NodeKey, WorkerId } from "../base/mod.ts";
import type { ActorSpec, ActorStateRecord, ClusterStateRecord, FromNode } from "../protocol/mod.ts";

/** What the GCS needs of nodes to run actors. */
export interface ActorHostClient {
  /** Finds a worker for the actor; the answer is `placed` or `placementRefused`. */
  place(spec: ActorSpec): void;
  cancelPlacement(actorId: ActorId): void;
  /** `number`: as it was given with `placed`. */
  start(workerId: WorkerId, spec: ActorSpec, number: number, wasRestarted: boolean): void;
  /** `graceful`: after the calls that have arrived there. */
  endWorker(workerId: WorkerId, graceful: boolean, reason: string): void;
  /** Ends one of several actors of a worker; `actorEnded` follows, unless the worker is lost. */
  endShared(workerId: WorkerId, actorId: ActorId, graceful: boolean, mayRestart: boolean, reason: string, endReason: ActorEndReason): void;
  /** Ends it after the calls that have arrived, to start again elsewhere; those that come later have not run. Ends its worker, or `actorEnded` follows. */
  move(workerId: WorkerId, actorId: ActorId): void;
  /** Whether the owner will still create it; the answer comes to the GCS. */
  askOwner(ownerId: WorkerId, actorId: ActorId): void;
  publish(workerId: WorkerId, state: ActorStateRecord): void;
  /** To a core worker, wherever it lives. */
  send(workerId: WorkerId, message: FromNode): void;
  /** With others of this turn in one frame. */
  sendSoon(workerId: WorkerId, message: FromNode): void;
  /** Whether that worker may live, as far as is known. */
  isConnected(workerId: WorkerId): boolean;
  clusterState(): ClusterStateRecord;
  /** Calls `done` once when nothing is left of this job, whose program has left, but `staying` and what is theirs; or when that takes too long. */
  awaitJobEnd(jobId: JobId, staying: () => readonly ActorId[], done: () => void): void;
  /** A program has left, and actors made of its code go on there: its modules are to outlive these nodes. */
  keepModules(driverId: WorkerId, nodes: ReadonlySet<NodeKey>): void;
  /** The last of them has ended. */
  dropModules(driverId: WorkerId): void;
  /** It has died, or left its worker to start again elsewhere. */
  ended(actorId: ActorId): void;
}
