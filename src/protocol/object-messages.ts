import type { NodeKey, ObjectId, WorkerId } from "../base/mod.ts";
import type { StoreListing } from "./store-messages.ts";

/** Why a worker keeps an object. The names are Ray's, but for IN_TRANSIT. */
export type ReferenceType =
  /** A live ObjectRef. */
  | "LOCAL_REFERENCE"
  /** An argument of a call that has not ended. */
  | "USED_BY_PENDING_TASK"
  /** A stored value contains a ref of it. */
  | "CAPTURED_IN_OBJECT"
  /** Views of its bytes. */
  | "PINNED_IN_MEMORY"
  /** A message with a ref of it is on its way. */
  | "IN_TRANSIT"
  /** The owner counts this worker, and the worker did not say why. */
  | "UNKNOWN_STATUS";

/** A large object, as the worker tells that owns it. */
export interface OwnedObjectReport {
  /** Where it lies, and what the object store there calls it. */
  readonly node: NodeKey;
  readonly storedId: number;
  /** Null for an argument that was passed by value: it has no ref. */
  readonly objectId: ObjectId | null;
  /** What made it: `put()`, `name()` or `argument 1 of name()`; null where that is not known. */
  readonly createdBy: string | null;
  /** Where in the program; null where that was not recorded. */
  readonly callSite: string | null;
  readonly references: readonly ReferenceType[];
  readonly borrowerIds: readonly WorkerId[];
}

/** An object of another's, as a worker tells that has refs of it. */
export interface BorrowedObjectReport {
  readonly objectId: ObjectId;
  readonly references: readonly ReferenceType[];
}

/** What one worker knows of large objects. */
export interface WorkerObjectsReport {
  readonly workerId: WorkerId;
  readonly pid: number;
  readonly isDriver: boolean;
  readonly actorClassName: string | null;
  readonly owned: readonly OwnedObjectReport[];
  readonly borrowed: readonly BorrowedObjectReport[];
}

/** The reply to `listObjects`. */
export interface ObjectSurveyRecord {
  readonly store: StoreListing;
  readonly workers: readonly WorkerObjectsReport[];
  /** Workers that were busy for too long. */
  readonly unansweredWorkerIds: readonly WorkerId[];
}
