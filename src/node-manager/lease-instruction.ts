import type { AcceleratorIds, ActorId, JobId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { LeaseShape, WorkerKind } from "../protocol/mod.ts";
import type { BundleInstruction } from "./bundle-holds.ts";

/** What LeaseState has decided. */
export type LeaseInstruction =
  | BundleInstruction
  /** Its placement group ends here. */
  | { readonly type: "endLease"; readonly leaseId: number; readonly workerId: WorkerId }
  | { readonly type: "startWorker"; readonly kind: WorkerKind }
  | { readonly type: "stopWorker"; readonly workerId: WorkerId }
  /** At once: whoever it works for is gone. */
  | { readonly type: "endWorker"; readonly workerId: WorkerId }
  /** It works for another job than the one it was started by; comes before its first lease or actor. */
  | { readonly type: "assignJob"; readonly workerId: WorkerId; readonly jobId: JobId }
  | { readonly type: "openLease"; readonly leaseId: number; readonly workerId: WorkerId; readonly ownerId: WorkerId; readonly key: string; readonly shape: LeaseShape; readonly acceleratorIds: AcceleratorIds | null }
  | { readonly type: "refuse"; readonly ownerId: WorkerId; readonly key: string; readonly error: SystemErrorRecord }
  | { readonly type: "grantSlot"; readonly leaseId: number; readonly workerId: WorkerId }
  /** `onlyIdle`: as soon as nothing is left to run under it, whenever that is. */
  | { readonly type: "revoke"; readonly leaseId: number; readonly workerId: WorkerId; readonly onlyIdle: boolean }
  /** What it wants, now that this lease has ended; until it has said so (`leaseSettled`), its job's turn is kept. */
  | { readonly type: "askOwner"; readonly leaseId: number; readonly workerId: WorkerId; readonly ownerId: WorkerId }
  | { readonly type: "placeActor"; readonly actorId: ActorId; readonly workerId: WorkerId }
  | { readonly type: "refuseActor"; readonly actorId: ActorId; readonly error: SystemErrorRecord }
  /** This node takes none any more; another may. */
  | { readonly type: "declineActor"; readonly actorId: ActorId };
