import { Deque, type ActorDiedRecord, type ActorEndReason, type ActorId, type WorkerId } from "../base/mod.ts";
import type { ActorDeath, ActorStateRecord, CallRules } from "../protocol/mod.ts";
import { HELD, type HandleHolder } from "./handle-holder.ts";
import { type Failure, systemFailure } from "./object-entry.ts";

/** Calls at the actor's worker at once; more wait here, so that a slow actor does not fill its worker's memory. */
const CALLS_AT_ACTOR_MAX = 8192;

/** What the order of calls depends on, and what becomes of them when their worker is lost. */
export interface WaitingCall {
  /** Grows from call to call. */
  readonly sequence: number;
  readonly name: string;
  readonly isDone: boolean;
  readonly unresolvedCount: number;
  /** -1 without limit. */
  retriesLeft: number;
  /** So many as the actor's rules say. */
  readonly followsRules: boolean;
}

export interface FailedCall<Call> {
  readonly call: Call;
  readonly failure: Failure;
}

/** What a client needs to know of its class; `actor-type.ts` has the rest. */
export interface ClientType {
  readonly className: string;
  readonly rules: CallRules;
}

/**
 * One actor as a caller sees it. Keeps the caller's order: a call is sent only after those before it, across restarts too. Pure.
 *
 *                    ALIVE (1)                worker lost (2)
 *   waiting for ───────────────▶ sending ─────────────────────▶ waiting for the GCS's word: restarted, or dead
 *   the GCS's word ◀──────────── RESTARTING (3) ◀──────────────────┤
 *                                dead ◀──────────── DEAD (4) ◀─────┘
 *
 * (1) Calls go to the new worker once those at the former one have had their outcome, so that none overtakes another.
 * (2) Calls that were there may have run, or not. What becomes of them the GCS's word decides, which may have come already.
 * (3) Those with a retry left go to the new worker, before all others; the rest fail with ActorUnavailableError. Calls
 *     that were not sent have not run, and wait.
 * (4) All fail with ActorDiedError.
 */
export class ActorClient<Call extends WaitingCall = WaitingCall> implements HandleHolder {
  /** One that was made with `getIfExists` is a holder of the actor that it turned out to stand for. */
  [HELD]: string | null = null;
  /** With `getIfExists`, provisional until the GCS has said which actor has the name; so are the next two, and the type. */
  actorId: ActorId;
  ownerId: WorkerId;
  isDetached: boolean;
  #type: ClientType;
  /** As it was asked for: its calls say which actor of the worker they are for. */
  readonly isShared: boolean;
  workerId: WorkerId | null = null;
  /** Which of the actors of its worker. */
  number = 0;
  /** What calls fail with. */
  death: Failure | null = null;
  /** Whether the GCS was asked to tell what becomes of it. */
  isWatched = false;
  readonly waiting = new Deque<Call>();
  /** Where calls may overtake: those whose arguments are not there yet. */
  #unready: Set<Call> | null = null;
  /** Without an outcome, whatever they wait for. */
  pendingCalls = 0;
  /** Sent and without an outcome; those that are between two runs, too. */
  inFlight = 0;
  /** Where those were sent. */
  #sentTo: WorkerId | null = null;
  #sentNumber = 0;
  /** Where the actor was by the last word of the GCS. */
  #toldAt: WorkerId | null = null;
  #toldNumber = 0;
  /** (2) Calls that were at a worker which is lost, until the GCS's word. */
  #lost: Call[] | null = null;
  #lossReason = "";
  #isLossOutOfMemory = false;
  /** Run once the constructor's outcome is known. */
  #onReady: ((failure: Failure | null) => void)[] | null = null;
  /** Run once it is dead. */
  #onDead: ((failure: Failure | null) => void)[] | null = null;

  constructor(actorId: ActorId, ownerId: WorkerId, isDetached: boolean, isShared: boolean, type: ClientType) {
    this.actorId = actorId;
    this.ownerId = ownerId;
    this.isDetached = isDetached;
    this.isShared = isShared;
    this.#type = type;
  }

  get type(): ClientType {
    return this.#type;
  }
  get className(): string {
    return this.#type.className;
  }
  get rules(): CallRules {
    return this.#type.rules;
  }

  /** It stands for an actor that was there before: that one's rules hold, also for calls that were made already. None has been sent. */
  standsForOneOf(type: ClientType): void {
    this.#type = type;
    for (const calls of [this.waiting, this.#unready ?? []]) {
      for (const call of calls) if (call.followsRules) call.retriesLeft = type.rules.maxTaskRetries;
    }
  }

  add(call: Call): void {
    if (this.rules.allowsOvertaking && call.unresolvedCount > 0) (this.#unready ??= new Set()).add(call);
    else this.waiting.push(call);
  }

  /** In the order of the calls, in which it is an earlier one. */
  addAgain(call: Call): void {
    this.#putBack([call]);
  }

  /** The arguments of a call that was added have come, or failed. */
  argsSettled(call: Call): void {
    if (this.#unready?.delete(call) === true) this.waiting.push(call);
  }

  /** Adds the calls that may be sent now, in order: up to the first whose arguments are not there yet. */
  takeSendable(calls: Call[]): void {
    if (this.workerId === null || (this.inFlight > 0 && !this.#isWhereSent)) return;
    const before = calls.length;
    for (let next = this.waiting.peek(); next !== undefined; next = this.waiting.peek()) {
      if (!next.isDone && (next.unresolvedCount > 0 || this.inFlight >= CALLS_AT_ACTOR_MAX)) break;
      this.waiting.shift();
      if (next.isDone) continue;
      this.inFlight++;
      calls.push(next);
    }
    if (calls.length > before) {
      this.#sentTo = this.workerId;
      this.#sentNumber = this.number;
    }
  }

  /** Calls that have their outcome are taken out, also behind one that cannot be sent yet. */
  dropDone(): void {
    this.waiting.removeWhere((call) => call.isDone);
    if (this.#unready !== null) for (const call of this.#unready) if (call.isDone) this.#unready.delete(call);
  }

  /** Somebody waits until it is ready. */
  get isAwaited(): boolean {
    return this.#onReady !== null;
  }

  whenReady(callback: (failure: Failure | null) => void): void {
    if (this.death !== null) callback(readyFailure(this.death));
    else if (this.workerId !== null) callback(null);
    else (this.#onReady ??= []).push(callback);
  }

  whenDead(callback: (failure: Failure | null) => void): void {
    if (this.death !== null) callback(null);
    else (this.#onDead ??= []).push(callback);
  }

  /** Nothing will be known of it any more. */
  stopWatching(failure: Failure): void {
    this.#settleReady(failure);
    this.#settleDead(failure);
  }

  // ------------------------------------------------------------------ calls that threw and run again

  /** Where such a call keeps its turn; null if that worker is lost, and its turn with it. */
  get turnKeptAt(): WorkerId | null {
    return this.#isWhereSent ? this.workerId : null;
  }

  /** A shared actor that starts again may do so in the same worker, with another number. */
  get #isWhereSent(): boolean {
    return this.workerId === this.#sentTo && this.number === this.#sentNumber;
  }

  /** It lost its turn with its worker: it runs again as soon as the actor does, at no further cost. */
  runsElsewhere(call: Call): FailedCall<Call>[] {
    this.inFlight--;
    if (this.death !== null) return [{ call, failure: this.death }];
    this.#putBack([call]);
    return [];
  }

  // ------------------------------------------------------------------ what becomes of the actor

  /** (2) Returns the calls that can never run now, as the following do. */
  workerLost(workerId: WorkerId, calls: readonly Call[], reason: string, isOutOfMemory = false): FailedCall<Call>[] {
    if (this.workerId === workerId) this.workerId = null;
    if (calls.length === 0) return [];
    this.inFlight -= calls.length;
    (this.#lost ??= []).push(...calls);
    this.#lossReason = `its worker ${reason}`;
    this.#isLossOutOfMemory = isOutOfMemory;
    return this.#toldAt === workerId ? [] : this.#settleLost();
  }

  /** (2) A shared actor is not any more where calls were sent. */
  leftWorker(): void {
    if (this.#isWhereSent) this.workerId = null;
  }

  /** (2) Of a shared actor that has left its worker and may start again: the call was there. */
  callLost(call: Call, reason: string): FailedCall<Call>[] {
    this.leftWorker();
    this.inFlight--;
    (this.#lost ??= []).push(call);
    this.#lossReason = reason;
    this.#isLossOutOfMemory = false;
    return this.#toldAt === this.#sentTo && this.#toldNumber === this.#sentNumber ? [] : this.#settleLost();
  }

  /** The GCS's word. */
  stateChanged(state: ActorStateRecord): FailedCall<Call>[] {
    if (state.aliasOf !== null) {
      this.actorId = state.aliasOf.actorId;
      this.ownerId = state.aliasOf.ownerId;
      this.isDetached = state.aliasOf.isDetached;
    }
    if (this.death !== null) return [];
    this.workerId = this.#toldAt = state.phase === "ALIVE" ? state.workerId : null;
    this.number = this.#toldNumber = state.number;
    if (state.phase === "DEAD") return this.died(state.death ?? { message: "the reason is not known", reason: "unknown", creation: null, refusal: null });
    const failed = this.#settleLost(); // (3)
    if (state.phase === "ALIVE") this.#settleReady(null);
    return failed;
  }

  died({ message, reason, creation, refusal }: ActorDeath): FailedCall<Call>[] {
    if (refusal !== null) return this.failed(systemFailure({ kind: refusal, message: `${this.#label} ${message}`, subjectId: this.actorId }));
    const error: ActorDiedRecord = { kind: "ActorDiedError", message: `${this.#label} is dead: ${message}`, subjectId: this.actorId, reason };
    return this.failed(creation === null ? systemFailure(error) : { kind: "creationError", error, creation });
  }

  /** (4) Calls fail with this from now on. */
  failed(death: Failure): FailedCall<Call>[] {
    this.death = death;
    this.#settleReady(readyFailure(death));
    this.#settleDead(null);
    const unsent = [...this.waiting.removeWhere(() => true), ...(this.#unready ?? [])];
    this.#unready = null;
    return [...this.#settleLost(), ...unsent.filter(({ isDone }) => !isDone).map((call) => ({ call, failure: death }))];
  }

  *unsent(): Iterable<Call> {
    if (this.#lost !== null) yield* this.#lost;
    yield* this.waiting;
  }

  /** All that were not sent, taken out: nothing runs here any more. */
  takeUnsent(): Call[] {
    return [...this.#takeLost(), ...this.waiting.removeWhere(() => true)];
  }

  get #label(): string {
    return `actor ${this.className} (${this.actorId})`;
  }

  #settleLost(): FailedCall<Call>[] {
    if (this.#lost === null) return [];
    const failed: FailedCall<Call>[] = [];
    const again: Call[] = [];
    for (const call of this.#takeLost()) {
      if (call.isDone) continue;
      if (this.death !== null) failed.push({ call, failure: this.#diedUnder(call) });
      else if (call.retriesLeft === 0) failed.push({ call, failure: this.#unavailableTo(call) });
      else {
        if (call.retriesLeft > 0) call.retriesLeft--;
        again.push(call);
      }
    }
    if (again.length > 0) this.#putBack(again);
    return failed;
  }

  #takeLost(): Call[] {
    const lost = this.#lost ?? [];
    this.#lost = null;
    return lost;
  }

  #putBack(calls: readonly Call[]): void {
    const ordered = [...calls, ...this.waiting.removeWhere(() => true)].sort((a, b) => a.sequence - b.sequence);
    for (const call of ordered) this.waiting.push(call);
  }

  #diedUnder({ name }: Call): Failure {
    const message = `${this.#label} died while ${name}() was running or waiting there: ${this.#lossReason}`;
    const subjectId = this.actorId;
    return systemFailure(this.#isLossOutOfMemory ? { kind: "OutOfMemoryError", message, subjectId } : { kind: "ActorDiedError", message, subjectId, reason: this.#endReason });
  }

  get #endReason(): ActorEndReason {
    return this.death !== null && this.death.kind !== "taskError" && this.death.error.kind === "ActorDiedError" ? this.death.error.reason : "unknown";
  }

  #unavailableTo({ name }: Call): Failure {
    const message = `${this.#label} was lost while ${name}() was running or waiting there, so it may have run or not, and starts again: ${this.#lossReason}. Later calls wait for it; give maxTaskRetries to calls that may run twice`;
    return systemFailure({ kind: this.#isLossOutOfMemory ? "OutOfMemoryError" : "ActorUnavailableError", message, subjectId: this.actorId });
  }

  #settleDead(failure: Failure | null): void {
    const waiting = this.#onDead;
    this.#onDead = null;
    if (waiting !== null) for (const callback of waiting) callback(failure);
  }

  #settleReady(failure: Failure | null): void {
    const waiting = this.#onReady;
    this.#onReady = null;
    if (waiting !== null) for (const callback of waiting) callback(failure);
  }
}

/** `ready()` gives what the constructor threw itself, calls an ActorDiedError that has it as its cause. */
function readyFailure(death: Failure): Failure {
  return death.kind === "creationError" ? { kind: "taskError", error: death.creation } : death;
}
