import { InvalidArgumentError, isZero, nodeKeyOf, ObjectFreedError, PendingCallsLimitExceededError, recordOf, RuntimeStateError, systemErrorOf, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import { type StoreClient, withOwnBuffers } from "../clients/mod.ts";
import type { ActorArg, EncodedValueRecord, LeaseShape, StoredRecord } from "../protocol/mod.ts";
import type { ActorClient } from "./actor-client.ts";
import type { ActorHandleObject } from "./actor-handle.ts";
import type { ActorManager } from "./actor-manager.ts";
import { type CallOptions, templateOf } from "./call-templates.ts";
import type { LargeObjects } from "./large-objects.ts";
import type { LimitedTasks } from "./call-limits.ts";
import { isLoss } from "./lost-arguments.ts";
import { FAILED, type CallSite, type Failure, ObjectEntry, PENDING } from "./object-entry.ts";
import { ObjectRef, type RefHost } from "./object-ref.ts";
import { isPrimitive } from "./primitives.ts";
import type { References } from "./references.ts";
import type { Recovered, RepeatedCall } from "./repeated-call.ts";
import type { Awaited, RunScope } from "./run-scope.ts";
import { settleFailed } from "./result-receiver.ts";
import type { StoredLifetimes } from "./stored-lifetimes.ts";
import { NearArguments } from "./near-arguments.ts";
import type { SchedulingQueue } from "./scheduling-queue.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import { type CallLimits, type CallTemplate, ChildTask, clientOf, EncodedArg, leaseKeyOf, type MethodCallable, PendingTask, RebuildingCall, type Returns, SharedCall, type SharedMethodCallable, STREAMING, type TaskTemplate, TERMINATE } from "./task.ts";
import { RefGenerator, type StreamHost, ValueStream } from "./value-stream.ts";

export interface SubmissionEnvironment {
  readonly workerId: WorkerId;
  readonly totals: ResourceAmounts | null;
  readonly store: StoreClient;
  readonly lifetimes: StoredLifetimes;
  readonly largeObjects: LargeObjects;
  /** Throws SerializationError. */
  encode(value: unknown, label: string): EncodedValueRecord;
  readonly references: References;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorManager;
  readonly refHost: RefHost;
  fetch(entry: ObjectEntry): void;
  recover(entry: ObjectEntry, lost: StoredRecord, recovered: Recovered): void;
  hold(): () => void;
  block(reject: (reason: Error) => void, what: Awaited | null): () => void;
  /** Of the running task, 0 in a driver. */
  currentSequence(): number;
  readonly limited: LimitedTasks;
  /** What a call made now is cancelled with; undefined in a driver. */
  currentScope(): RunScope | undefined;
  isShutDown(): boolean;
  /** Null: by `shutdown()`. Else a clause for messages: "after its runtime had ended: …". */
  endedBy(): string | null;
}

/** Calls made in one turn whose place in the program is remembered for error messages; more are too many to tell apart. */
const CALL_SITES_PER_TURN_MAX = 32;
const CALL_SITE_FRAMES_MAX = 6;

/** Where the caller of `above` is in the user's program. Formatted only when an error shows it. */
export function callSite(above: Function): CallSite {
  const site: CallSite = {};
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = CALL_SITE_FRAMES_MAX;
  Error.captureStackTrace(site, above);
  Error.stackTraceLimit = stackTraceLimit;
  return site;
}

/** Turns calls into pending tasks: prepares arguments, makes refs, and hands on what is complete. */
export class Submission {
  readonly #env: SubmissionEnvironment;
  #nextSequence = 1;
  #pendingCount = 0;
  #sitesThisTurn = 0;
  #release: (() => void) | null = null;
  /** Null where there is one node only. */
  readonly #near: NearArguments | null;
  /** Calls whose arguments are not there yet. */
  readonly #waitingForArgs = new Set<PendingTask>();
  readonly #streamHost: StreamHost = {
    newEntry: (sequence) => this.newEntry(sequence), refOf: (entry) => this.refOf(entry), hold: () => this.#env.hold(), block: (reject, what) => this.#env.block(reject, what),
    dropped: (entry) => this.#env.lifetimes.unreferenced(entry), paused: (isPaused) => this.#pending(isPaused ? -1 : 1),
  };

  constructor(environment: SubmissionEnvironment) {
    this.#env = environment;
    this.#near = environment.totals !== null ? null : new NearArguments(nodeKeyOf(environment.workerId), (shape) => this.queueFor(shape));
  }

  /** `capacity`: what there is for such tasks; null where that is not known. */
  queueFor(shape: LeaseShape, capacity: ResourceAmounts | null = this.#env.totals): SchedulingQueue {
    return this.#env.submitter.queue(leaseKeyOf(shape), shape, capacity === null ? Number.POSITIVE_INFINITY : leasesAtOnce(shape.resources, capacity));
  }

  newEntry(taskSequence: number): ObjectEntry {
    const sequence = this.#nextSequence++;
    return new ObjectEntry(this.#env.workerId, sequence, taskSequence === 0 ? sequence : taskSequence);
  }

  refOf(entry: ObjectEntry): ObjectRef {
    return new ObjectRef(this.#env.refHost, entry);
  }

  // ------------------------------------------------------------------ put

  put(value: unknown): ObjectRef {
    if (ObjectRef.entryOf(value) !== undefined) throw new InvalidArgumentError("put() was given an ObjectRef; it is a reference already, pass it on as it is, or put an object that contains it");
    this.checkRunning("put()");
    const entry = new ObjectEntry(this.#env.workerId, this.#nextSequence++, this.#env.currentSequence());
    if (isPrimitive(value)) {
      entry.settlePrimitive(value);
    } else {
      const encoded = this.#env.store.create(this.#env.encode(value, "the value given to put()"), this.#env.workerId);
      if (encoded.descriptors.length > 0) this.#env.references.holdContents(entry, encoded.descriptors);
      if (encoded.stored !== undefined) this.#env.largeObjects.put(encoded.stored, entry, callSite(this.put));
      entry.settleEncoded(encoded);
    }
    return this.refOf(entry);
  }

  // ------------------------------------------------------------------ tasks and calls

  task(template: TaskTemplate, args: unknown[]): unknown {
    if (this.#env.isShutDown()) this.checkRunning(`${template.displayName ?? template.callable.name}()`);
    const task = this.#create(this.#newTask(template, args), this.task);
    if (task.unresolvedCount === 0) this.#ready(task);
    return this.#returnOf(task);
  }

  call(callable: MethodCallable | SharedMethodCallable, client: ActorClient<PendingTask>, args: unknown[], options: CallOptions | null, handle: ActorHandleObject): unknown {
    if (this.#env.isShutDown()) this.checkRunning(`${callable.name}()`);
    const template = templateOf(callable, options);
    const { maxPendingCalls } = client.rules;
    if (maxPendingCalls !== -1 && client.pendingCalls >= maxPendingCalls && callable.method !== TERMINATE) throw tooManyPending(callable.name, client);
    const task = this.#create(callable.kind === "sharedMethod" ? this.#newSharedCall(template, args, client) : this.#newTask(template, args), this.call);
    client.pendingCalls++;
    // The actor outlives its last handle for as long as a call is on its way.
    if (!client.isDetached && this.#env.references.isHeld(handle)) {
      const pinned = this.#env.references.pinReference(client.actorId, client.ownerId);
      if (task.pinnedIds === null) task.pinnedIds = pinned;
      else task.pinnedIds.push(...pinned);
    }
    this.#env.actors.submit(client, task);
    return this.#returnOf(task);
  }

  checkRunning(what: string): void {
    if (this.#env.isShutDown()) throw new RuntimeStateError(`${what} was called ${this.#env.endedBy() ?? "after shutdown(); call init() first, or make the call before"}`);
  }

  #newTask(template: CallTemplate, args: unknown[]): PendingTask {
    const sequence = this.#nextSequence;
    const entries = this.#entriesFor(template.returns);
    const parent = this.#env.currentScope();
    return parent === undefined ? new PendingTask(template, sequence, args, entries) : new ChildTask(template, sequence, args, entries, parent);
  }

  #newSharedCall(template: CallTemplate, args: unknown[], client: ActorClient<PendingTask>): SharedCall {
    const sequence = this.#nextSequence;
    return new SharedCall(template, sequence, args, this.#entriesFor(template.returns), client, this.#env.currentScope() ?? null);
  }

  #entriesFor(returns: Returns): ObjectEntry | ObjectEntry[] | null {
    const taskSequence = this.#nextSequence;
    if (returns === 1) return this.newEntry(taskSequence);
    if (returns === 0) { this.#nextSequence++; return null; }
    if (returns === STREAMING) return this.newEntry(taskSequence);
    return Array.from({ length: returns }, () => this.newEntry(taskSequence));
  }

  #create(task: PendingTask, above: Function): PendingTask {
    try {
      this.#prepareArgs(task, above);
    } catch (error) {
      // Nothing of a call that was refused stays.
      if (task.pinnedIds !== null) this.#env.references.unpin(task.pinnedIds);
      this.#env.lifetimes.callEnded(task.args);
      throw error;
    }
    const site = this.#callSiteUnlessMany(above);
    const { entries } = task;
    if (Array.isArray(entries)) for (const entry of entries) entry.isMadeBy(task, site);
    else entries?.isMadeBy(task, site);
    if (task.template.returns === STREAMING) {
      task.stream = new ValueStream(this.#streamHost, task.entries as ObjectEntry, task.sequence, task.template.unconsumedMax);
    }
    this.#pending(1);
    const { limits } = task.template;
    if (limits !== null) this.#limit(task, limits);
    return task;
  }

  #callSiteUnlessMany(above: Function): CallSite | null {
    if (this.#sitesThisTurn >= CALL_SITES_PER_TURN_MAX) return null;
    if (this.#sitesThisTurn++ === 0) setImmediate(() => { this.#sitesThisTurn = 0; }).unref();
    return callSite(above);
  }

  #limit(task: PendingTask, limits: CallLimits): void {
    const failure = this.#env.limited.submitted(task, limits);
    if (failure === null || task.isDone) return;
    this.#waitingForArgs.delete(task);
    this.#failSoon(task, failure);
  }

  #returnOf(task: PendingTask): unknown {
    if (task.stream !== null) return new RefGenerator(task.stream as ValueStream);
    if (task.entries === null) return undefined;
    return Array.isArray(task.entries) ? task.entries.map((entry) => this.refOf(entry)) : this.refOf(task.entries);
  }

  /** Values are captured now, so that a later change of an argument by the caller is not seen; refs are awaited. */
  #prepareArgs(task: PendingTask, above: Function): void {
    const { args } = task;
    for (let index = 0; index < args.length; index++) {
      const arg = args[index];
      if (isPrimitive(arg)) continue;
      const entry = ObjectRef.entryOf(arg);
      if (entry === undefined) {
        const encoded = this.#env.store.create(this.#env.encode(arg, `argument ${index + 1} of ${task.name}()`), this.#env.workerId);
        if (encoded.descriptors.length > 0) (task.pinnedIds ??= []).push(...this.#env.references.pinAll(encoded.descriptors));
        if (encoded.stored !== undefined) this.#env.largeObjects.argument(encoded.stored, index, task, callSite(above));
        args[index] = new EncodedArg(encoded);
        continue;
      }
      if (ObjectRef.isReleased(arg as ObjectRef)) throw new ObjectFreedError(`argument ${index + 1} of ${task.name}() is an ObjectRef that was released`, { objectId: entry.id });
      args[index] = entry;
      this.#use(task, entry);
    }
    this.#awaitArgs(task);
  }

  #use(task: PendingTask, entry: ObjectEntry): void {
    if (entry.ownerId === this.#env.workerId) this.#env.lifetimes.used(entry);
    else (task.pinnedIds ??= []).push(...this.#env.references.pinReference(entry.id, entry.ownerId));
    if (entry.status === PENDING) task.unresolvedCount++;
  }

  #awaitArgs(task: PendingTask): void {
    if (task.unresolvedCount === 0) return this.#failIfArgFailed(task);
    this.#waitingForArgs.add(task);
    for (const arg of task.args) {
      if (!(arg instanceof ObjectEntry) || arg.status !== PENDING) continue;
      arg.whenSettled(() => this.#argSettled(task));
      this.#env.fetch(arg);
    }
  }

  /** Its results are not announced: whoever has its entries takes them. */
  again({ template, client, sequence, args, entries, stream, retriesLeft }: RepeatedCall): PendingTask {
    const number = sequence ?? this.#nextSequence++;
    const task = client === null ? new PendingTask(template, number, args, entries) : new RebuildingCall(template, number, args, entries, client, null);
    task.retriesLeft = retriesLeft;
    task.stream = stream;
    for (const arg of args) {
      if (arg instanceof ObjectEntry) this.#use(task, arg);
      else if (arg instanceof EncodedArg && arg.value.descriptors.length > 0) (task.pinnedIds ??= []).push(...this.#env.references.pinAll(arg.value.descriptors));
    }
    this.#pending(1);
    this.#awaitArgs(task);
    if (template.limits !== null) this.#limit(task, template.limits);
    if (client !== null) {
      client.pendingCalls++;
      this.#env.actors.submitAgain(client, task);
    } else if (task.unresolvedCount === 0) {
      this.#ready(task);
    }
    return task;
  }

  #argSettled(task: PendingTask): void {
    if (--task.unresolvedCount > 0) return;
    this.#waitingForArgs.delete(task);
    if (task.isDone) return;
    this.#failIfArgFailed(task);
    if (task.queue !== null) this.#ready(task);
    else this.#env.actors.argsSettled(task);
  }

  /** A call whose argument failed fails with the same error, without running. */
  #failIfArgFailed(task: PendingTask): void {
    for (const arg of task.args) {
      if (arg instanceof ObjectEntry && arg.status === FAILED) {
        return this.#failSoon(task, arg.content as Failure);
      }
    }
  }

  /** It will not run, and its caller learns so when it has its refs. */
  #failSoon(task: PendingTask, failure: Failure): void {
    task.isDone = true;
    queueMicrotask(() => {
      settleFailed(task, failure);
      if (task.pinnedIds !== null) this.#env.references.unpin(task.pinnedIds);
      this.finished(task);
    });
  }

  #ready(task: PendingTask): void {
    if (task.isDone) return;
    if (this.#near !== null && task.args.length > 0) this.#near.direct(task);
    this.#env.submitter.submit(task);
  }

  /** The task has its outcome. */
  finished(task: PendingTask): void {
    this.left(task);
    this.#pending(-1);
  }

  /** No worker needs its arguments any more. */
  left(task: PendingTask): void {
    if (task.args.length > 0) this.#env.lifetimes.callEnded(task.args);
    if (task.template.limits !== null) this.#env.limited.ended(task, task.template.limits);
    if (task.queue === null) clientOf(task).pendingCalls--;
  }

  /** It has its outcome, though a worker goes on with it. Nobody waits for that. */
  settled(): void {
    this.#pending(-1);
  }

  /** While a call is pending, the process must not end. */
  #pending(difference: 1 | -1): void {
    this.#pendingCount += difference;
    if (this.#pendingCount > 0) {
      this.#release ??= this.#env.hold();
    } else {
      this.#release?.();
      this.#release = null;
    }
  }

  // ------------------------------------------------------------------ arguments of constructors

  /** Encodes arguments and awaits refs among them; `release` drops what they keep alive, if they do. */
  whenArgsReady(args: unknown[], label: string, then: (args: ActorArg[], failure: Failure | null, release: (() => void) | null) => void): void {
    this.checkRunning(label);
    const pinned: string[] = [];
    let prepared: (ObjectEntry | ActorArg)[];
    try {
      prepared = args.map((arg, index) => {
        if (isPrimitive(arg)) return arg as ActorArg;
        const entry = ObjectRef.entryOf(arg);
        if (entry !== undefined) return entry;
        const encoded = withOwnBuffers(this.#env.encode(arg, `argument ${index + 1} of ${label}`));
        if (encoded.descriptors.length > 0) pinned.push(...this.#env.references.pinAll(encoded.descriptors));
        return encoded;
      });
    } catch (error) {
      this.#env.references.unpin(pinned);
      throw error;
    }
    const pending = prepared.filter((arg): arg is ObjectEntry => arg instanceof ObjectEntry && arg.status === PENDING);
    const finish = (): void => {
      const failed = prepared.find((arg): arg is ObjectEntry => arg instanceof ObjectEntry && arg.status === FAILED);
      const release = pinned.length === 0 ? null : (): void => this.#env.references.unpin(pinned);
      if (failed !== undefined) return then([], failed.content as Failure, release);
      const values = prepared.map((arg) => (arg instanceof ObjectEntry ? (arg.content as ActorArg) : arg));
      if (!values.some(isStored)) return then(values, null, release);
      // The GCS keeps what an actor is made from, for its restarts: it has them by itself, not in this machine's memory.
      void Promise.all(prepared.map((arg) => (arg instanceof ObjectEntry ? this.#copyOf(arg) : arg))).then(
        (copies) => then(copies, null, release),
        (error: unknown) => then([], error instanceof FailedArgument ? error.failure : { kind: "systemError", error: recordOf(error) ?? { kind: "ObjectLostError", message: String(error), subjectId: null } }, release),
      );
    };
    let missing = pending.length;
    if (missing === 0) return finish();
    for (const entry of pending) {
      entry.whenSettled(() => { if (--missing === 0) finish(); });
      this.#env.fetch(entry);
    }
  }

  async #copyOf(entry: ObjectEntry): Promise<ActorArg> {
    for (;;) {
      if (entry.status === FAILED) throw new FailedArgument(entry.content as Failure);
      const value = entry.content as ActorArg;
      if (!isStored(value)) return value;
      try {
        return copyOfStored(await this.#env.store.open(value));
      } catch (error) {
        if (!isLoss(error)) throw error;
        await new Promise<void>((resolve, reject) => this.#env.recover(entry, value.stored as StoredRecord, (refusal) => { if (refusal === null) resolve(); else reject(systemErrorOf(refusal)); }));
      }
    }
  }

  /** The calls that wait for arguments. */
  get waiting(): Iterable<PendingTask> {
    return this.#waitingForArgs;
  }

  /** It has its outcome, whatever becomes of its arguments. */
  stopWaiting(task: PendingTask): void {
    this.#waitingForArgs.delete(task);
  }

  /** The calls that wait for arguments, taken out. */
  takeWaiting(): PendingTask[] {
    const tasks = [...this.#waitingForArgs];
    this.#waitingForArgs.clear();
    return tasks;
  }
}

class FailedArgument extends Error {
  readonly failure: Failure;
  constructor(failure: Failure) {
    super(failure.error.message);
    this.failure = failure;
  }
}

function isStored(arg: ActorArg): arg is EncodedValueRecord {
  return typeof arg === "object" && arg !== null && arg.stored !== undefined;
}

/** What was opened is a view of shared memory, the header too. */
function copyOfStored(opened: EncodedValueRecord): EncodedValueRecord {
  return { ...withOwnBuffers(opened), header: new Uint8Array(opened.header) };
}

function tooManyPending(name: string, client: ActorClient<PendingTask>): PendingCallsLimitExceededError {
  return new PendingCallsLimitExceededError(`${name}() was called while ${client.rules.maxPendingCalls} calls of this caller have no result yet, as many as maxPendingCalls of actor ${client.className} (${client.actorId}) allows; get results before calling it again, or raise the limit`);
}

/** How many tasks of such resources fit into the machine at once. */
function leasesAtOnce(resources: ResourceAmounts, totals: ResourceAmounts | null): number {
  if (isZero(resources) || totals === null) return Number.POSITIVE_INFINITY;
  let count = Number.POSITIVE_INFINITY;
  for (const name in resources) count = Math.min(count, Math.floor((totals[name] ?? 0) / (resources[name] as number)));
  return count;
}
