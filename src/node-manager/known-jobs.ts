import { forgetOldest, nodeKeyOf, type JobId, type NodeKey, type WorkerId } from "../base/mod.ts";
import type { JobRecord } from "../protocol/mod.ts";

/** Programs that have left: a detached actor of theirs may be about to start again. */
const JOBS_REMEMBERED_MAX = 1_000;
/** Workers and drivers of other nodes that have ended. */
const GONE_REMEMBERED_MAX = 10_000;
const LOST_NODES_REMEMBERED_MAX = 1_000;

/** Programs that have joined, here or at other nodes, also those that have left: their detached actors go on. */
export class KnownJobs {
  readonly #jobs = new Map<JobId, JobRecord>();
  /** What they have said may come later than the news of their end, which takes another way. */
  readonly #gone = new Set<WorkerId>();
  readonly #lostNodes = new Set<NodeKey>();

  /** `used`: the jobs that workers or drivers of this node are of. */
  add(job: JobRecord, used: () => ReadonlySet<JobId | null>): void {
    this.#jobs.set(job.jobId, job);
    if (this.#jobs.size <= JOBS_REMEMBERED_MAX) return;
    const inUse = used();
    for (const jobId of this.#jobs.keys()) if (!inUse.has(jobId)) return void this.#jobs.delete(jobId);
  }

  /** Returns the job that it was the driver of. */
  lost(workerId: WorkerId): JobRecord | undefined {
    this.#gone.add(workerId);
    forgetOldest(this.#gone, GONE_REMEMBERED_MAX);
    return this.ofDriver(workerId);
  }

  /** With all of its workers and drivers. */
  nodeLost(node: NodeKey): void {
    this.#lostNodes.add(node);
    forgetOldest(this.#lostNodes, LOST_NODES_REMEMBERED_MAX);
  }

  isGone(workerId: WorkerId): boolean {
    return this.#gone.has(workerId) || this.#lostNodes.has(nodeKeyOf(workerId));
  }

  get(jobId: JobId): JobRecord | undefined {
    return this.#jobs.get(jobId);
  }

  ofDriver(driverId: WorkerId): JobRecord | undefined {
    for (const job of this.#jobs.values()) if (job.driverId === driverId) return job;
    return undefined;
  }

  driverIds(): WorkerId[] {
    return [...this.#jobs.values()].flatMap(({ driverId }) => driverId ?? []);
  }
}
