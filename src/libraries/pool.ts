import {
  ActorError, ActorUnschedulableError, anyObject, checkOptions, clusterResources, get, InvalidArgumentError, kill, remote, RuntimeStateError, wholeNumber,
  type ActorClass, type ActorHandle, type ActorOptions,
} from "../api/mod.ts";
import { AsyncResult } from "./async-result.ts";
import { type ChunkOutcome, PoolIterator } from "./pool-iterator.ts";
import { type AnyFunction, PoolWorker } from "./pool-worker.ts";

export interface PoolOptions {
  /** Workers, each an actor. Default: as many as the cluster has processors. */
  processes?: number;
  /** Called in each worker before its first call, with `initArgs`; may be asynchronous. If it throws, so do the calls. */
  initializer?: (...args: any[]) => unknown;
  initArgs?: readonly unknown[];
  /** A worker is replaced by a new one after so many tasks; a chunk of several values is one task. Default: never. */
  maxTasksPerChild?: number;
  /** Options of the workers, for example `numCpus` or `isolation`. */
  actorOptions?: ActorOptions;
}

export interface PoolMapOptions {
  /** Values that go to a worker together. Default: so that each worker gets four chunks; 1 for `imap` and `imapUnordered`. */
  chunkSize?: number;
}

/** Chunks for each worker that `imap` reads ahead of whoever takes the results: one at work, one that waits. */
const CHUNKS_AHEAD_PER_WORKER = 2;
const CHUNKS_PER_WORKER = 4;

const isFunction = (value: unknown): string | undefined => (typeof value === "function" ? undefined : "a function");
const isArray = (value: unknown): string | undefined => (Array.isArray(value) ? undefined : "an array");
const OPTIONS = { processes: wholeNumber(1), initializer: isFunction, initArgs: isArray, maxTasksPerChild: wholeNumber(1), actorOptions: anyObject };

/** One chunk of work. */
interface Job {
  readonly fn: AnyFunction;
  readonly chunk: readonly unknown[];
  readonly isSpread: boolean;
  settled(outcome: ChunkOutcome<any>): void;
}
/** A place for a worker; null until there is work for it, and after its end. */
interface Seat {
  worker: ActorHandle<PoolWorker> | null;
  tasks: number;
}

/**
 * A pool of workers that functions run in, after Python's `multiprocessing.Pool`. Workers are actors; each runs one chunk at a time,
 * and takes the next when it is done. Functions travel as they do with `remote`, and may be asynchronous.
 *
 * A call that throws rejects with a TaskError that has the thrown error as its `cause`. When a worker dies, the chunk that it had
 * fails with ActorDiedError, and a new worker takes its place. After `close` or `terminate`, new work is a RuntimeStateError.
 */
export class Pool {
  readonly #Worker: ActorClass<typeof PoolWorker>;
  readonly #initializer: AnyFunction | null;
  readonly #initArgs: readonly unknown[];
  readonly #tasksPerWorkerMax: number;
  /** How many workers there are to be. */
  readonly #opened: Promise<number>;
  readonly #seats: Seat[] = [];
  readonly #idle: Seat[] = [];
  readonly #waiting = new Set<Job>();
  readonly #feeding = new Set<PoolIterator<any, any>>();
  /** `map` and the like that have not made all their jobs. */
  #preparing = 0;
  #state: "open" | "closed" | "terminated" = "open";
  /** Why there are no workers and never will be. */
  #failure: { readonly error: unknown } | null = null;
  #ended: Promise<void> | null = null;
  #onDrained: (() => void) | null = null;

  /** @throws InvalidArgumentError for wrong options. */
  constructor(options: PoolOptions = {}) {
    checkOptions(options, OPTIONS, "Pool");
    this.#Worker = remote(PoolWorker, options.actorOptions ?? {});
    this.#initializer = options.initializer ?? null;
    this.#initArgs = options.initArgs ?? [];
    this.#tasksPerWorkerMax = options.maxTasksPerChild ?? Number.POSITIVE_INFINITY;
    const { processes } = options;
    if (processes !== undefined) this.#opened = Promise.resolve(this.#open(processes));
    else this.#opened = clusterResources().then((resources) => this.#open(Math.max(1, Math.floor(resources["CPU"] ?? 1))));
    this.#opened.catch((error: unknown) => {
      this.#failure = { error };
      this.#dropWaiting(error);
    });
  }

  #open(processes: number): number {
    if (this.#state === "terminated") return processes;
    for (let count = 0; count < processes; count++) this.#seats.push({ worker: this.#newWorker(), tasks: 0 });
    this.#idle.push(...this.#seats);
    this.#startWaiting();
    return processes;
  }

  #newWorker(): ActorHandle<PoolWorker> {
    return this.#Worker.remote(this.#initializer as AnyFunction, this.#initArgs as unknown[]);
  }

  // ------------------------------------------------------------------ calls

  /** Runs one call in a worker. */
  async apply<A extends readonly unknown[], R>(fn: (...args: A) => R, args?: A): Promise<Awaited<R>> {
    return this.applyAsync(fn, args).get();
  }

  applyAsync<A extends readonly unknown[], R>(fn: (...args: A) => R, args?: A): AsyncResult<Awaited<R>> {
    this.#check("applyAsync()", fn);
    const work = new Promise<Awaited<R>>((resolve, reject) => {
      this.#submit(fn, [args ?? []], true, (outcome) => ("error" in outcome ? reject(outcome.error) : resolve(outcome.results[0] as Awaited<R>)));
    });
    return new AsyncResult(work);
  }

  /**
   * The results of all values, in their order. Rejects with the first error, whose chunk is not continued; chunks that have not begun then
   * never do, and errors of those that were under way are shown as warnings.
   */
  async map<V, R>(fn: (value: V) => R, values: Iterable<V>, options?: PoolMapOptions): Promise<Awaited<R>[]> {
    return this.mapAsync(fn, values, options).get();
  }

  mapAsync<V, R>(fn: (value: V) => R, values: Iterable<V>, options?: PoolMapOptions): AsyncResult<Awaited<R>[]> {
    return new AsyncResult(this.#map("mapAsync()", fn, values, false, options));
  }

  /** As `map`, for functions of several arguments: each value is an array of them. */
  async starmap<A extends readonly unknown[], R>(fn: (...args: A) => R, values: Iterable<A>, options?: PoolMapOptions): Promise<Awaited<R>[]> {
    return this.starmapAsync(fn, values, options).get();
  }

  starmapAsync<A extends readonly unknown[], R>(fn: (...args: A) => R, values: Iterable<A>, options?: PoolMapOptions): AsyncResult<Awaited<R>[]> {
    return new AsyncResult(this.#map("starmapAsync()", fn, values, true, options));
  }

  /**
   * Results one by one, in the order of the values, which may be endless: they are read as results are taken, two chunks for each
   * worker ahead. A chunk that fails rejects one `next()`, at its place.
   */
  imap<V, R>(fn: (value: V) => R, values: Iterable<V> | AsyncIterable<V>, options?: PoolMapOptions): AsyncIterableIterator<Awaited<R>> {
    return this.#imap("imap()", fn, values, true, options);
  }

  /** The same, as the results come. */
  imapUnordered<V, R>(fn: (value: V) => R, values: Iterable<V> | AsyncIterable<V>, options?: PoolMapOptions): AsyncIterableIterator<Awaited<R>> {
    return this.#imap("imapUnordered()", fn, values, false, options);
  }

  #map<R>(label: string, fn: AnyFunction, values: Iterable<unknown>, isSpread: boolean, options: PoolMapOptions = {}): Promise<Awaited<R>[]> {
    this.#check(label, fn);
    checkOptions(options, { chunkSize: wholeNumber(1) }, `Pool.${label}`);
    const all = [...values];
    this.#preparing++;
    return this.#opened.finally(() => { this.#preparing--; }).then((processes) => {
      const chunkSize = options.chunkSize ?? Math.max(1, Math.ceil(all.length / (processes * CHUNKS_PER_WORKER)));
      const chunks = Array.from({ length: Math.ceil(all.length / chunkSize) }, (_, index) => all.slice(index * chunkSize, (index + 1) * chunkSize));
      return this.#runAll<R>(fn, chunks, isSpread);
    });
  }

  #runAll<R>(fn: AnyFunction, chunks: readonly (readonly unknown[])[], isSpread: boolean): Promise<Awaited<R>[]> {
    return new Promise((resolve, reject) => {
      const results: (readonly Awaited<R>[])[] = new Array(chunks.length);
      let unsettled = chunks.length;
      let hasFailed = false;
      const takeBacks = new Set<() => void>();
      const fail = (error: unknown): void => {
        if (hasFailed) return void process.emitWarning(`a further call of ${nameOf(fn)}() in a Pool failed, after the first error of its map: ${String(error)}`, "MantarayWarning");
        hasFailed = true;
        reject(error);
        for (const takeBack of takeBacks) takeBack();
      };
      chunks.forEach((chunk, index) => {
        if (hasFailed) return;
        takeBacks.add(this.#submit(fn, chunk, isSpread, (outcome) => {
          if ("error" in outcome) return fail(outcome.error);
          results[index] = outcome.results as readonly Awaited<R>[];
          if (--unsettled === 0) resolve(results.flat() as Awaited<R>[]);
        }));
      });
      if (chunks.length === 0) {
        resolve([]);
        this.#jobEnded();
      }
    });
  }

  #imap<R>(label: string, fn: AnyFunction, values: Iterable<unknown> | AsyncIterable<unknown>, isOrdered: boolean, options: PoolMapOptions = {}): AsyncIterableIterator<Awaited<R>> {
    this.#check(label, fn);
    checkOptions(options, { chunkSize: wholeNumber(1) }, `Pool.${label}`);
    const iterator: PoolIterator<unknown, Awaited<R>> = new PoolIterator({
      source: values, chunkSize: options.chunkSize ?? 1, isOrdered,
      chunksAheadMax: () => this.#opened.then((processes) => processes * CHUNKS_AHEAD_PER_WORKER),
      submit: (chunk, settled) => this.#submit(fn, chunk, false, settled),
      fed: () => { this.#feeding.delete(iterator); this.#jobEnded(); },
    });
    this.#feeding.add(iterator);
    return iterator;
  }

  #check(label: string, fn: unknown): void {
    if (this.#state !== "open") throw new RuntimeStateError(`${label} was called on a Pool that was ${this.#state} before; make a new Pool`);
    if (typeof fn !== "function") throw new InvalidArgumentError(`${label} of a Pool takes a function, but got ${typeof fn}`);
  }

  // ------------------------------------------------------------------ workers

  /** Returns how to take it back, if it has not begun. */
  #submit(fn: AnyFunction, chunk: readonly unknown[], isSpread: boolean, settled: (outcome: ChunkOutcome<any>) => void): () => void {
    const job: Job = { fn, chunk, isSpread, settled };
    if (this.#failure !== null) settled(this.#failure);
    else this.#waiting.add(job);
    this.#startWaiting();
    return () => {
      if (this.#waiting.delete(job)) this.#jobEnded();
    };
  }

  #startWaiting(): void {
    for (const job of this.#waiting) {
      const seat = this.#idle.pop();
      if (seat === undefined) return;
      this.#waiting.delete(job);
      void this.#run(seat, job).then((outcome) => {
        this.#idle.push(seat);
        job.settled(outcome);
        this.#startWaiting();
        this.#jobEnded();
      });
    }
  }

  async #run(seat: Seat, job: Job): Promise<ChunkOutcome<unknown>> {
    try {
      seat.worker ??= this.#newWorker();
      const { run } = seat.worker;
      const ref = run.options({ name: nameOf(job.fn) }).remote(job.fn, job.chunk as unknown[], job.isSpread);
      seat.tasks++;
      return { results: (await get(ref)) as unknown[] };
    } catch (error) {
      if (this.#state === "terminated") return { error: terminated() };
      if (error instanceof ActorError || error instanceof ActorUnschedulableError) seat.worker = null;
      return { error };
    } finally {
      if (seat.worker === null) seat.tasks = 0;
      else if (seat.tasks >= this.#tasksPerWorkerMax) {
        seat.worker.terminate();
        seat.worker = null;
        seat.tasks = 0;
      }
    }
  }

  #dropWaiting(error: unknown): void {
    for (const job of this.#waiting) {
      this.#waiting.delete(job);
      job.settled({ error });
    }
    this.#jobEnded();
  }

  // ------------------------------------------------------------------ the end

  get #isDrained(): boolean {
    return this.#preparing === 0 && this.#waiting.size === 0 && this.#feeding.size === 0 && this.#idle.length === this.#seats.length;
  }

  #jobEnded(): void {
    if (this.#state !== "open" && this.#isDrained) this.#onDrained?.();
  }

  /** No more work is taken. The workers end when what they have is done. */
  close(): void {
    if (this.#state !== "open") return;
    this.#state = "closed";
    this.#ended = new Promise<void>((resolve) => { this.#onDrained = resolve; }).then(async () => {
      await this.#opened.catch(() => undefined);
      await Promise.all(this.#seats.map((seat) => this.#endWorker(seat)));
    });
    this.#jobEnded();
  }

  async #endWorker(seat: Seat): Promise<void> {
    const { worker } = seat;
    seat.worker = null;
    // One that has died already has ended, too.
    if (worker !== null) await get(worker.terminate()).catch(() => undefined);
  }

  /** Ends the workers at once. Work that is not done fails with RuntimeStateError. */
  async terminate(): Promise<void> {
    this.#state = "terminated";
    this.#failure = { error: terminated() };
    this.#ended = this.#killWorkers();
    await this.#ended;
  }

  async #killWorkers(): Promise<void> {
    this.#dropWaiting(terminated());
    for (const iterator of this.#feeding) iterator.fail(terminated());
    await this.#opened.catch(() => undefined);
    await Promise.all(this.#seats.map(async (seat) => {
      const { worker } = seat;
      seat.worker = null;
      if (worker !== null) await kill(worker);
    }));
  }

  /**
   * Resolves when all work is done and the workers have ended; what `imap` has not read yet is read then, taken or not.
   *
   * @throws RuntimeStateError before `close` or `terminate`.
   */
  async join(): Promise<void> {
    if (this.#ended === null) throw new RuntimeStateError("join() was called on a Pool that is open; call close() or terminate() first");
    for (const iterator of [...this.#feeding]) iterator.readToTheEnd();
    await this.#ended;
  }

  /** As `terminate`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }
}

function terminated(): RuntimeStateError {
  return new RuntimeStateError("the Pool was terminated before this was done");
}

function nameOf(fn: AnyFunction): string {
  return fn.name === "" ? "anonymous" : fn.name;
}
