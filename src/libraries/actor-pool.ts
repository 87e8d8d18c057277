import { aDurationMs, aSignal, checkOptions, clock, get, GetTimeoutError, InvalidArgumentError, ObjectRef, wait, type ActorHandle, type GetOptions } from "../api/mod.ts";
import { AsyncResult } from "./async-result.ts";
import { type ChunkOutcome, PoolIterator } from "./pool-iterator.ts";

type Call<I> = (actor: ActorHandle<I>, value: any) => ObjectRef<any>;

/** Values for each actor that `map` reads ahead of whoever takes the results: one at work, one that waits. */
const VALUES_AHEAD_PER_ACTOR = 2;
const WAIT = { timeoutMs: aDurationMs, signal: aSignal };

/** One call, from its submission until its result was taken. */
class Job<I> {
  readonly fn: Call<I>;
  readonly value: unknown;
  actor: ActorHandle<I> | null = null;
  ref: ObjectRef<any> | null = null;
  /** What `fn` threw instead of making a call. */
  failure: { readonly error: unknown } | null = null;
  /** Somebody waits for just this result. */
  isClaimed = false;
  readonly #onStart: (() => void)[] = [];

  constructor(fn: Call<I>, value: unknown) {
    this.fn = fn;
    this.value = value;
  }

  get hasStarted(): boolean {
    return this.ref !== null || this.failure !== null;
  }

  start(actor: ActorHandle<I>): void {
    try {
      const ref: unknown = this.fn(actor, this.value);
      if (!(ref instanceof ObjectRef)) throw new InvalidArgumentError("the function given to an ActorPool must return the ref of the call that it makes, for example (actor, value) => actor.method.remote(value)");
      this.actor = actor;
      this.ref = ref;
    } catch (error) {
      this.failure = { error };
    }
    for (const callback of this.#onStart.splice(0)) callback();
  }

  whenStarted(callback: () => void): void {
    if (this.hasStarted) callback();
    else this.#onStart.push(callback);
  }
}

/**
 * Spreads work over a set of actors: each has one job at a time, further ones wait for a free actor.
 *
 * After `submit`, take results in order of submission with `getNext`, or as they come with `getNextUnordered`: an actor is free again
 * when its result was taken. `map` and `mapUnordered` do both. After `getNextUnordered`, `getNext` goes on behind the latest job
 * that has been taken.
 */
export class ActorPool<I> {
  readonly #idle: ActorHandle<I>[] = [];
  /** The actors that are idle or at work. */
  readonly #members = new Set<ActorHandle<I>>();
  readonly #waiting = new Set<Job<I>>();
  /** Of `submit`, by number, until they are taken. */
  readonly #untaken = new Map<number, Job<I>>();
  #nextSubmission = 0;
  #nextReturn = 0;

  /** @throws InvalidArgumentError for no actors, or for the same one twice. */
  constructor(actors: Iterable<ActorHandle<I>>) {
    for (const actor of actors) this.push(actor);
    if (this.#idle.length === 0) throw new InvalidArgumentError("an ActorPool needs at least one actor");
  }

  /**
   * Runs `fn(actor, value)` on a free actor, at once or when one is free. `fn` makes one call and returns its ref.
   *
   * @throws what `fn` throws; if it runs later, the result rejects with that.
   */
  submit<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, value: V): void {
    const job = new Job<I>(fn, value);
    this.#enqueue(job);
    if (job.failure !== null) throw job.failure.error;
    this.#untaken.set(this.#nextSubmission++, job);
  }

  #enqueue(job: Job<I>): void {
    this.#waiting.add(job);
    this.#startWaiting();
  }

  #startWaiting(): void {
    for (const job of this.#waiting) {
      const actor = this.#idle.pop();
      if (actor === undefined) return;
      this.#waiting.delete(job);
      job.start(actor);
      if (job.failure !== null) this.#idle.push(actor);
    }
  }

  /** Its actor is free for others. */
  #ended(job: Job<I>): void {
    if (job.actor === null) return;
    this.#idle.push(job.actor);
    job.actor = null;
    this.#startWaiting();
  }

  /** Whether a result is still to be taken. */
  hasNext(): boolean {
    return this.#untaken.size > 0;
  }

  /**
   * The next result in order of submission. Several may be asked for at once.
   *
   * @throws InvalidArgumentError when there is none; what the call threw; GetTimeoutError, after which it can be asked for again.
   */
  async getNext<T = any>(options: GetOptions = {}): Promise<T> {
    checkOptions(options, WAIT, "getNext()");
    const [number, job] = this.#nextInOrder();
    job.isClaimed = true;
    try {
      await this.#settled([job], options);
    } catch (error) {
      job.isClaimed = false;
      throw error;
    }
    return this.#take<T>(number, job);
  }

  #nextInOrder(): [number, Job<I>] {
    this.#checkHasNext("getNext()");
    let isSkipped = false;
    for (const [number, job] of this.#untaken) {
      if (job.isClaimed) continue;
      if (number >= this.#nextReturn) return [number, job];
      isSkipped = true;
    }
    throw new InvalidArgumentError(isSkipped ? "getNext() was called after getNextUnordered() had taken a later result; use one of the two" : "getNext() was called, but somebody waits for each result already");
  }

  /** The next result that is there, in any order. Several may be asked for at once. @throws as `getNext` does. */
  async getNextUnordered<T = any>(options: GetOptions = {}): Promise<T> {
    checkOptions(options, WAIT, "getNextUnordered()");
    const { timeoutMs } = options;
    const endMs = timeoutMs === undefined ? null : clock().nowMs() + timeoutMs;
    for (;;) {
      this.#checkHasNext("getNextUnordered()");
      const candidates = [...this.#untaken.values()].filter((job) => !job.isClaimed);
      if (candidates.length === 0) throw new InvalidArgumentError("getNextUnordered() was called, but somebody waits for each result already");
      const job = await this.#settled(candidates, endMs === null ? options : { ...options, timeoutMs: Math.max(0, endMs - clock().nowMs()) });
      // Others may have waited for the same one.
      for (const [number, untaken] of this.#untaken) if (untaken === job && !job.isClaimed) return this.#take<T>(number, job);
    }
  }

  #checkHasNext(caller: string): void {
    if (!this.hasNext()) throw new InvalidArgumentError(`${caller} was called, but there is no result left to take; submit() more, or ask hasNext() first`);
    if (this.#members.size === 0) throw new InvalidArgumentError(`${caller} was called on a pool that has no actor left; push() one first`);
  }

  /** Resolves with the first of them that has its outcome. */
  async #settled(jobs: readonly Job<I>[], options: GetOptions): Promise<Job<I>> {
    const { timeoutMs, signal } = options;
    const startMs = timeoutMs === undefined ? 0 : clock().nowMs();
    const isOver = (): GetTimeoutError => new GetTimeoutError(`no result was there after ${timeoutMs} ms; the calls go on, it may be asked for again`);
    let started = jobs.filter((job) => job.hasStarted);
    if (started.length === 0) {
      // Taking other results makes actors free for these.
      const starting = new AsyncResult(new Promise<void>((resolve) => { for (const job of jobs) job.whenStarted(resolve); }));
      if (!(await starting.wait(options))) throw isOver();
      started = jobs.filter((job) => job.hasStarted);
    }
    const failed = started.find((job) => job.failure !== null);
    if (failed !== undefined) return failed;
    const leftMs = timeoutMs === undefined ? {} : { timeoutMs: Math.max(0, timeoutMs - (clock().nowMs() - startMs)) };
    const [ready] = await wait(started.map(({ ref }) => ref as ObjectRef<any>), { ...(signal === undefined ? {} : { signal }), ...leftMs });
    const first = started.find(({ ref }) => ref === ready[0]);
    if (first === undefined) throw isOver();
    return first;
  }

  #take<T>(number: number, job: Job<I>): Promise<T> {
    this.#untaken.delete(number);
    this.#nextReturn = Math.max(this.#nextReturn, number + 1);
    this.#ended(job);
    return job.failure === null ? get(job.ref as ObjectRef<T>) : Promise.reject(job.failure.error as Error);
  }

  /**
   * Results in the order of the values, which may be endless: they are read as results are taken, two for each actor ahead. A call
   * that fails rejects one `next()`, at its place. What has not begun when the iteration is left never does; the pool stays usable.
   */
  map<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, values: Iterable<V> | AsyncIterable<V>): AsyncIterableIterator<T> {
    return this.#map<V, T>(fn, values, true);
  }

  /** Results as they come. */
  mapUnordered<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, values: Iterable<V> | AsyncIterable<V>): AsyncIterableIterator<T> {
    return this.#map<V, T>(fn, values, false);
  }

  #map<V, T>(fn: Call<I>, source: Iterable<V> | AsyncIterable<V>, isOrdered: boolean): AsyncIterableIterator<T> {
    return new PoolIterator<V, T>({
      source, isOrdered, chunkSize: 1,
      chunksAheadMax: async () => VALUES_AHEAD_PER_ACTOR * Math.max(1, this.#members.size),
      submit: ([value], settled) => {
        const job = new Job<I>(fn, value);
        job.whenStarted(() => void this.#outcomeOf<T>(job).then(settled));
        this.#enqueue(job);
        return () => this.#waiting.delete(job);
      },
    });
  }

  async #outcomeOf<T>(job: Job<I>): Promise<ChunkOutcome<T>> {
    if (job.failure !== null) return job.failure;
    try {
      return { results: [await get(job.ref as ObjectRef<T>)] };
    } catch (error) {
      return { error };
    } finally {
      this.#ended(job);
    }
  }

  /** Whether an actor is free now. */
  hasFree(): boolean {
    return this.#idle.length > 0 && this.#waiting.size === 0;
  }

  /** Takes a free actor out of the pool; undefined when all are at work. */
  popIdle(): ActorHandle<I> | undefined {
    if (!this.hasFree()) return undefined;
    const actor = this.#idle.pop() as ActorHandle<I>;
    this.#members.delete(actor);
    return actor;
  }

  /** Adds an actor. @throws InvalidArgumentError when it is in the pool, idle or at work. */
  push(actor: ActorHandle<I>): void {
    for (const { actorId } of this.#members) if (actorId === actor.actorId) throw new InvalidArgumentError(`the actor ${actorId} is in this ActorPool already`);
    this.#members.add(actor);
    this.#idle.push(actor);
    this.#startWaiting();
  }
}
