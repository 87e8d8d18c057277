import type { ObjectSurveyRecord, OwnedObjectReport, ReferenceType, StoredObjectListing, WorkerObjectsReport } from "../protocol/mod.ts";
import { aBoolean, type Check, checkOptions } from "./option-checks.ts";
import { currentRuntime } from "./runtime.ts";

export type { ReferenceType } from "../protocol/mod.ts";

const LIMIT_DEFAULT = 1_000;
const LIMIT_MAX = 10_000;
const TIMEOUT_MS_DEFAULT = 1_000;
const TIMEOUT_MS_MAX = 60_000;

const aListLimit: Check = (value) => (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= LIMIT_MAX ? undefined : `a whole number from 1 to ${LIMIT_MAX}`);
const aBoundedDurationMs: Check = (value) => (typeof value === "number" && value >= 0 && value <= TIMEOUT_MS_MAX ? undefined : `a number of milliseconds from 0 to ${TIMEOUT_MS_MAX}`);
const LIST = { limit: aListLimit, timeoutMs: aBoundedDurationMs, collectGarbage: aBoolean };

export interface ListObjectsOptions {
  /** The largest ones, at most so many. Default 1000, at most 10000. */
  limit?: number;
  /** A worker that is busy with one long computation is waited for so many milliseconds. Default 1000, at most 60000. */
  timeoutMs?: number;
  /**
   * Run every worker's garbage collector first, so that refs and views which the program has dropped are not listed. Stops each worker
   * for as long as that takes. Default false.
   */
  collectGarbage?: boolean;
}

/** One reason why an object is kept, and by which worker. */
export interface ObjectReference {
  /**
   * LOCAL_REFERENCE: an ObjectRef that was neither released nor collected. USED_BY_PENDING_TASK: an argument of a call that has not
   * ended. CAPTURED_IN_OBJECT: a stored value contains a ref of it. PINNED_IN_MEMORY: views of its bytes. IN_TRANSIT: a message with
   * a ref of it is on its way. UNKNOWN_STATUS: the worker is known to have it, and did not say why.
   */
  readonly referenceType: ReferenceType;
  readonly workerId: string;
  /** Undefined for a worker that did not answer; the same for `type`. */
  readonly pid: number | undefined;
  readonly type: "DRIVER" | "WORKER" | undefined;
  /** Of the actor that runs in the worker. */
  readonly actorClassName: string | undefined;
}

/** A large object. */
export interface ObjectState {
  /** As `ref.hex()`. Undefined for an argument that was passed by value, which has no ref, and where the owner did not answer. */
  readonly objectId: string | undefined;
  /** In bytes. */
  readonly objectSize: number;
  /** The worker that made the object or called what made it. Undefined for a freed object whose owner is not known any more. */
  readonly ownerId: string | undefined;
  readonly ownerPid: number | undefined;
  /** What made it: `put()`, `name()` for the result of a task or method, `argument 1 of name()`. */
  readonly createdBy: string | undefined;
  /** Where in the program that was put or called, innermost first, as in a stack; undefined where it was not recorded: calls beyond the 32nd in one turn. */
  readonly callSite: string | undefined;
  readonly isInMemory: boolean;
  /** A copy lies on disk. */
  readonly isSpilled: boolean;
  /** No ref is left; its memory stays because of views of it. */
  readonly isFreed: boolean;
  /** Of an object of another node, made because somebody here has read it. It goes when the object does, or when its memory is needed and nobody looks at it. */
  readonly isCopy: boolean;
  readonly references: readonly ObjectReference[];
}

export interface ObjectListing {
  /** The largest first. */
  readonly objects: readonly ObjectState[];
  /** How many there are, listed or not. */
  readonly total: number;
  readonly store: {
    /** False where there is no shared memory: values then live in the memory of their owners, and nothing is listed. */
    readonly isAvailable: boolean;
    readonly capacityBytes: number;
    /** Memory of objects, and what workers keep for their next ones. */
    readonly usedBytes: number;
    readonly spilledBytes: number;
  };
  /** Ids of workers that were busy for too long: what they own and hold is listed without their reasons. */
  readonly unansweredWorkers: readonly string[];
}

/**
 * The objects in the store of this machine, with what keeps each of them: to find out what fills the memory, and who forgot to let
 * go. Objects up to 100 KiB are not among them: they live in the memory of their owner, and are registered nowhere.
 *
 * @throws InvalidArgumentError for wrong options.
 */
export async function listObjects(options: ListObjectsOptions = {}): Promise<ObjectListing> {
  checkOptions(options, LIST, "listObjects()");
  const { limit = LIMIT_DEFAULT, timeoutMs = TIMEOUT_MS_DEFAULT, collectGarbage = false } = options;
  return listingOf(await currentRuntime().core.requests.ask<ObjectSurveyRecord>((requestId) => ({ type: "listObjects", requestId, limit, timeoutMs, collectsGarbage: collectGarbage })));
}

/** Joins what the store says with what workers say. */
export function listingOf({ store, workers, unansweredWorkerIds }: ObjectSurveyRecord): ObjectListing {
  const known = new Workers(workers);
  const { objects, objectCount, isAvailable, capacityBytes, usedBytes, spilledBytes } = store;
  return {
    objects: objects.map((object) => known.stateOf(object)),
    total: objectCount,
    store: { isAvailable, capacityBytes, usedBytes, spilledBytes },
    unansweredWorkers: [...unansweredWorkerIds],
  };
}

class Workers {
  readonly #reports = new Map<string, WorkerObjectsReport>();
  /** By node and number. */
  readonly #owned = new Map<string, { readonly workerId: string; readonly object: OwnedObjectReport }>();
  /** By object: who borrows it, and why. */
  readonly #borrowed = new Map<string, Map<string, readonly ReferenceType[]>>();

  constructor(reports: readonly WorkerObjectsReport[]) {
    for (const report of reports) {
      const { workerId } = report;
      this.#reports.set(workerId, report);
      for (const object of report.owned) this.#owned.set(storedKey(object.node, object.storedId), { workerId, object });
      for (const { objectId, references } of report.borrowed) {
        const borrowers = this.#borrowed.get(objectId) ?? new Map<string, readonly ReferenceType[]>();
        this.#borrowed.set(objectId, borrowers.set(workerId, references));
      }
    }
  }

  stateOf(stored: StoredObjectListing): ObjectState {
    const primary = stored.copyOf ?? stored;
    const owned = this.#owned.get(storedKey(primary.node, primary.id));
    const ownerId = stored.ownerId ?? owned?.workerId;
    const { isInMemory, isSpilled, isFreed, copyOf } = stored;
    const isCopy = copyOf !== null;
    return {
      objectId: owned?.object.objectId ?? undefined, objectSize: stored.byteLength,
      ownerId, ownerPid: ownerId === undefined ? undefined : this.#reports.get(ownerId)?.pid,
      createdBy: owned?.object.createdBy ?? undefined, callSite: owned?.object.callSite ?? undefined,
      isInMemory, isSpilled, isFreed, isCopy,
      // Refs keep the primary; a copy stays for its views alone.
      references: isCopy ? this.#referencesTo(stored, undefined, undefined) : this.#referencesTo(stored, ownerId, owned?.object),
    };
  }

  #referencesTo({ isFreed, pinnedBy }: StoredObjectListing, ownerId: string | undefined, owned: OwnedObjectReport | undefined): ObjectReference[] {
    const references = new Map<string, readonly ReferenceType[]>();
    if (!isFreed && ownerId !== undefined) references.set(ownerId, owned?.references ?? (this.#reports.has(ownerId) ? [] : ["UNKNOWN_STATUS"]));
    for (const borrowerId of owned?.borrowerIds ?? []) references.set(borrowerId, ["UNKNOWN_STATUS"]);
    // Who borrows it may say so before the owner has heard of that.
    for (const [borrowerId, reasons] of this.#borrowed.get(owned?.objectId ?? "") ?? []) if (reasons.length > 0) references.set(borrowerId, reasons);
    for (const workerId of pinnedBy) references.set(workerId, [...(references.get(workerId) ?? []), "PINNED_IN_MEMORY"]);
    return [...references].flatMap(([workerId, reasons]) => reasons.map((referenceType) => this.#reference(workerId, referenceType)));
  }

  #reference(workerId: string, referenceType: ReferenceType): ObjectReference {
    const report = this.#reports.get(workerId);
    const type = report === undefined ? undefined : report.isDriver ? "DRIVER" : "WORKER";
    return { referenceType, workerId, pid: report?.pid, type, actorClassName: report?.actorClassName ?? undefined };
  }
}

function storedKey(node: string, id: number): string {
  return `${node}/${id}`;
}
