import { Deque, type ActorId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { ActorDeath, ActorStateRecord } from "../protocol/mod.ts";
import type { Failure } from "./object-entry.ts";

/** Calls at the actor's worker at once; more wait here, so that a slow actor does not fill its worker's memory. */
const CALLS_AT_ACTOR_MAX = 8192;

/** What the order of calls depends on. */
export interface WaitingCall {
  readonly isDone: boolean;
  readonly unresolvedCount: number;
}

/**
 * One actor as a caller sees it. Keeps the caller's order: a call is sent only after those before it.
 *
 *   waiting for the GCS ── ALIVE ──▶ sending ── worker lost ──▶ waiting for the GCS's word ── DEAD ──▶ dead
 */
export class ActorClient<Call extends WaitingCall = WaitingCall> {
  /** With `getIfExists`, provisional until the GCS has said which actor has the name; so are the next two. */
  actorId: ActorId;
  ownerId: WorkerId;
  isDetached: boolean;
  readonly className: string;
  workerId: WorkerId | null = null;
  /** What calls fail with. */
  death: Failure | null = null;
  /** Whether the GCS was asked to tell what becomes of it. */
  isWatched = false;
  readonly waiting = new Deque<Call>();
  inFlight = 0;
  /** Runs once the constructor's outcome is known. */
  readonly #onReady: ((failure: Failure | null) => void)[] = [];

  constructor(actorId: ActorId, ownerId: WorkerId, isDetached: boolean, className: string) {
    this.actorId = actorId;
    this.ownerId = ownerId;
    this.isDetached = isDetached;
    this.className = className;
  }

  /** The calls that may be sent now, in order: up to the first whose arguments are not there yet. */
  takeSendable(): Call[] {
    const calls: Call[] = [];
    if (this.workerId === null) return calls;
    for (let next = this.waiting.peek(); next !== undefined; next = this.waiting.peek()) {
      if (!next.isDone && (next.unresolvedCount > 0 || this.inFlight >= CALLS_AT_ACTOR_MAX)) break;
      this.waiting.shift();
      if (next.isDone) continue;
      this.inFlight++;
      calls.push(next);
    }
    return calls;
  }

  whenReady(callback: (failure: Failure | null) => void): void {
    if (this.death !== null) callback(readyFailure(this.death));
    else if (this.workerId !== null) callback(null);
    else this.#onReady.push(callback);
  }

  /** The GCS's word. Returns the calls that can never run now. */
  stateChanged(state: ActorStateRecord): Call[] {
    if (state.aliasOf !== null) {
      this.actorId = state.aliasOf.actorId;
      this.ownerId = state.aliasOf.ownerId;
      this.isDetached = state.aliasOf.isDetached;
    }
    if (this.death !== null) return [];
    if (state.phase === "ALIVE") {
      this.workerId = state.workerId;
      this.#settleReady(null);
      return [];
    }
    this.workerId = null;
    if (state.phase !== "DEAD") return [];
    return this.died(state.death ?? { message: "the reason is not known", creation: null, isUnschedulable: false });
  }

  died({ message, creation, isUnschedulable }: ActorDeath): Call[] {
    const label = `actor ${this.className} (${this.actorId})`;
    const error: SystemErrorRecord = isUnschedulable
      ? { kind: "ActorUnschedulableError", message: `${label} ${message}`, subjectId: this.actorId }
      : { kind: "ActorDiedError", message: `${label} is dead: ${message}`, subjectId: this.actorId };
    return this.failed(creation === null ? { kind: "systemError", error } : { kind: "creationError", error, creation });
  }

  /** Calls fail with this from now on. */
  failed(death: Failure): Call[] {
    this.death = death;
    this.#settleReady(readyFailure(death));
    return this.waiting.removeWhere(() => true);
  }

  #settleReady(failure: Failure | null): void {
    for (const callback of this.#onReady.splice(0)) callback(failure);
  }
}

/** `ready()` gives what the constructor threw itself, calls an ActorDiedError that has it as its cause. */
function readyFailure(death: Failure): Failure {
  return death.kind === "creationError" ? { kind: "taskError", error: death.creation } : death;
}
