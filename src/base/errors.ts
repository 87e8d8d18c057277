/**
 * Every error that the runtime throws at users. Each has a stable `code`, so that programs can tell them apart even
 * when two copies of this package are loaded; `instanceof` survives that too, by a brand instead of by identity.
 */

const BRAND = Symbol.for("mantaray.error");

/** Root of all errors of the runtime. `code` is stable: 'ERR_MANTARAY_…'. */
export class RayError extends Error {
  readonly code: string;
  constructor(message: string, options?: { cause?: unknown; code?: string }) {
    super(message, options !== undefined && "cause" in options ? { cause: options.cause } : undefined);
    const { code, lineage } = factsOf(new.target);
    this.code = options?.code ?? code;
    Object.defineProperty(this, "name", { value: new.target.name, configurable: true, writable: true });
    Object.defineProperty(this, BRAND, { value: lineage });
  }
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value);
  }
}

/** By identity, or by the brand of another copy of the package. */
function isInstance(type: Function, value: unknown): boolean {
  if (Function.prototype[Symbol.hasInstance].call(type, value)) return true;
  if (typeof value !== "object" || value === null) return false;
  const brand: unknown = (value as Record<symbol, unknown>)[BRAND];
  return Array.isArray(brand) && brand.includes(type.name);
}

interface ClassFacts {
  readonly code: string;
  readonly lineage: readonly string[];
}
const factsOfClasses = new WeakMap<Function, ClassFacts>();

function factsOf(type: Function): ClassFacts {
  let facts = factsOfClasses.get(type);
  if (facts === undefined) factsOfClasses.set(type, (facts = { code: codeOf(type.name), lineage: Object.freeze(lineageOf(type)) }));
  return facts;
}

function lineageOf(type: Function): string[] {
  const names: string[] = [];
  for (let current = type; current !== Error && current.name !== ""; current = Object.getPrototypeOf(current) as Function) {
    names.push(current.name);
  }
  return names;
}

function codeOf(className: string): string {
  const words = className.replace(/Error$/, "").replace(/([a-z])([A-Z])/g, "$1_$2");
  return `ERR_MANTARAY_${words.toUpperCase()}`;
}

/** An option, argument or call that is wrong in itself. Thrown at the call, before anything is sent. A TypeError to Node's habits. */
export class InvalidArgumentError extends TypeError {
  readonly code: string = "ERR_MANTARAY_INVALID_ARGUMENT";
  constructor(message: string) {
    super(message);
    Object.defineProperty(this, "name", { value: "InvalidArgumentError", configurable: true, writable: true });
    // A TypeError to JavaScript, and a RayError to those who catch everything of the runtime at once.
    Object.defineProperty(this, BRAND, { value: ["InvalidArgumentError", "RayError"] });
  }
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isInstance(this, value);
  }
}

/** A call at the wrong moment of the runtime's life: a second `init`, a call after `shutdown`. */
export class RuntimeStateError extends RayError {}

/** The remote function or method threw. `cause` is what it threw; the remote stack is part of `stack`. */
export class TaskError extends RayError {
  readonly functionName: string;
  readonly taskId: string;
  readonly pid: number;
  constructor(message: string, details: { cause: unknown; functionName: string; taskId: string; pid: number }) {
    super(message, { cause: details.cause });
    this.functionName = details.functionName;
    this.taskId = details.taskId;
    this.pid = details.pid;
  }
}
/** The task or call was cancelled, or one that makes an argument of it. Inside of a cancelled task: what it awaits. */
export class TaskCancelledError extends RayError {}
/** The task or call ran for longer than its option `timeoutMs`. Inside of it: what it awaits. */
export class TaskTimeoutError extends RayError {}
/** The task asks for more than the machine has. */
export class TaskUnschedulableError extends RayError {}
/** The worker ended under the task, and no retry is left. The message tells the cause. */
export class WorkerCrashedError extends RayError {}

/** The class above ActorDiedError and ActorUnavailableError. */
export class ActorError extends RayError {
  readonly actorId: string;
  constructor(message: string, details: { actorId: string; cause?: unknown }) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.actorId = details.actorId;
  }
}
/**
 * Why an actor has ended: `kill()`; by itself, or with `terminate()`; no handle was left; its owner, the worker or shared actor that
 * created it, ended before; its constructor threw; its worker was lost and no restart was left; there has never been one; not known any more.
 */
export type ActorEndReason = "killed" | "exited" | "outOfScope" | "ownerEnded" | "constructorThrew" | "workerLost" | "notCreated" | "unknown";

/** The actor has ended. The message tells why, and for programs `reason`; `cause` is what its constructor threw, if that is why. */
export class ActorDiedError extends ActorError {
  readonly reason: ActorEndReason;
  constructor(message: string, details: { actorId: string; reason: ActorEndReason; cause?: unknown }) {
    super(message, details);
    this.reason = details.reason;
  }
}
/** The actor's worker was lost while the call was there, and the actor starts again: the call may have run or not. */
export class ActorUnavailableError extends ActorError {}
/** The actor asks for more than the machine has. */
export class ActorUnschedulableError extends RayError {}
/** The actor's name is taken in its namespace. */
export class ActorAlreadyExistsError extends RayError {}
/** No live actor has that name in that namespace. */
export class ActorNotFoundError extends RayError {}

/** `timeoutMs` of `get` is over. The task goes on. */
export class GetTimeoutError extends RayError {}

/** The class above OwnerDiedError, ObjectFreedError and ObjectReconstructionFailedError; itself when a copy is lost and another attempt may find one. */
export class ObjectLostError extends RayError {
  readonly objectId: string;
  constructor(message: string, details: { objectId: string; cause?: unknown }) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.objectId = details.objectId;
  }
}
/** The worker that made the ref has ended, and its objects with it. */
export class OwnerDiedError extends ObjectLostError {}
/**
 * Why a lost object cannot be made again: no task has made it, or its task had a large argument that none has made; its task may not run
 * again, or has used up its retries; how it was made is forgotten; its task was cancelled when it ran again; the same values
 * did not come once more.
 */
export type ReconstructionFailureReason = "put" | "retriesDisabled" | "retriesUsedUp" | "lineageEvicted" | "cancelled" | "madeOtherwise";

/** The object is lost and cannot be made again by running its task. The message tells why, and for programs `reason`. */
export class ObjectReconstructionFailedError extends ObjectLostError {
  readonly reason: ReconstructionFailureReason;
  constructor(message: string, details: { objectId: string; reason: ReconstructionFailureReason; cause?: unknown }) {
    super(message, details);
    this.reason = details.reason;
  }
}
/** The ref was released, or nobody held the object any more. */
export class ObjectFreedError extends ObjectLostError {}
/** No room for a large value, and for 5 seconds none came free and nothing was on its way to disk, because views keep in memory what is there; or it is larger than one object may be. */
export class ObjectStoreFullError extends RayError {}
/** The object store is full, and so is the disk that it spills to. */
export class OutOfDiskError extends RayError {}
/** The worker of the task or actor used more than its `memory`, and was ended: not retried. Or its machine ran short of memory, and no further run is left. */
export class OutOfMemoryError extends RayError {}
/** The node that ran the task has ended, or cannot be reached, and no retry is left. */
export class NodeDiedError extends RayError {}
/** An actor with `maxPendingCalls` is called while so many calls of this caller have no result yet. */
export class PendingCallsLimitExceededError extends RayError {}
/** The placement group that the task or actor was to run in has been removed. */
export class PlacementGroupRemovedError extends RayError {}
/** Another placement group of the namespace has this name. */
export class PlacementGroupAlreadyExistsError extends RayError {}
/** No placement group has that name in that namespace. */
export class PlacementGroupNotFoundError extends RayError {}
/** The runtime environment of the task or actor cannot be had on the machine. The message names the part. */
export class RuntimeEnvSetupError extends RayError {}
/** Something cannot be shipped. The message names the path to it and its size or kind. */
export class SerializationError extends RayError {}
/** The queue has no item, or not enough of them. Nothing was taken. */
export class QueueEmptyError extends RayError {}
/** The queue has no room. Nothing was added. */
export class QueueFullError extends RayError {}

interface ErrorRecord {
  readonly message: string;
  /** The actor or object it is about, or null. */
  readonly subjectId: string | null;
}
export interface ActorDiedRecord extends ErrorRecord {
  readonly kind: "ActorDiedError";
  readonly reason: ActorEndReason;
}
interface ReconstructionFailedRecord extends ErrorRecord {
  readonly kind: "ObjectReconstructionFailedError";
  readonly reason: ReconstructionFailureReason;
}
type PlainErrorKind = Exclude<SystemErrorKind, "ActorDiedError" | "ObjectReconstructionFailedError">;
/** What is known of an error that must cross a channel without the user's values: kind, message, and ids. */
export type SystemErrorRecord = ActorDiedRecord | ReconstructionFailedRecord | (ErrorRecord & { readonly kind: PlainErrorKind });

const SYSTEM_ERRORS = {
  TaskCancelledError: (r: ErrorRecord) => new TaskCancelledError(r.message),
  TaskTimeoutError: (r: ErrorRecord) => new TaskTimeoutError(r.message),
  TaskUnschedulableError: (r: ErrorRecord) => new TaskUnschedulableError(r.message),
  WorkerCrashedError: (r: ErrorRecord) => new WorkerCrashedError(r.message),
  ActorDiedError: (r: ActorDiedRecord) => new ActorDiedError(r.message, { actorId: r.subjectId ?? "", reason: r.reason }),
  ActorUnavailableError: (r: ErrorRecord) => new ActorUnavailableError(r.message, { actorId: r.subjectId ?? "" }),
  ActorUnschedulableError: (r: ErrorRecord) => new ActorUnschedulableError(r.message),
  ActorAlreadyExistsError: (r: ErrorRecord) => new ActorAlreadyExistsError(r.message),
  ActorNotFoundError: (r: ErrorRecord) => new ActorNotFoundError(r.message),
  ObjectLostError: (r: ErrorRecord) => new ObjectLostError(r.message, { objectId: r.subjectId ?? "" }),
  ObjectReconstructionFailedError: (r: ReconstructionFailedRecord) => new ObjectReconstructionFailedError(r.message, { objectId: r.subjectId ?? "", reason: r.reason }),
  ObjectFreedError: (r: ErrorRecord) => new ObjectFreedError(r.message, { objectId: r.subjectId ?? "" }),
  OwnerDiedError: (r: ErrorRecord) => new OwnerDiedError(r.message, { objectId: r.subjectId ?? "" }),
  ObjectStoreFullError: (r: ErrorRecord) => new ObjectStoreFullError(r.message),
  OutOfDiskError: (r: ErrorRecord) => new OutOfDiskError(r.message),
  OutOfMemoryError: (r: ErrorRecord) => new OutOfMemoryError(r.message),
  NodeDiedError: (r: ErrorRecord) => new NodeDiedError(r.message),
  PendingCallsLimitExceededError: (r: ErrorRecord) => new PendingCallsLimitExceededError(r.message),
  PlacementGroupRemovedError: (r: ErrorRecord) => new PlacementGroupRemovedError(r.message),
  PlacementGroupAlreadyExistsError: (r: ErrorRecord) => new PlacementGroupAlreadyExistsError(r.message),
  RuntimeEnvSetupError: (r: ErrorRecord) => new RuntimeEnvSetupError(r.message),
  SerializationError: (r: ErrorRecord) => new SerializationError(r.message),
  RuntimeStateError: (r: ErrorRecord) => new RuntimeStateError(r.message),
} as const;
export type SystemErrorKind = keyof typeof SYSTEM_ERRORS;

/** Rebuilds the typed error that a record stands for. */
export function systemErrorOf(record: SystemErrorRecord): RayError {
  if (record.kind === "ActorDiedError") return SYSTEM_ERRORS[record.kind](record);
  return record.kind === "ObjectReconstructionFailedError" ? SYSTEM_ERRORS[record.kind](record) : SYSTEM_ERRORS[record.kind](record);
}

/** The record of a runtime error, or null when the error is not one that may travel this way. */
export function recordOf(error: unknown): SystemErrorRecord | null {
  if (!(error instanceof RayError) || !(error.name in SYSTEM_ERRORS)) return null;
  const subjectId = error instanceof ActorError ? error.actorId : error instanceof ObjectLostError ? error.objectId : null;
  const { name, message } = error;
  if (error instanceof ActorDiedError) return { kind: "ActorDiedError", message, subjectId, reason: error.reason };
  if (error instanceof ObjectReconstructionFailedError) return { kind: "ObjectReconstructionFailedError", message, subjectId, reason: error.reason };
  return { kind: name as PlainErrorKind, message, subjectId };
}
