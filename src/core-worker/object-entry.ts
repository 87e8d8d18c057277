import { sequencedId, type ActorDiedRecord, type ObjectId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, TaskErrorRecord } from "../protocol/mod.ts";
import type { StackPlace } from "../serialization/mod.ts";

/** What became of an object, as its holder keeps it. */
export type Failure =
  | { readonly kind: "taskError"; readonly error: TaskErrorRecord }
  | { readonly kind: "systemError"; readonly error: SystemErrorRecord }
  /** An actor whose constructor threw: calls of it fail with ActorDiedError, caused by that. */
  | { readonly kind: "creationError"; readonly error: ActorDiedRecord; readonly creation: TaskErrorRecord };

/** Where a call was made: formatted only when its error is shown. */
export interface CallSite {
  readonly stack?: string;
  /** Once they were taken out of the stack, which is empty then. */
  places?: readonly StackPlace[];
}

export type EntryStatus = 0 | 1 | 2 | 3;
/** Not known yet. */
export const PENDING: EntryStatus = 0;
/** `content` is a JavaScript primitive. */
export const PRIMITIVE: EntryStatus = 1;
/** `content` is an EncodedValueRecord; every `get` decodes it anew. */
export const ENCODED: EntryStatus = 2;
/** `content` is a Failure. */
export const FAILED: EntryStatus = 3;

export type Settled = (entry: ObjectEntry) => void;

/**
 * What this worker knows of one object: its own (then this is the object's memory), or one that it borrowed.
 * The hot path makes millions of these: few fields, no closures, no registration anywhere until the object is shared.
 */
export class ObjectEntry {
  status: EntryStatus = PENDING;
  content: unknown = undefined;
  readonly sequence: number;
  /** The task that makes it: its sequence number; 0 for `put`. */
  readonly taskSequence: number;
  readonly ownerId: WorkerId;
  #id: ObjectId | null;
  #waiting: Settled | Settled[] | null = null;
  /** Of the call that makes it, for the stack of its error; dropped with its success. */
  site: CallSite | null = null;

  constructor(ownerId: WorkerId, sequence: number, taskSequence: number, id: ObjectId | null = null) {
    this.ownerId = ownerId;
    this.sequence = sequence;
    this.taskSequence = taskSequence;
    this.#id = id;
  }

  get id(): ObjectId {
    return (this.#id ??= sequencedId(this.ownerId, this.sequence));
  }

  settlePrimitive(value: unknown): void {
    this.#settle(PRIMITIVE, value);
  }
  settleEncoded(value: EncodedValueRecord): void {
    this.#settle(ENCODED, value);
  }
  settleFailed(failure: Failure): void {
    this.#settle(FAILED, failure);
  }

  /** The first outcome stands: a second one (a late reply after a cancellation) is ignored. */
  #settle(status: EntryStatus, content: unknown): void {
    if (this.status !== PENDING) return;
    this.status = status;
    this.content = content;
    if (status !== FAILED) this.site = null;
    const waiting = this.#waiting;
    if (waiting === null) return;
    this.#waiting = null;
    if (typeof waiting === "function") waiting(this);
    else for (const settled of waiting) settled(this);
  }

  /** A value that was lost is here again, or will never be. Nobody waits for an entry that was settled. */
  replace(status: EntryStatus, content: unknown): void {
    this.status = status;
    this.content = content;
  }

  /** While it is not known yet its content is the task that makes it. */
  isMadeBy(task: object, site: CallSite | null): void {
    this.content = task;
    this.site = site;
  }

  /** Calls `settled` once, when the outcome is known. The caller has checked that it is not known yet. */
  whenSettled(settled: Settled): void {
    if (this.#waiting === null) this.#waiting = settled;
    else if (typeof this.#waiting === "function") this.#waiting = [this.#waiting, settled];
    else this.#waiting.push(settled);
  }

  stopWaiting(settled: Settled): void {
    if (this.#waiting === settled) this.#waiting = null;
    else if (Array.isArray(this.#waiting)) this.#waiting = this.#waiting.filter((other) => other !== settled);
  }
}

export function systemFailure(error: SystemErrorRecord): Failure {
  return { kind: "systemError", error };
}
