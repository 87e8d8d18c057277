import type { ActorId, JobId, NodeKey, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { BundleReport, ForGcs, ToGcs, WorkerDeath } from "../protocol/mod.ts";
import type { GcsClient } from "./gcs-client.ts";

/** The GCS of a cluster, as each of its nodes sees it. */
export class RemoteGcs implements GcsClient {
  readonly #send: (message: ToGcs) => void;
  readonly #leaving = new Map<JobId, () => void>();

  constructor(send: (message: ToGcs) => void) {
    this.#send = send;
  }

  fromWorker(senderId: WorkerId, message: ForGcs): void {
    this.#send({ type: "fromWorker", senderId, message });
  }

  placed(actorId: ActorId, workerId: WorkerId, number: number): void {
    this.#send({ type: "actorPlaced", actorId, workerId, number });
  }

  placementRefused(actorId: ActorId, error: SystemErrorRecord): void {
    this.#send({ type: "placementRefused", actorId, error });
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#send({ type: "workerLost", workerId, death });
  }

  jobEnded(jobId: JobId): void {
    this.#send({ type: "jobEnded", jobId });
  }

  awaitJobEnd(jobId: JobId, done: () => void): void {
    this.#leaving.set(jobId, done);
    this.#send({ type: "awaitJobEnd", jobId });
  }

  jobIsOver(jobId: JobId): void {
    this.#leaving.get(jobId)?.();
    this.#leaving.delete(jobId);
  }

  /** The GCS knows the node by its connection. */
  bundlesReported(_node: NodeKey, report: BundleReport): void {
    this.#send({ type: "bundleReport", report });
  }

  /** Its class and name are known to the GCS alone. */
  describeActor(actorId: ActorId): string {
    return `actor ${actorId}`;
  }
}
