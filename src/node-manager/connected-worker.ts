import type { ActorId, JobId, WorkerId } from "../base/mod.ts";
import type { LaunchedWorker, WorkerLink } from "../clients/mod.ts";
import type { WorkerDeath, WorkerKind } from "../protocol/mod.ts";

/** A worker or driver of this node, from its start to its end. */
export interface ConnectedWorker {
  readonly workerId: WorkerId;
  readonly kind: WorkerKind | "driver";
  /** Null until it has registered. */
  link: WorkerLink | null;
  readonly launched: LaunchedWorker | null;
  readonly connectedTo: Set<WorkerId>;
  /** Null until a worker is used. */
  jobId: JobId | null;
  /** Why it is about to end, as it or we said first. */
  endReason: string | null;
  /** Set when it is ended because of this. */
  memoryUsedBytes: number | null;
  /** The shared actor that has said so. */
  endedBy: ActorId | null;
  /** Of its process; null until it has registered. */
  pid: number | null;
  /** What its end will be said to be, when it is ended. */
  endMarks: Pick<WorkerDeath, "isForced" | "isRetired" | "isOutOfMemory" | "isMemoryShort">;
}

export function connectedWorker(workerId: WorkerId, kind: WorkerKind | "driver", link: WorkerLink | null, launched: LaunchedWorker | null, jobId: JobId | null): ConnectedWorker {
  return { workerId, kind, link, launched, connectedTo: new Set(), jobId, endReason: null, memoryUsedBytes: null, endedBy: null, pid: null, endMarks: {} };
}
