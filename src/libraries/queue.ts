import {
  aBoolean, ActorDiedError, ActorError, ActorUnschedulableError, aDurationMs, anyObject, aSignal, checkOptions, clock, get, getRuntimeContext, GetTimeoutError, InvalidArgumentError, kill, outsideTask, QueueEmptyError, QueueFullError, remote,
  wholeNumber, type ActorHandle, type ActorOptions, type ObjectRef, type ObjectRefGenerator, type ValueOf,
} from "../api/mod.ts";
import { type ClientId, type Got, QueueActor } from "./queue-actor.ts";
import { Turnstile } from "./turnstile.ts";

export interface QueueOptions {
  /** Items that it holds before `put` waits. Default, as 0: no limit. */
  maxSize?: number;
  /**
   * Options of the actor that keeps the items, for example `numCpus`, `isolation`, or `name` with `getIfExists` for a queue that
   * programs find by name. `maxConcurrency` is at least a million: so many calls may wait at once.
   */
  actorOptions?: ActorOptions;
}

export interface QueueWaitOptions {
  /** Milliseconds to wait; 0: at once or not at all. Default: no limit. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Calls that may wait in one queue; each is an entry in a map and a promise. */
const WAITING_CALLS_MAX = 1_000_000;

/**
 * Readers, and likewise writers, of one worker that wait in the actor at once. More wait in the worker itself: together they stay
 * below what may be on its way to one actor, so that others of its calls still get there, among them those that end the waiting.
 */
const WAITING_HERE_MAX = 4_000;
const readers = new Map<string, Turnstile>();
const writers = new Map<string, Turnstile>();

/** An actor that does not answer for so long is ended as it is. */
const SHUTDOWN_MS_MAX = 5_000;

const WAIT = { timeoutMs: aDurationMs, signal: aSignal };

/** One `Queue` object in one worker, as its actor knows it. */
interface Client {
  readonly id: ClientId;
  calls: number;
  /** Open while the object lives: its end tells the actor that nobody waits any more. */
  presence: ObjectRefGenerator<null> | null;
}
/** Beside the queues and not in them: it does not travel. */
const clients = new WeakMap<object, Client>();
let clientCount = 0;
const unannounced: { readonly client: Client; readonly actor: ActorHandle<QueueActor<any>> }[] = [];

/**
 * In a turn of its own: a pending call remembers the stack that it was made on, and with it the objects whose methods are there. One
 * that lasts as long as the queue must not keep the queue. Nor is it the task's that needs it first: others may use this object, too, also
 * after that one has ended or was cancelled.
 */
function announce(): void {
  for (const { client, actor } of unannounced.splice(0)) client.presence = actor.presence.options({ generatorBackpressure: 1 }).remote(client.id);
}

function announceOutside(): void {
  outsideTask(announce);
}

/**
 * A queue, first in, first out, for any number of producers and consumers in any tasks, actors and programs: it can be passed
 * to them like a handle. An actor of its own keeps the items, and ends when no `Queue` object is left that leads to it.
 *
 * Who waits is served in the order of coming. Each item is handed to one reader: one that gave up before (`timeoutMs`, `signal`), or
 * whose worker ended before it had the item, gets nothing, and the item goes to the next one. Giving up takes effect when the
 * queue has confirmed it; if an item was handed over before, `get` gives it.
 *
 * After `shutdown`, or when the queue's actor has died, everything rejects with ActorDiedError.
 */
export class Queue<T> {
  // Not a #private field: an instance of an imported class that has these cannot travel.
  private readonly actor: ActorHandle<QueueActor<T>>;

  /** @throws InvalidArgumentError for wrong options. */
  constructor(options: QueueOptions = {}) {
    checkOptions(options, { maxSize: wholeNumber(0), actorOptions: anyObject }, "Queue");
    const { maxSize = 0, actorOptions = {} } = options;
    const maxConcurrency = Math.max(actorOptions.maxConcurrency ?? 0, WAITING_CALLS_MAX);
    const Actor = remote(QueueActor<T>, { ...actorOptions, maxConcurrency });
    this.actor = Actor.remote(maxSize === 0 ? Number.POSITIVE_INFINITY : maxSize);
  }

  /**
   * Adds an item, when there is room for it.
   *
   * @throws QueueFullError when there was none within `timeoutMs`; the signal's reason. The item is not in the queue then.
   */
  async put(item: T, options?: QueueWaitOptions): Promise<void> {
    checkWait(options, "Queue.put()");
    if (options?.timeoutMs === 0) return this.putNoWait(item);
    if (await this.waitFor(writers, options, (client, call) => this.actor.put.remote([item], client, call))) return;
    options?.signal?.throwIfAborted();
    throw new QueueFullError(`put() gave up after ${options?.timeoutMs} ms, in which the queue was full; wait longer, or take items out faster`);
  }

  /**
   * Takes the oldest item, when there is one.
   *
   * @throws QueueEmptyError when there was none within `timeoutMs`; the signal's reason.
   */
  async get(options?: QueueWaitOptions): Promise<T> {
    checkWait(options, "Queue.get()");
    if (options?.timeoutMs === 0) return this.getNoWait();
    const got: Got<T> = await this.waitFor(readers, options, (client, call) => this.actor.get.remote(client, call)) ?? [];
    if (got.length > 0) return got[0] as T;
    options?.signal?.throwIfAborted();
    throw new QueueEmptyError(`get() gave up after ${options?.timeoutMs} ms, in which the queue was empty; wait longer, or put items in`);
  }

  /** Adds an item at once. @throws QueueFullError when there is no room. */
  async putNoWait(item: T): Promise<void> {
    if (!(await this.answerTo(this.actor.putNow.remote([item])))) throw new QueueFullError("putNoWait() found the queue full; use put() to wait for room");
  }

  /** Takes the oldest item at once. @throws QueueEmptyError when there is none. */
  async getNoWait(): Promise<T> {
    const items = await this.answerTo(this.actor.getNow.remote(1));
    if (typeof items === "number") throw new QueueEmptyError("getNoWait() found the queue empty; use get() to wait for an item");
    return items[0] as T;
  }

  /** Adds all the items at once, next to each other, or none of them. @throws QueueFullError when there is no room for all. */
  async putBatch(items: T[]): Promise<void> {
    if (!Array.isArray(items)) throw new InvalidArgumentError("putBatch() takes an array of items");
    if (!(await this.answerTo(this.actor.putNow.remote(items)))) throw new QueueFullError(`putBatch() found no room for ${items.length} items, and added none; put fewer at once, or use put() to wait for room`);
  }

  /** Takes the `count` oldest items at once, or none of them. @throws QueueEmptyError when fewer are there. */
  async getBatch(count: number): Promise<T[]> {
    const wanted = wholeNumber(0)(count);
    if (wanted !== undefined) throw new InvalidArgumentError(`getBatch() takes ${wanted}, but got ${String(count)}`);
    const items = await this.answerTo(this.actor.getNow.remote(count));
    if (typeof items === "number") throw new QueueEmptyError(`getBatch() asked for ${count} items, but only ${items} are there, and took none; ask for fewer, or use get() to wait`);
    return items;
  }

  /** Items that are in the queue. */
  async size(): Promise<number> {
    return this.answerTo(this.actor.size.remote());
  }

  async empty(): Promise<boolean> {
    return (await this.size()) === 0;
  }

  /** Whether `maxSize` is reached. */
  async full(): Promise<boolean> {
    return this.answerTo(this.actor.isFull.remote());
  }

  /**
   * Ends the queue and its actor, for everybody. What is in it is dropped. Calls that wait, and later ones, reject with
   * ActorDiedError; iterations end. Calls of this worker that do not wait are answered before; with `force` the actor is killed at
   * once. Again: nothing.
   */
  async shutdown(options: { force?: boolean } = {}): Promise<void> {
    checkOptions(options, { force: aBoolean }, "Queue.shutdown()");
    if (options.force !== true) {
      await get(this.actor.shutDown.remote(), { timeoutMs: SHUTDOWN_MS_MAX }).catch((error: unknown) => {
        // An actor that has ended is shut down; one that has not begun by now is ended as it is.
        if (!(error instanceof ActorDiedError || error instanceof ActorUnschedulableError || error instanceof GetTimeoutError)) throw error;
      });
    }
    await kill(this.actor);
  }

  /** Takes items until the queue is shut down. An iterator that is left takes nothing more. */
  [Symbol.asyncIterator](): AsyncIterator<T> {
    const left = new AbortController();
    const done: IteratorResult<T> = { done: true, value: undefined };
    return {
      next: async () => {
        if (left.signal.aborted) return done;
        try {
          return { done: false, value: await this.get({ signal: left.signal }) };
        } catch (error) {
          if (left.signal.aborted || wasShutDown(error)) return done;
          throw error;
        }
      },
      return: async () => {
        left.abort();
        return done;
      },
    };
  }

  /** Makes a call that may wait, when there are not too many of them at once. Undefined when that was not in time. */
  private async waitFor<R extends ObjectRef<any>>(turnstiles: Map<string, Turnstile>, options: QueueWaitOptions | undefined, make: (client: ClientId, call: number) => R): Promise<NonNullable<ValueOf<R>> | undefined> {
    const { actorId } = this.actor;
    let turnstile = turnstiles.get(actorId);
    if (turnstile === undefined) turnstiles.set(actorId, (turnstile = new Turnstile(WAITING_HERE_MAX)));
    let left = options;
    if (!turnstile.enter()) {
      const startMs = clock().nowMs();
      if (!(await turnstile.wait(options))) return undefined;
      if (options?.timeoutMs !== undefined) left = { ...options, timeoutMs: Math.max(0, options.timeoutMs - (clock().nowMs() - startMs)) };
    }
    try {
      const client = this.presentClient();
      const call = client.calls++;
      const answer = await this.answerOrGiveUp(make(client.id, call), left, client.id, call);
      if (Array.isArray(answer) && answer.length > 1) outsideTask(() => this.actor.confirm.remote(client.id, call));
      return answer;
    } finally {
      turnstile.leave();
      if (turnstile.isEmpty) turnstiles.delete(actorId);
    }
  }

  private async answerTo<R extends ObjectRef<any>>(ref: R): Promise<NonNullable<ValueOf<R>>> {
    return this.checkAnswer(await get(ref));
  }

  private async answerOrGiveUp<R extends ObjectRef<any>>(ref: R, options: QueueWaitOptions | undefined, client: ClientId, call: number): Promise<NonNullable<ValueOf<R>>> {
    try {
      return this.checkAnswer(await get(ref, options));
    } catch (error) {
      if (error instanceof ActorError) throw error;
      const isGivenUp = error instanceof GetTimeoutError || (options?.signal?.aborted === true && error === options.signal.reason);
      if (!isGivenUp) {
        outsideTask(() => this.actor.abandon.remote(client, call));
        throw error;
      }
      outsideTask(() => this.actor.giveUp.remote(client, call));
      // Whether that was in time, the answer to the call says.
      return this.checkAnswer(await get(ref));
    }
  }

  private checkAnswer<A>(answer: A): NonNullable<A> {
    if (answer === null || answer === undefined) throw new ActorDiedError(`the queue (actor ${this.actor.actorId}) was shut down with shutdown()`, { actorId: this.actor.actorId, reason: "killed" });
    return answer;
  }

  private presentClient(): Client {
    let client = clients.get(this);
    if (client === undefined) {
      client = { id: `${getRuntimeContext().workerId}/${clientCount++}`, calls: 0, presence: null };
      clients.set(this, client);
      if (unannounced.push({ client, actor: this.actor }) === 1) queueMicrotask(announceOutside);
    }
    return client;
  }
}

function checkWait(options: QueueWaitOptions | undefined, label: string): void {
  if (options === undefined) return;
  checkOptions(options, WAIT, label);
  options.signal?.throwIfAborted();
}

/** An end that somebody asked for; one that nobody did is an error for those who iterate, too. */
function wasShutDown(error: unknown): boolean {
  return error instanceof ActorDiedError && error.reason === "killed";
}
