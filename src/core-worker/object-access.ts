import { GetTimeoutError, InvalidArgumentError, ObjectFreedError, ObjectLostError, recordOf, RuntimeStateError, systemErrorOf, type Clock, type NodeKey, type Timer, type WorkerId } from "../base/mod.ts";
import { type StoreClient, Waiting } from "../clients/mod.ts";
import type { EncodedValueRecord, StoredRecord } from "../protocol/mod.ts";
import { errorOfFailure, type FailureContext } from "./failure-errors.ts";
import { isLoss } from "./lost-arguments.ts";
import { ENCODED, FAILED, ObjectEntry, PENDING, PRIMITIVE, type CallSite, type Failure } from "./object-entry.ts";
import { ObjectRef, type GetOptions } from "./object-ref.ts";
import type { Recovered } from "./repeated-call.ts";
import type { Awaited } from "./run-scope.ts";
import { RefGenerator } from "./value-stream.ts";

export interface WaitOptions {
  readonly numReturns?: number;
  readonly timeoutMs?: number;
  readonly fetchLocal?: boolean;
  readonly signal?: AbortSignal;
}

export interface AccessEnvironment extends FailureContext {
  readonly workerId: WorkerId;
  readonly clock: Clock;
  readonly store: StoreClient;
  /** Where this worker lives. */
  readonly node: NodeKey;
  /** Starts to bring a borrowed object here, if that has not begun. */
  fetch(entry: ObjectEntry): void;
  /** Brings back an object whose copy is lost. */
  recover(entry: ObjectEntry, lost: StoredRecord, recovered: Recovered): void;
  /** The running task waits from now on; call the result when it goes on. `reject` is called if it is cancelled meanwhile. */
  block(reject: (reason: Error) => void, what: Awaited | null): () => void;
  /** Something is awaited: the process must not end before. */
  hold(): () => void;
  isShutDown(): boolean;
  endedBy(): string | null;
}

/** `get` and `wait`: from entries to values, with the running task's resources given back meanwhile. */
export class ObjectAccess {
  readonly #env: AccessEnvironment;

  constructor(environment: AccessEnvironment) {
    this.#env = environment;
  }

  getOne(ref: ObjectRef<unknown>, options: GetOptions | undefined, site: CallSite | null): Promise<unknown> {
    const entry = this.#entryOf(ref, "get()", 0, false);
    if (entry.status === PRIMITIVE && options === undefined) return Promise.resolve(entry.content);
    const endMs = this.#endMs(options);
    // What is there is read at once: each promise between here and the caller lets others go first.
    if (entry.status === ENCODED) {
      checkAborted(options?.signal);
      return Promise.resolve(this.#settledOne(entry, options, endMs, site));
    }
    return this.#get([entry], options, site).then(() => this.#settledOne(entry, options, endMs, site));
  }

  #settledOne(entry: ObjectEntry, options: GetOptions | undefined, endMs: number | null, site: CallSite | null): unknown {
    if (entry.status === PRIMITIVE) return entry.content;
    const waiting = nodeOf(entry) === undefined ? null : new Waiting();
    const value = this.#valueOf(entry, site, waiting);
    return value instanceof Promise ? this.#inTime(value, waiting, options, endMs, 1, 1) : value;
  }

  async getMany(refs: readonly ObjectRef<unknown>[], options: GetOptions | undefined, site: CallSite | null): Promise<unknown[]> {
    const entries = refs.map((ref, index) => this.#entryOf(ref, "get()", index, true));
    const endMs = this.#endMs(options);
    await this.#get(entries, options, site);
    const waiting = entries.some((entry) => nodeOf(entry) !== undefined) ? new Waiting() : null;
    const coming = waiting === null ? null : this.#startFar(entries, site, waiting);
    const values: unknown[] = new Array(entries.length);
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index] as ObjectEntry;
      const value = entry.status === PRIMITIVE ? entry.content : (coming?.get(index) ?? this.#valueOf(entry, site, waiting));
      values[index] = value instanceof Promise ? await this.#inTime(value, waiting, options, endMs, entries.length - index, entries.length) : value;
    }
    return values;
  }

  /** What lies on other nodes comes from all of them at once. Null if there is nothing of the kind. */
  #startFar(entries: readonly ObjectEntry[], site: CallSite | null, waiting: Waiting): Map<number, Promise<unknown>> | null {
    let coming: Map<number, Promise<unknown>> | null = null;
    for (let index = 0; index < entries.length; index++) {
      const entry = entries[index] as ObjectEntry;
      const node = nodeOf(entry);
      if (node === undefined || node === this.#env.node) continue;
      const value = this.#valueOf(entry, site, waiting);
      if (!(value instanceof Promise)) continue;
      value.catch(() => undefined);
      (coming ??= new Map()).set(index, value);
    }
    return coming;
  }

  #endMs(options: GetOptions | undefined): number | null {
    return options?.timeoutMs === undefined ? null : this.#env.clock.nowMs() + options.timeoutMs;
  }

  /** The values are there, but not here yet. When it ends otherwise they are fetched no further. */
  #inTime(value: Promise<unknown>, waiting: Waiting | null, options: GetOptions | undefined, endMs: number | null, missing: number, count: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const left = endMs === null ? {} : { timeoutMs: Math.max(0, endMs - this.#env.clock.nowMs()) };
      const failed = (error: unknown): void => {
        waiting?.end();
        reject(error as Error);
      };
      const ending = new Ending(this.#env, [], 0, { ...left, ...(options?.signal === undefined ? {} : { signal: options.signal }) }, () => failed(this.#timeout(options?.timeoutMs ?? 0, missing, count)), failed);
      value.then((result) => { if (ending.finish()) resolve(result); }, (error: unknown) => { if (ending.finish()) failed(error); });
    });
  }

  #entryOf(ref: unknown, caller: string, index: number, isList: boolean): ObjectEntry {
    const entry = ObjectRef.entryOf(ref);
    if (entry === undefined) {
      const where = isList ? `element ${index} of the list given to ${caller}` : `the argument of ${caller}`;
      throw new InvalidArgumentError(`${where} must be an ObjectRef, but is ${describe(ref)}; pass what .remote() or put() returned${isThenable(ref) ? ", not a promise of a value" : ""}`);
    }
    if (ObjectRef.isReleased(ref as ObjectRef)) throw new ObjectFreedError(`${entry.id} was released with release() or at the end of a using block, and cannot be used any more`, { objectId: entry.id });
    return entry;
  }

  /** Resolves when all are settled, or rejects with the first failure as soon as it is there. */
  #get(entries: readonly ObjectEntry[], options: GetOptions | undefined, site: CallSite | null): Promise<void> {
    let unsettled = 0;
    for (const entry of entries) {
      if (entry.status === FAILED) return this.#reject(entry, site);
      if (entry.status === PENDING) unsettled++;
    }
    checkAborted(options?.signal);
    if (unsettled === 0) return Promise.resolve();
    if (options?.timeoutMs === 0) return Promise.reject(this.#timeout(0, unsettled, entries.length));
    if (this.#env.isShutDown()) return Promise.reject(new RuntimeStateError(`get() was called ${this.#env.endedBy() ?? "after shutdown()"}; what it waits for will never come`));
    return new Promise<void>((resolve, reject) => {
      const ending = new Ending(this.#env, entries, entries.length, options, () => reject(this.#timeout(options?.timeoutMs ?? 0, unsettled, entries.length)), (reason) => reject(reason));
      const settled = (entry: ObjectEntry): void => {
        unsettled--;
        if (entry.status !== FAILED && unsettled > 0) return;
        if (!ending.finish()) return;
        if (entry.status === FAILED) void this.#reject(entry, site).catch(reject);
        else resolve();
      };
      ending.onFinish(() => { for (const entry of entries) if (entry.status === PENDING) entry.stopWaiting(settled); });
      for (const entry of entries) {
        if (entry.status !== PENDING) continue;
        entry.whenSettled(settled);
        this.#env.fetch(entry);
      }
    });
  }

  #timeout(timeoutMs: number, unsettled: number, count: number): GetTimeoutError {
    return new GetTimeoutError(`get() gave up after ${timeoutMs} ms: ${unsettled} of ${count} ${count === 1 ? "object is" : "objects are"} not there yet; the tasks go on, get() may be called again`);
  }

  async #reject(entry: ObjectEntry, site: CallSite | null): Promise<never> {
    throw await errorOfFailure(entry.content as Failure, entry.site ?? site, this.#env);
  }

  #valueOf(entry: ObjectEntry, site: CallSite | null, waiting: Waiting | null): unknown {
    if (entry.status === PRIMITIVE) return entry.content;
    if (entry.status === FAILED) return this.#reject(entry, site);
    const value = entry.content as EncodedValueRecord;
    const loading = this.#env.code.ensureLoaded(value.code);
    if (value.stored !== undefined) return this.#storedValue(entry, value, loading, site, waiting);
    return loading === undefined ? this.#env.serializer.decode(value) : loading.then(() => this.#env.serializer.decode(value));
  }

  /** Buffers are views of shared memory, not copies. Opened at once: while it is open, the memory stays. */
  #storedValue(entry: ObjectEntry, value: EncodedValueRecord, loading: Promise<void> | undefined, site: CallSite | null, waiting: Waiting | null): unknown {
    const opened = this.#env.store.open(value, waiting ?? undefined);
    const decode = (parts: EncodedValueRecord): unknown => this.#env.serializer.decode(parts, { adoptBuffers: true });
    if (loading === undefined && !(opened instanceof Promise)) return decode(opened);
    const parts = opened instanceof Promise ? opened.then((there) => ({ there }), (error: unknown) => this.#afterLoss(entry, value.stored as StoredRecord, error, site, waiting)) : { there: opened };
    return Promise.all([parts, loading]).then(([found]) => ("there" in found ? decode(found.there) : found.again));
  }

  /** What comes of it once more, when it is there again. */
  async #afterLoss(entry: ObjectEntry, lost: StoredRecord, error: unknown, site: CallSite | null, waiting: Waiting | null): Promise<{ readonly again: unknown }> {
    // Whoever waits no more is told that there is no copy, which says nothing of the object.
    const isFreed = error instanceof ObjectFreedError && entry.ownerId === this.#env.workerId && !hasMoved(entry, lost);
    if (waiting?.isOver === true || !isLoss(error) || isFreed) throw namedAs(entry.id, error);
    await new Promise<void>((resolve, reject) => this.#env.recover(entry, lost, (refusal) => {
      if (refusal === null) resolve();
      else reject(systemErrorOf({ ...refusal, message: `${refusal.message} (${error.message})` }));
    }));
    return { again: await this.#valueOf(entry, site, waiting) };
  }

  // ------------------------------------------------------------------ wait

  wait<R extends ObjectRef<any> | RefGenerator<any>>(refs: readonly R[], options: WaitOptions = {}): Promise<[ready: R[], notReady: R[]]> {
    const numReturns = options.numReturns ?? 1;
    const entries = this.#checkWait(refs, numReturns);
    checkAborted(options.signal);
    let awaited = numReturns;
    for (let index = 0; awaited > 0 && index < entries.length; index++) if (isReady(entries[index] as Waitable)) awaited--;
    const bringsHere = options.fetchLocal !== false;
    if (bringsHere) for (const entry of entries) if (entry instanceof ObjectEntry) this.#bringHere(entry);
    if (awaited === 0 || refs.length === 0 || options.timeoutMs === 0) return Promise.resolve(split(refs, entries, numReturns));
    return new Promise((resolve, reject) => {
      const ending = new Ending(this.#env, entries, numReturns, options, () => resolve(split(refs, entries, numReturns)), (reason) => reject(reason));
      const settled = (entry?: Waitable): void => {
        if (bringsHere && entry instanceof ObjectEntry) this.#bringHere(entry);
        if (--awaited === 0 && ending.finish()) resolve(split(refs, entries, numReturns));
      };
      ending.onFinish(() => { for (const entry of entries) if (!isReady(entry)) entry.stopWaiting(settled); });
      for (const entry of entries) {
        if (isReady(entry)) continue;
        entry.whenSettled(settled);
        if (!(entry instanceof RefGenerator)) this.#env.fetch(entry);
      }
    });
  }

  /** The value, and then its bytes: when somebody reads them they may be near. */
  #bringHere(entry: ObjectEntry): void {
    if (entry.status === PENDING) return this.#env.fetch(entry);
    const stored = entry.status === ENCODED ? (entry.content as EncodedValueRecord).stored : undefined;
    if (stored !== undefined && stored.node !== this.#env.node) this.#env.store.prefetch(stored);
  }

  /** Whoever waits for many, one at a time, passes here with all of them each time. */
  #checkWait(refs: unknown, numReturns: number): Waitable[] {
    if (!Array.isArray(refs)) throw new InvalidArgumentError(`wait() takes an array of ObjectRefs, but got ${describe(refs)}`);
    const entries: Waitable[] = new Array(refs.length);
    let isAscending = true;
    let ownerId: string | null = null;
    let sequence = -1;
    for (let index = 0; index < refs.length; index++) {
      const ref: unknown = refs[index];
      let entry = ObjectRef.usableEntryOf(ref);
      if (entry === undefined) {
        if (ref instanceof RefGenerator) {
          entries[index] = ref;
          isAscending = false;
          continue;
        }
        entry = this.#entryOf(ref, "wait()", index, true);
      }
      entries[index] = entry;
      if (entry.sequence <= sequence || entry.ownerId !== ownerId) isAscending = isAscending && ownerId === null;
      ownerId = entry.ownerId;
      sequence = entry.sequence;
    }
    if (!Number.isInteger(numReturns) || numReturns < 1 || (refs.length > 0 && numReturns > refs.length)) {
      throw new InvalidArgumentError(`numReturns of wait() must be a whole number from 1 to the number of refs (${refs.length}), but is ${String(numReturns)}`);
    }
    // Two refs of one object share their entry. Refs in the order in which their objects were made, as most are, cannot be the same.
    if (!isAscending && new Set<unknown>(entries).size < entries.length) {
      const second = entries.findIndex((entry, index) => entries.indexOf(entry) < index);
      throw new InvalidArgumentError(`wait() got the same ref twice, at ${entries.indexOf(entries[second] as Waitable)} and at ${second}; pass each once`);
    }
    return entries;
  }
}

/** Of one in an object store. */
function nodeOf(entry: ObjectEntry): NodeKey | undefined {
  return entry.status === ENCODED ? (entry.content as EncodedValueRecord).stored?.node : undefined;
}

/** What was looked for is not where the object is now: its node has drained meanwhile, say. */
function hasMoved(entry: ObjectEntry, { node, id }: StoredRecord): boolean {
  const stored = entry.status === ENCODED ? (entry.content as EncodedValueRecord).stored : undefined;
  return stored !== undefined && (stored.node !== node || stored.id !== id);
}

/** Both lists in the given order, at most `readyMax` in the first. */
function split<R>(refs: readonly R[], entries: readonly Waitable[], readyMax: number): [ready: R[], notReady: R[]] {
  const ready: R[] = [];
  const notReady: R[] = [];
  for (let index = 0; index < refs.length; index++) {
    if (ready.length === readyMax) return [ready, notReady.length === 0 ? refs.slice(index) : notReady.concat(refs.slice(index))];
    (isReady(entries[index] as Waitable) ? ready : notReady).push(refs[index] as R);
  }
  return [ready, notReady];
}

/** The store knows objects by numbers of its own. */
function namedAs(objectId: string, error: unknown): unknown {
  const record = error instanceof ObjectLostError ? recordOf(error) : null;
  return record === null ? error : systemErrorOf({ ...record, message: `object ${objectId}: ${record.message}`, subjectId: objectId });
}

type Waitable = ObjectEntry | RefGenerator<unknown>;

function isReady(waitable: Waitable): boolean {
  return waitable instanceof ObjectEntry ? waitable.status !== PENDING : waitable.isReady();
}

/** The several ways in which waiting may end; the first one counts. */
class Ending {
  #isFinished = false;
  readonly #timer: Timer | null;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: () => void;
  readonly #unblock: () => void;
  readonly #release: () => void;
  #cleanUp: (() => void) | null = null;

  constructor(env: AccessEnvironment, things: readonly object[], needed: number, options: { readonly timeoutMs?: number; readonly signal?: AbortSignal } | undefined, onTimeout: () => void, onAborted: (reason: unknown) => void) {
    this.#unblock = env.block((reason) => { if (this.finish()) onAborted(reason); }, { things, needed, endsByItself: options?.timeoutMs !== undefined || options?.signal !== undefined });
    this.#release = env.hold();
    this.#signal = options?.signal;
    this.#onAbort = () => { if (this.finish()) onAborted(this.#signal?.reason); };
    // It may have been aborted since the call was made.
    if (this.#signal?.aborted === true) queueMicrotask(this.#onAbort);
    else this.#signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#timer = options?.timeoutMs === undefined ? null : env.clock.after(options.timeoutMs, () => { if (this.finish()) onTimeout(); });
  }

  onFinish(cleanUp: () => void): void {
    this.#cleanUp = cleanUp;
  }

  /** True for the first caller. */
  finish(): boolean {
    if (this.#isFinished) return false;
    this.#isFinished = true;
    this.#timer?.cancel();
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#cleanUp?.();
    this.#release();
    this.#unblock();
    return true;
  }
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw signal.reason;
}

export function describe(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === "object") return isThenable(value) ? "a promise" : `an object of class ${(value as object).constructor?.name ?? "null"}`;
  return typeof value === "string" ? `the string ${JSON.stringify(value.slice(0, 40))}` : `${typeof value} ${String(value).slice(0, 40)}`;
}

function isThenable(value: unknown): boolean {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}
