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
    this.code = options?.code ?? codeOf(new.target.name);
    Object.defineProperty(this, "name", { value: new.target.name, configurable: true, writable: true });
    Object.defineProperty(this, BRAND, { value: lineage(new.target) });
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

function lineage(type: Function): string[] {
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
export class TaskCancelledError extends RayError {}
export class TaskTimeoutError extends RayError {}
export class TaskUnschedulableError extends RayError {}
export class WorkerCrashedError extends RayError {}

export class ActorError extends RayError {
  readonly actorId: string;
  constructor(message: string, details: { actorId: string; cause?: unknown }) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.actorId = details.actorId;
  }
}
export class ActorDiedError extends ActorError {}
export class ActorUnavailableError extends ActorError {}
export class ActorUnschedulableError extends RayError {}
export class ActorAlreadyExistsError extends RayError {}
export class ActorNotFoundError extends RayError {}

export class GetTimeoutError extends RayError {}

export class ObjectLostError extends RayError {
  readonly objectId: string;
  constructor(message: string, details: { objectId: string; cause?: unknown }) {
    super(message, "cause" in details ? { cause: details.cause } : undefined);
    this.objectId = details.objectId;
  }
}
export class OwnerDiedError extends ObjectLostError {}
export class ObjectReconstructionFailedError extends ObjectLostError {
  readonly reason: string;
  constructor(message: string, details: { objectId: string; reason: string; cause?: unknown }) {
    super(message, details);
    this.reason = details.reason;
  }
}
export class ObjectFreedError extends ObjectLostError {}
export class ObjectStoreFullError extends RayError {}
export class OutOfDiskError extends RayError {}
export class OutOfMemoryError extends RayError {}
export class NodeDiedError extends RayError {}
export class PendingCallsLimitExceededError extends RayError {}
export class PlacementGroupRemovedError extends RayError {}
export class RuntimeEnvSetupError extends RayError {}
/** Something cannot be shipped. The message names the path to it and its size or kind. */
export class SerializationError extends RayError {}
export class QueueEmptyError extends RayError {}
export class QueueFullError extends RayError {}

/** What is known of an error that must cross a channel without the user's values: kind, message, and ids. */
export interface SystemErrorRecord {
  readonly kind: SystemErrorKind;
  readonly message: string;
  /** The actor or object it is about, or null. */
  readonly subjectId: string | null;
}
const SYSTEM_ERRORS = {
  TaskCancelledError: (r: SystemErrorRecord) => new TaskCancelledError(r.message),
  TaskTimeoutError: (r: SystemErrorRecord) => new TaskTimeoutError(r.message),
  TaskUnschedulableError: (r: SystemErrorRecord) => new TaskUnschedulableError(r.message),
  WorkerCrashedError: (r: SystemErrorRecord) => new WorkerCrashedError(r.message),
  ActorDiedError: (r: SystemErrorRecord) => new ActorDiedError(r.message, { actorId: r.subjectId ?? "" }),
  ActorUnavailableError: (r: SystemErrorRecord) => new ActorUnavailableError(r.message, { actorId: r.subjectId ?? "" }),
  ActorUnschedulableError: (r: SystemErrorRecord) => new ActorUnschedulableError(r.message),
  ActorAlreadyExistsError: (r: SystemErrorRecord) => new ActorAlreadyExistsError(r.message),
  ActorNotFoundError: (r: SystemErrorRecord) => new ActorNotFoundError(r.message),
  ObjectLostError: (r: SystemErrorRecord) => new ObjectLostError(r.message, { objectId: r.subjectId ?? "" }),
  ObjectFreedError: (r: SystemErrorRecord) => new ObjectFreedError(r.message, { objectId: r.subjectId ?? "" }),
  OwnerDiedError: (r: SystemErrorRecord) => new OwnerDiedError(r.message, { objectId: r.subjectId ?? "" }),
  ObjectStoreFullError: (r: SystemErrorRecord) => new ObjectStoreFullError(r.message),
  OutOfDiskError: (r: SystemErrorRecord) => new OutOfDiskError(r.message),
  OutOfMemoryError: (r: SystemErrorRecord) => new OutOfMemoryError(r.message),
  PendingCallsLimitExceededError: (r: SystemErrorRecord) => new PendingCallsLimitExceededError(r.message),
  RuntimeEnvSetupError: (r: SystemErrorRecord) => new RuntimeEnvSetupError(r.message),
  SerializationError: (r: SystemErrorRecord) => new SerializationError(r.message),
  RuntimeStateError: (r: SystemErrorRecord) => new RuntimeStateError(r.message),
} as const;
export type SystemErrorKind = keyof typeof SYSTEM_ERRORS;

/** Rebuilds the typed error that a record stands for. */
export function systemErrorOf(record: SystemErrorRecord): RayError {
  return SYSTEM_ERRORS[record.kind](record);
}

/** The record of a runtime error, or null when the error is not one that may travel this way. */
export function recordOf(error: unknown): SystemErrorRecord | null {
  if (!(error instanceof RayError) || !(error.name in SYSTEM_ERRORS)) return null;
  const subjectId = error instanceof ActorError ? error.actorId : error instanceof ObjectLostError ? error.objectId : null;
  return { kind: error.name as SystemErrorKind, message: error.message, subjectId };
}
