import type { AcceleratorIds, ActorId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ActorSpec } from "../protocol/mod.ts";
import { ActorCallQueue } from "./actor-call-queue.ts";
import type { Execution } from "./execution.ts";
import { isAsyncFunction, TERMINATE } from "./task.ts";

/** Calls of an actor with at least one asynchronous method that may run at once, unless it says otherwise. */
const ASYNC_CONCURRENCY_DEFAULT = 1000;

/** An actor that was busy for so long lets the event loop turn before its next call: else it would not learn that calls in its queue are cancelled. */
const CALLS_TURN_MS_MAX = 5;

export interface CallRunner {
  /** Undefined when the call has ended already. */
  start(execution: Execution): Promise<void> | undefined;
  readonly lastRunMs: number;
}

/**
 * One actor in its worker: the user's object and the calls that wait for it. Calls start in the order in which they
 * arrived, at most `maxConcurrency` at once, or as many as their group allows; above 1 they interleave at their awaits.
 */
export class ActorInstance {
  readonly spec: ActorSpec;
  /** Which of the actors of this worker; 0 if it has it for itself. */
  readonly number: number;
  readonly wasRestarted: boolean;
  readonly acceleratorIds: AcceleratorIds | null;
  readonly #queue: ActorCallQueue<Execution>;
  #instance: object | null = null;
  readonly #runner: CallRunner;
  /** Since the event loop turned; of calls that do not wait. */
  #busyMs = 0;
  #isTurning = false;
  #whenDrained: (() => void) | null = null;
  #whenAlone: (() => void) | null = null;
  /** Calls that threw, or whose argument is lost, and whose owners have not said yet whether they run again. Each counts as running. */
  #keepingTurn: Map<string, Execution> | null = null;
  /** What calls get that arrive after its end, while its worker is still there. */
  end: SystemErrorRecord | null = null;
  /** After its end: it may start again, here or elsewhere. */
  mayRestart = false;
  /** It ends after the calls that run, and starts again on another node. */
  isMoving = false;

  constructor(spec: ActorSpec, number: number, wasRestarted: boolean, acceleratorIds: AcceleratorIds | null, runner: CallRunner) {
    this.spec = spec;
    this.number = number;
    this.wasRestarted = wasRestarted;
    this.acceleratorIds = acceleratorIds;
    this.#runner = runner;
    this.#queue = new ActorCallQueue<Execution>(spec.rules.groups);
  }

  get actorId(): ActorId {
    return this.spec.actorId;
  }
  get label(): string {
    return this.spec.name === null ? this.spec.className : `${this.spec.className}:${this.spec.name}`;
  }

  /** The constructor has run. */
  constructed(instance: object): void {
    this.#instance = instance;
    this.#queue.open(this.spec.maxConcurrency ?? (hasAsyncMethod(instance) ? ASYNC_CONCURRENCY_DEFAULT : 1));
    this.#pump();
  }

  enqueue(execution: Execution): void {
    if (methodOf(execution) === TERMINATE) this.#queue.addLast(execution);
    else this.#queue.add(execution, groupOf(execution));
    this.#pump();
  }

  call(method: string, args: unknown[]): unknown {
    const instance = this.#instance as Record<string, (...args: unknown[]) => unknown>;
    const target = instance[method];
    if (typeof target !== "function") throw new TypeError(`${this.spec.className} has no method '${method}'`);
    return target.apply(instance, args);
  }

  /** A call that kept its turn is here once more, or one that was over, because its result is lost. */
  runAgain(execution: Execution): void {
    const turn = turnOf(execution.peer.workerId, execution.sequence);
    const before = this.#keepingTurn?.get(turn);
    if (before === undefined) {
      this.#queue.addRepeated(execution, groupOf(execution));
    } else {
      this.#keepingTurn?.delete(turn);
      if (before.awaitsArgument) this.#queue.held(groupOf(before), -1);
      this.#run(execution);
    }
    this.#pump();
  }

  /** It does not run again. */
  turnGivenUp(ownerId: WorkerId, taskSequence: number): void {
    this.#releaseTurn(turnOf(ownerId, taskSequence));
    this.#pump();
  }

  /** Nobody will say any more whether its calls run again. */
  ownerLost(ownerId: WorkerId): void {
    if (this.#keepingTurn === null) return;
    for (const [turn, execution] of this.#keepingTurn) if (execution.peer.workerId === ownerId) this.#releaseTurn(turn);
    this.#pump();
  }

  #releaseTurn(turn: string): void {
    const execution = this.#keepingTurn?.get(turn);
    if (execution === undefined) return;
    this.#keepingTurn?.delete(turn);
    if (execution.awaitsArgument) this.#queue.held(groupOf(execution), -1);
    this.#queue.ended(groupOf(execution));
  }

  /** Calls that have not started never will; see `takeWaiting`. */
  stopTakingCalls(): void {
    this.#queue.stop();
  }

  /** Calls `then` when every call that has arrived is done; asked again, the first reason counts. */
  whenDrained(then: () => void): void {
    this.#whenDrained ??= then;
    this.#pump();
  }

  /** Resolves when the only call that still runs is the one that asks: the last one. */
  othersEnded(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenAlone = resolve;
      this.#pump();
    });
  }

  /** The calls that have not started. */
  waiting(): Iterable<Execution> {
    return this.#queue.waiting();
  }

  /** The calls that have not started, taken out: the actor ends without them. */
  takeWaiting(): Execution[] {
    return this.#queue.takeWaiting();
  }

  /** Calls of these that have not started never will. */
  removeWaiting(matches: (call: Execution) => boolean): Execution[] {
    return this.#queue.removeWaiting(matches);
  }

  /** Nothing will be called any more: the object may go. */
  release(): void {
    this.#queue.stop();
    this.#instance = null;
  }

  #run(execution: Execution): void {
    const finished = this.#runner.start(execution);
    if (finished === undefined) {
      this.#ended(execution);
      this.#turnIfBusy();
    } else void finished.then(() => { this.#ended(execution); this.#pump(); });
  }

  #ended(execution: Execution): void {
    if (!execution.keepsTurn) return this.#queue.ended(groupOf(execution));
    (this.#keepingTurn ??= new Map()).set(turnOf(execution.peer.workerId, execution.sequence), execution);
    if (execution.awaitsArgument) this.#queue.held(groupOf(execution), 1);
  }

  #pump(): void {
    if (this.#instance === null) return;
    while (!this.#isTurning) {
      const next = this.#queue.next();
      if (next === undefined) break;
      this.#run(next);
    }
    if (this.#whenAlone !== null && this.#queue.running === 1) {
      this.#whenAlone();
      this.#whenAlone = null;
    }
    if (this.#whenDrained !== null && this.#queue.isDrained) {
      const then = this.#whenDrained;
      this.#whenDrained = null;
      then();
    }
  }

  #turnIfBusy(): void {
    this.#busyMs += this.#runner.lastRunMs;
    if (this.#busyMs < CALLS_TURN_MS_MAX) return;
    this.#busyMs = 0;
    this.#isTurning = true;
    // Twice: channels are read between two turns of this kind.
    setImmediate(() => setImmediate(() => {
      this.#isTurning = false;
      this.#pump();
    }));
  }
}

function methodOf({ callable }: Execution): string | null {
  return callable.kind === "method" ? callable.method : null;
}

function groupOf({ callable }: Execution): string | null {
  return callable.kind === "method" ? callable.group : null;
}

function turnOf(ownerId: WorkerId, taskSequence: number): string {
  return `${ownerId}/${taskSequence}`;
}

/** By prototype: of one class there may be a hundred thousand. */
const asyncTypes = new WeakMap<object, boolean>();

function hasAsyncMethod(instance: object): boolean {
  const prototype = Object.getPrototypeOf(instance) as object | null;
  return prototype !== null && isAsyncType(prototype);
}

/** Whether a class with this prototype has an asynchronous method. */
export function isAsyncType(prototype: object): boolean {
  let isAsync = asyncTypes.get(prototype);
  if (isAsync === undefined) asyncTypes.set(prototype, (isAsync = findAsyncMethod(prototype)));
  return isAsync;
}

function findAsyncMethod(prototype: object): boolean {
  for (let type: object | null = prototype; type !== null && type !== Object.prototype; type = Object.getPrototypeOf(type) as object | null) {
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(type))) {
      if (typeof descriptor.value === "function" && isAsyncFunction(descriptor.value as Function)) return true;
    }
  }
  return false;
}
