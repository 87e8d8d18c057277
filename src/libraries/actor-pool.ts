import { get, InvalidArgumentError, wait, type ActorHandle, type GetOptions, type ObjectRef } from "../api/mod.ts";

type Job<I> = { readonly fn: (actor: ActorHandle<I>, value: unknown) => ObjectRef<unknown>; readonly value: unknown };

/**
 * Spreads work over a fixed set of actors: each has one job at a time, further ones wait for a free actor.
 *
 * After `submit`, take results in order of submission with `getNext`, or as they come with `getNextUnordered`; or let
 * `map` and `mapUnordered` do both. Do not mix the two orders.
 */
export class ActorPool<I> {
  readonly #idle: ActorHandle<I>[];
  readonly #waiting: Job<I>[] = [];
  /** By number of submission, until its result was taken. */
  readonly #running = new Map<number, ObjectRef<unknown>>();
  readonly #actorOf = new Map<ObjectRef<unknown>, ActorHandle<I>>();
  #nextSubmission = 0;
  #nextReturn = 0;

  /** @throws InvalidArgumentError for no actors. */
  constructor(actors: Iterable<ActorHandle<I>>) {
    this.#idle = [...actors];
    if (this.#idle.length === 0) throw new InvalidArgumentError("an ActorPool needs at least one actor");
  }

  /** Runs `fn(actor, value)` on a free actor, at once or when one is free. `fn` makes one call and returns its ref. */
  submit<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, value: V): void {
    const job = { fn, value } as unknown as Job<I>;
    const actor = this.#idle.pop();
    if (actor === undefined) this.#waiting.push(job);
    else this.#start(actor, job);
  }

  #start(actor: ActorHandle<I>, job: Job<I>): void {
    const ref = job.fn(actor, job.value);
    this.#running.set(this.#nextSubmission++, ref);
    this.#actorOf.set(ref, actor);
  }

  /** Whether a result is still to be taken. */
  hasNext(): boolean {
    return this.#running.size > 0 || this.#waiting.length > 0;
  }

  /**
   * The next result in order of submission.
   *
   * @throws InvalidArgumentError when there is none; what the call threw; GetTimeoutError, after which it can be asked for again.
   */
  async getNext<T = any>(options?: GetOptions): Promise<T> {
    this.#checkHasNext("getNext()");
    const number = this.#nextReturn;
    const ref = this.#running.get(number);
    if (ref === undefined) throw new InvalidArgumentError("getNext() was called after getNextUnordered() had taken a later result; use one of the two");
    const [ready] = await wait([ref], options ?? {});
    if (ready.length === 0) return get(ref as ObjectRef<T>, { ...options, timeoutMs: 0 });
    this.#taken(number, ref);
    return get(ref as ObjectRef<T>);
  }

  /** The next result that is there, in any order. @throws as `getNext` does. */
  async getNextUnordered<T = any>(options?: GetOptions): Promise<T> {
    this.#checkHasNext("getNextUnordered()");
    const [ready] = await wait([...this.#running.values()], options ?? {});
    const [ref] = ready;
    if (ref === undefined) return get([...this.#running.values()][0] as ObjectRef<T>, { ...options, timeoutMs: 0 });
    for (const [number, running] of this.#running) if (running === ref) this.#taken(number, ref);
    return get(ref as ObjectRef<T>);
  }

  #checkHasNext(caller: string): void {
    if (!this.hasNext()) throw new InvalidArgumentError(`${caller} was called, but there is no result left to take; submit() more, or ask hasNext() first`);
  }

  #taken(number: number, ref: ObjectRef<unknown>): void {
    this.#running.delete(number);
    this.#nextReturn = Math.max(this.#nextReturn, number + 1);
    const actor = this.#actorOf.get(ref) as ActorHandle<I>;
    this.#actorOf.delete(ref);
    this.push(actor);
  }

  /** Results in the order of the values. Values are taken from the source as actors get free, so it may be endless. */
  map<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, values: Iterable<V> | AsyncIterable<V>): AsyncIterableIterator<T> {
    return this.#map(fn, values, () => this.getNext<T>());
  }

  /** Results as they come. */
  mapUnordered<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, values: Iterable<V> | AsyncIterable<V>): AsyncIterableIterator<T> {
    return this.#map(fn, values, () => this.getNextUnordered<T>());
  }

  async *#map<V, T>(fn: (actor: ActorHandle<I>, value: V) => ObjectRef<T>, values: Iterable<V> | AsyncIterable<V>, next: () => Promise<T>): AsyncIterableIterator<T> {
    // Results of earlier calls of submit() are nobody's here.
    while (this.hasNext()) await this.getNextUnordered().catch(() => undefined);
    this.#nextReturn = this.#nextSubmission;
    for await (const value of values) {
      while (!this.hasFree()) yield await next();
      this.submit(fn, value);
    }
    while (this.hasNext()) yield await next();
  }

  /** Whether an actor is free now. */
  hasFree(): boolean {
    return this.#idle.length > 0 && this.#waiting.length === 0;
  }

  /** Takes a free actor out of the pool. */
  popIdle(): ActorHandle<I> | undefined {
    return this.hasFree() ? this.#idle.pop() : undefined;
  }

  /** Adds an actor. */
  push(actor: ActorHandle<I>): void {
    const job = this.#waiting.shift();
    if (job === undefined) this.#idle.push(actor);
    else this.#start(actor, job);
  }
}
