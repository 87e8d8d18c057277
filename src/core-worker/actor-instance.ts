import { Deque, type AcceleratorIds, type ActorId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { ActorSpec } from "../protocol/mod.ts";
import type { Execution } from "./execution.ts";
import { isAsyncFunction } from "./task.ts";

/** Calls of an actor with at least one asynchronous method that may run at once, unless it says otherwise. */
const ASYNC_CONCURRENCY_DEFAULT = 1000;

/**
 * One actor in its worker: the user's object and the calls that wait for it. Calls start in the order in which they
 * arrived, at most `maxConcurrency` at once; above 1 they interleave at their awaits.
 */
export class ActorInstance {
  readonly spec: ActorSpec;
  readonly wasRestarted: boolean;
  readonly acceleratorIds: AcceleratorIds | null;
  readonly #waiting = new Deque<Execution>();
  #instance: object | null = null;
  #running = 0;
  #concurrencyMax = 1;
  readonly #start: (execution: Execution) => Promise<void> | undefined;
  #whenDrained: (() => void) | null = null;
  #takesCalls = true;
  /** Calls that threw and whose owners have not said yet whether they run again. Each counts as running. */
  readonly #keepingTurn = new Map<string, WorkerId>();
  /** What calls get that arrive after its end, while its worker is still there. */
  end: SystemErrorRecord | null = null;

  constructor(spec: ActorSpec, wasRestarted: boolean, acceleratorIds: AcceleratorIds | null, start: (execution: Execution) => Promise<void> | undefined) {
    this.spec = spec;
    this.wasRestarted = wasRestarted;
    this.acceleratorIds = acceleratorIds;
    this.#start = start;
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
    this.#concurrencyMax = this.spec.maxConcurrency ?? (hasAsyncMethod(instance) ? ASYNC_CONCURRENCY_DEFAULT : 1);
    this.#pump();
  }

  enqueue(execution: Execution): void {
    this.#waiting.push(execution);
    this.#pump();
  }

  call(method: string, args: unknown[]): unknown {
    const instance = this.#instance as Record<string, (...args: unknown[]) => unknown>;
    const target = instance[method];
    if (typeof target !== "function") throw new TypeError(`${this.spec.className} has no method '${method}'`);
    return target.apply(instance, args);
  }

  /** A call that kept its turn is here once more. */
  runAgain(execution: Execution): void {
    if (!this.#keepingTurn.delete(turnOf(execution.peer.workerId, execution.sequence))) return this.enqueue(execution);
    this.#run(execution);
    this.#pump();
  }

  /** It does not run again. */
  turnGivenUp(ownerId: WorkerId, taskSequence: number): void {
    if (!this.#keepingTurn.delete(turnOf(ownerId, taskSequence))) return;
    this.#running--;
    this.#pump();
  }

  /** Nobody will say any more whether its calls run again. */
  ownerLost(ownerId: WorkerId): void {
    for (const [turn, keeperId] of this.#keepingTurn) {
      if (keeperId !== ownerId || !this.#keepingTurn.delete(turn)) continue;
      this.#running--;
    }
    this.#pump();
  }

  /** Calls that have not started never will; see `takeWaiting`. */
  stopTakingCalls(): void {
    this.#takesCalls = false;
  }

  /** Calls `then` when every call that has arrived is done; asked again, the first reason counts. */
  whenDrained(then: () => void): void {
    this.#whenDrained ??= then;
    this.#pump();
  }

  /** The calls that have not started, taken out: the actor ends without them. */
  takeWaiting(): Execution[] {
    return this.#waiting.removeWhere(() => true);
  }

  #run(execution: Execution): void {
    const finished = this.#start(execution);
    if (finished === undefined) this.#ended(execution);
    else void finished.then(() => { this.#ended(execution); this.#pump(); });
  }

  #ended(execution: Execution): void {
    const ownerId = execution.peer.workerId;
    if (execution.keepsTurn) this.#keepingTurn.set(turnOf(ownerId, execution.sequence), ownerId);
    else this.#running--;
  }

  #pump(): void {
    if (this.#instance === null) return;
    while (this.#takesCalls && this.#running < this.#concurrencyMax) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#running++;
      this.#run(next);
    }
    if (this.#whenDrained !== null && this.#running === 0 && (!this.#takesCalls || this.#waiting.length === 0)) {
      const then = this.#whenDrained;
      this.#whenDrained = null;
      then();
    }
  }
}

function turnOf(ownerId: WorkerId, taskSequence: number): string {
  return `${ownerId}/${taskSequence}`;
}

function hasAsyncMethod(instance: object): boolean {
  for (let type = Object.getPrototypeOf(instance) as object | null; type !== null && type !== Object.prototype; type = Object.getPrototypeOf(type) as object | null) {
    for (const descriptor of Object.values(Object.getOwnPropertyDescriptors(type))) {
      if (typeof descriptor.value === "function" && isAsyncFunction(descriptor.value as Function)) return true;
    }
  }
  return false;
}
