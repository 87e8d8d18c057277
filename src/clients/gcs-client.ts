import type { ActorId, JobId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { BundleListener } from "./bundle-client.ts";
import type { ForGcs, WorkerDeath } from "../protocol/mod.ts";

/** The GCS as a node sees it, in the same thread or elsewhere. */
export interface GcsClient extends PlacementListener, BundleListener {
  /** The reply, if there is one, is sent to the worker. */
  fromWorker(senderId: WorkerId, message: ForGcs): void;
  /** A worker of this node has ended, and all here have been told. */
  workerLost(workerId: WorkerId, death: WorkerDeath): void;
  /** The program of this job has left. */
  jobEnded(jobId: JobId): void;
  /** After `jobEnded`: calls `done` once when all that ends with the program has ended, on all nodes, or takes too long. */
  awaitJobEnd(jobId: JobId, done: () => void): void;
}

/** A node manager's answers to `place`. */
export interface PlacementListener {
  /** `number`: which of the actors of that worker it is, 0 where it is the only one. */
  placed(actorId: ActorId, workerId: WorkerId, number: number): void;
  /** Class, name and id, for messages to people. */
  describeActor(actorId: ActorId): string;
  placementRefused(actorId: ActorId, error: SystemErrorRecord): void;
}
