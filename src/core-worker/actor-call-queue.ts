import { Deque } from "../base/mod.ts";

/** Calls that share a limit: the actor's own, or those of one concurrency group. */
class CallGroup<Call> {
  readonly waiting = new Deque<Call>();
  runningMax: number;
  running = 0;
  /** Of those that run: they wait for arguments that are made again, perhaps by calls of this very actor. */
  held = 0;
  /** Calls that were over and are to run again. */
  repeated: Deque<Call> | null = null;

  constructor(runningMax: number) {
    this.runningMax = runningMax;
  }
}

/**
 * Which call of an actor starts when. Pure. Calls of a group start in the order in which they arrived, at most as many at once as
 * the group allows; groups do not wait for each other.
 *
 *   closed (1) ── open ──▶ open ── the last call has started (2) ──▶ ending
 *                           └───── stop (3) ─────────────────────────▶ ending
 *
 * (1) The constructor has not run.
 * (2) `terminate()`: it starts after all that arrived before it, in whatever group; what arrives after it never starts.
 * (3) What has not started never will.
 */
export class ActorCallQueue<Call> {
  /** Of calls without a group; has its limit when the constructor has run. */
  readonly #ungrouped = new CallGroup<Call>(0);
  /** Null where there are none: there may be a hundred thousand queues. */
  readonly #groups: Map<string, CallGroup<Call>> | null;
  #last: Call | null = null;
  #afterLast: Call[] | null = null;
  #running = 0;
  #isOpen = false;
  #isStopped = false;

  constructor(groups: Readonly<Record<string, number>>) {
    const entries = Object.entries(groups);
    this.#groups = entries.length === 0 ? null : new Map(entries.map(([name, runningMax]) => [name, new CallGroup(runningMax)]));
  }

  /** (1) `runningMax`: of calls without a group. */
  open(runningMax: number): void {
    this.#ungrouped.runningMax = runningMax;
    this.#isOpen = true;
  }

  add(call: Call, group: string | null): void {
    if (this.#last !== null) (this.#afterLast ??= []).push(call);
    else this.#groupOf(group).waiting.push(call);
  }

  /** A call that was over runs again: before all others, and beside those that wait for what it makes. */
  addRepeated(call: Call, group: string | null): void {
    const { repeated } = this.#groupOf(group);
    if (repeated !== null) repeated.push(call);
    else (this.#groupOf(group).repeated = new Deque<Call>()).push(call);
  }

  /** (2) Another one after it never starts. */
  addLast(call: Call): void {
    if (this.#last === null) this.#last = call;
    else (this.#afterLast ??= []).push(call);
  }

  /** A call that may start now; from then on it counts as running, until `ended`. */
  next(): Call | undefined {
    if (!this.#isOpen || this.#isStopped) return undefined;
    let call = this.#nextOf(this.#ungrouped);
    if (this.#groups !== null) for (const group of this.#groups.values()) call ??= this.#nextOf(group);
    if (call !== undefined || this.#last === null || this.#isAnyWaiting()) return call;
    const last = this.#last;
    this.#last = null;
    this.#isStopped = true;
    this.#running++;
    this.#ungrouped.running++;
    return last;
  }

  #nextOf(group: CallGroup<Call>): Call | undefined {
    let call = group.repeated !== null && group.running - group.held < group.runningMax ? group.repeated.shift() : undefined;
    if (call === undefined && group.running < group.runningMax) call = group.waiting.shift();
    if (call === undefined) return undefined;
    group.running++;
    this.#running++;
    return call;
  }

  /** A call that runs waits for an argument of its own, or goes on. */
  held(group: string | null, difference: 1 | -1): void {
    this.#groupOf(group).held += difference;
  }

  ended(group: string | null): void {
    this.#groupOf(group).running--;
    this.#running--;
  }

  /** (3) */
  stop(): void {
    this.#isStopped = true;
  }

  /** The calls that have not started. */
  *waiting(): Iterable<Call> {
    for (const { repeated, waiting } of [this.#ungrouped, ...(this.#groups?.values() ?? [])]) {
      if (repeated !== null) yield* repeated;
      yield* waiting;
    }
    if (this.#last !== null) yield this.#last;
    yield* this.#afterLast ?? [];
  }

  /** The calls that have not started, taken out: the actor ends without them. */
  takeWaiting(): Call[] {
    const waiting = this.#takeFrom(this.#ungrouped, () => true);
    for (const group of this.#groups?.values() ?? []) waiting.push(...this.#takeFrom(group, () => true));
    if (this.#last !== null) waiting.push(this.#last);
    this.#last = null;
    waiting.push(...(this.#afterLast ?? []));
    this.#afterLast = null;
    return waiting;
  }

  /** Those of the calls that have not started, taken out; they never will. Not a `terminate()`, which calls after it count on. */
  removeWaiting(matches: (call: Call) => boolean): Call[] {
    const removed = this.#takeFrom(this.#ungrouped, matches);
    for (const group of this.#groups?.values() ?? []) removed.push(...this.#takeFrom(group, matches));
    const afterLast = this.#afterLast ?? [];
    for (let index = afterLast.length - 1; index >= 0; index--) if (matches(afterLast[index] as Call)) removed.push(...afterLast.splice(index, 1));
    return removed;
  }

  #takeFrom({ waiting, repeated }: CallGroup<Call>, matches: (call: Call) => boolean): Call[] {
    return repeated === null ? waiting.removeWhere(matches) : [...repeated.removeWhere(matches), ...waiting.removeWhere(matches)];
  }

  get running(): number {
    return this.#running;
  }

  /** Whether nothing runs, and nothing will but for what is still to arrive. */
  get isDrained(): boolean {
    if (this.#running > 0) return false;
    if (this.#isStopped) return true;
    return this.#last === null && !this.#isAnyWaiting();
  }

  #isAnyWaiting(): boolean {
    if (hasWaiting(this.#ungrouped)) return true;
    for (const group of this.#groups?.values() ?? []) if (hasWaiting(group)) return true;
    return false;
  }

  /** Callers check the names of groups; one of a class that has changed its groups counts as none. */
  #groupOf(name: string | null): CallGroup<Call> {
    return name === null ? this.#ungrouped : this.#groups?.get(name) ?? this.#ungrouped;
  }
}

function hasWaiting({ waiting, repeated }: CallGroup<unknown>): boolean {
  return waiting.length > 0 || (repeated !== null && repeated.length > 0);
}
