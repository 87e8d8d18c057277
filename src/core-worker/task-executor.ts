import { recordOf, sequencedId, SerializationError, type AcceleratorIds, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { RUN_IS_CALL, RUN_IS_TASK, type EncodedValueRecord, type FromNode, type LeaseEvent, TASK_SLOTS_MAX } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";
import type { FrameReader, FrameWriter } from "../transport/mod.ts";
import type { ActorInstance } from "./actor-instance.ts";
import { BegunTasks } from "./begun-tasks.ts";
import { prepareCall } from "./call-preparation.ts";
import type { CodeLoader } from "./code-loader.ts";
import { type Execution, EncodedInput } from "./execution.ts";
import type { IncomingFunction, IncomingMethod } from "./incoming-callable.ts";
import { ResultSender } from "./result-sender.ts";
import type { ResultWriter } from "./result-writer.ts";
import type { ExecutionContext } from "./execution-context.ts";
import { type HeldLease, TIME_SLICE_MS } from "./held-lease.ts";
import { HeldLeases } from "./held-leases.ts";
import { type Failure, systemFailure } from "./object-entry.ts";
import { CLAIM_OPEN, CLAIM_RECALLED, CLAIM_STARTED, type Peer } from "./peer.ts";
import { isThenable, valuesOf } from "./iterables.ts";
import { LostArgument } from "./lost-arguments.ts";
import { isPrimitive } from "./primitives.ts";
import type { References } from "./references.ts";
import type { RunRecorder } from "./run-recorder.ts";
import type { RunScope } from "./run-scope.ts";
import { RunStopper } from "./run-stopper.ts";
import { StreamRunner } from "./stream-runner.ts";
import { readExecution } from "./task-reader.ts";
import { TaskBlocking } from "./task-blocking.ts";
import type { TimedRuns } from "./timed-runs.ts";
import { packMessage, type StoreClient } from "../clients/mod.ts";
import { RESULT_ARGUMENT_LOST, RESULT_FAILED, RESULT_ITEM, RESULT_LOST, RESULT_REJECTED, RESULT_STREAM_END, RESULT_VALUE, RESULT_VALUES } from "./task-wire.ts";
import { TERMINATE } from "./task.ts";
import { ActorExit, recordOfThrown } from "./thrown-error.ts";
import { writeEncodedValue } from "./value-wire.ts";

export interface ExecutorEnvironment {
  readonly serializer: Serializer;
  /** Throws SerializationError. */
  encode(value: unknown, label: string): EncodedValueRecord;
  readonly code: CodeLoader;
  readonly store: StoreClient;
  readonly references: References;
  readonly context: ExecutionContext;
  readonly runs: RunRecorder;
  readonly timedRuns: TimedRuns;
  readonly workerId: WorkerId;
  readonly pid: number;
  nowMs(): number;
  after(delayMs: number, callback: () => void): void;
  /** Tells the node manager, batched at the end of the turn. */
  emitLeaseEvent(leaseId: number, event: LeaseEvent): void;
  /** The owner may forget a lease that ended here. */
  notifyLeaseClosed(peer: Peer, leaseId: number): void;
  actor(actorId: string): ActorInstance | undefined;
  useAccelerators(ids: AcceleratorIds | null): void;
  /** Memory that outlives this worker, for begun-tasks.ts; null if there is none. Takes some milliseconds the first time. */
  begunTable(ownerId: WorkerId): Float64Array | null;
  /** A function with `maxCalls` is about to run. */
  limitedCall(callable: IncomingFunction): void;
  actorByNumber(number: number): ActorInstance | undefined;
  /** The actor ends after this call. */
  terminateActor(actor: ActorInstance): Promise<void>;
  /** Cancels what these runs have submitted. */
  cancelChildren(scopes: ReadonlySet<RunScope>): void;
}

/** Runs tasks under leases and calls of actors, and sends back what comes of them. */
export class TaskExecutor {
  readonly #env: ExecutorEnvironment;
  readonly #leases: HeldLeases<Execution>;
  readonly blocking: TaskBlocking;
  readonly streams: StreamRunner;
  readonly stopper: RunStopper;
  /** How long the last run took that ended, waiting included. */
  lastRunMs = 0;
  readonly #results = new ResultSender();
  #isLeaving = false;
  /** In use by the task that started last, or by the actor that has this worker for itself. */
  acceleratorIds: AcceleratorIds | null = null;

  constructor(environment: ExecutorEnvironment) {
    this.#env = environment;
    this.#leases = new HeldLeases<Execution>(environment.emitLeaseEvent);
    this.blocking = new TaskBlocking({ isRunning: (execution) => environment.context.running.has(execution), nowMs: () => environment.nowMs(), runQueued: (lease) => this.#runQueued(lease) });
    this.streams = new StreamRunner({
      context: environment.context, nowMs: () => environment.nowMs(), block: (execution, reject, what) => this.blocking.block(execution, reject, what),
      sendItem: (execution, value) => this.#sendItem(execution, value), sendEnd: (execution) => this.#sendEnd(execution), threw: (execution, thrown) => this.#threw(execution, thrown), refused: (execution, error) => this.#refused(execution, error),
    });
    this.stopper = new RunStopper({
      workerId: environment.workerId, running: environment.context.running, leases: () => this.#leases.all(), actor: (id) => environment.actor(id),
      refuse: (execution) => (execution.lease === null ? this.#dropped(execution) : this.reject(execution)), queueChanged: (lease) => this.#afterTask(lease),
      closeStream: (execution) => this.streams.closed(execution.peer.workerId, execution.sequence), cancelChildren: (scopes) => environment.cancelChildren(scopes),
    });
  }

  // ------------------------------------------------------------------ leases

  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** Nothing starts here any more: owners send it elsewhere. */
  leave(): void {
    this.#isLeaving = true;
    for (const { leaseId } of this.#leases.all()) this.endLease(leaseId);
  }

  /** What has started goes on; the rest goes back. */
  endLease(leaseId: number): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    const owner = this.#leases.ownerOf(lease);
    if (owner !== undefined) this.#env.notifyLeaseClosed(owner, leaseId);
    this.#rejectQueued(lease);
    lease.isEnding = true;
    this.#afterTask(lease);
  }

  /** Tasks that have arrived and not started. */
  *waiting(): Iterable<Execution> {
    for (const { queue } of this.#leases.all()) yield* queue;
  }

  leaseOpened(message: FromNode & { readonly type: "leaseOpened" }): void {
    const lease = this.#leases.opened(message);
    this.#runQueued(lease);
  }

  slotGranted(leaseId: number): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    lease.slotGranted();
    this.#runQueued(lease);
  }

  revokeLease(leaseId: number, onlyIdle: boolean): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    lease[onlyIdle ? "recall" : "revoke"](this.#env.nowMs());
    this.#afterTask(lease);
    this.#env.after(TIME_SLICE_MS, () => {
      if (this.#leases.get(leaseId) === lease) this.#afterTask(lease);
    });
  }

  /** The owner has no more use for it. */
  closeLease(owner: Peer, leaseId: number): void {
    // It may have closed before its owner had a channel to here on which to hear of it.
    if (this.#leases.hasEnded(leaseId)) return this.#env.notifyLeaseClosed(owner, leaseId);
    const lease = this.#leases.closeIdle(leaseId);
    if (lease !== null) this.#forgetIfClosed(lease);
  }

  /** What waits here behind a task that takes long could run elsewhere. */
  returnQueued(leaseId: number): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined || lease.queue.length === 0) return;
    this.#rejectQueued(lease);
    this.#afterTask(lease);
    this.flushResults();
  }

  /** Nobody waits for the results any more: what has not started never will. */
  ownerLost(ownerId: WorkerId): void {
    this.streams.ownerLost(ownerId);
    this.stopper.ownerLost(ownerId);
    for (const lease of this.#leases.all().filter((one) => one.ownerId === ownerId)) {
      lease.queue.removeWhere(() => true);
      lease.isEnding = true;
      this.#afterTask(lease);
    }
  }

  #forgetIfClosed(lease: HeldLease<Execution>): void {
    const owner = this.#leases.ownerOf(lease);
    if (!lease.isClosed || !this.#leases.forget(lease)) return;
    if (owner !== undefined) this.#env.notifyLeaseClosed(owner, lease.leaseId);
  }

  // ------------------------------------------------------------------ incoming

  onTasks(peer: Peer, reader: FrameReader): void {
    const leaseId = reader.f64();
    const count = reader.u16();
    let lease: HeldLease<Execution> | null = null;
    let isClosed = false;
    if (leaseId !== 0) {
      lease = this.#isLeaving ? null : this.#leases.usedBy(peer, leaseId);
      isClosed = lease === null;
      if (lease !== null && peer.begun?.isKept !== true && (count > 1 || !lease.canRun())) this.#keepBegun(peer);
    }
    for (let index = 0; index < count; index++) {
      const execution = readExecution(peer, reader, lease, this.#env);
      if (execution.stream !== null) this.streams.arrived(execution);
      if (isClosed || this.#isLeaving) this.reject(execution);
      else if (lease !== null) this.#arrived(lease, execution);
      else this.#callArrived(execution);
    }
    if (lease !== null) this.#afterTask(lease);
    // The owner may never have heard of the end of a lease that it had not used yet.
    if (isClosed) this.#env.notifyLeaseClosed(peer, leaseId);
    this.flushResults();
  }

  #arrived(lease: HeldLease<Execution>, execution: Execution): void {
    if (lease.queue.length === 0 && lease.canRun()) return this.#runTask(lease, execution);
    execution.peer.begun?.waits(execution.slot);
    lease.queue.push(execution);
  }

  /** From now on, if this worker is killed, its tasks that have not begun run elsewhere as if they had never been sent. */
  #keepBegun(peer: Peer): void {
    // Between threads they can be taken back.
    if (peer.incomingClaims === null) (peer.begun ??= new BegunTasks()).keepIn(this.#env.begunTable(peer.workerId));
  }

  #callArrived(execution: Execution): void {
    if (execution.actor === null) {
      const error: SystemErrorRecord = { kind: "ActorDiedError", message: `${execution.name}() was called on an actor that is not here any more`, subjectId: (execution.callable as IncomingMethod).actorId, reason: "unknown" };
      return this.fail(execution, { kind: "systemError", error });
    }
    if (execution.actor.isMoving && !execution.isRetry) this.reject(execution);
    else if (execution.actor.end !== null) this.endedUnder(execution, execution.actor.end, execution.actor.mayRestart);
    else if (execution.isRetry) execution.actor.runAgain(execution);
    else execution.actor.enqueue(execution);
  }

  // ------------------------------------------------------------------ tasks

  /** Also gives back what is not used then: a slot may come when what it was wanted for has run, on that of a task that went on. */
  #runQueued(lease: HeldLease<Execution>): void {
    while (lease.queue.length > 0 && lease.canRun()) {
      if (lease.mustReject(this.#env.nowMs())) break;
      this.#runTask(lease, lease.queue.shift() as Execution);
    }
    this.#afterTask(lease);
    this.flushResults();
    lease.returnUnusedSlots();
  }

  #afterTask(lease: HeldLease<Execution>): void {
    const nowMs = this.#env.nowMs();
    if (lease.mustReject(nowMs)) this.#rejectQueued(lease);
    if (lease.mustYield(nowMs)) lease.yieldSlots();
    lease.wantSlotIfNeeded();
    this.#forgetIfClosed(lease);
    if (this.#leases.get(lease.leaseId) === undefined) this.flushResults();
  }

  /** Takes the task for this worker. False when its owner has taken it back. */
  #claim(execution: Execution): boolean {
    const { incomingClaims: claims } = execution.peer;
    if (claims === null) (execution.peer.begun ??= new BegunTasks()).begins(execution.slot, execution.sequence);
    if (claims === null || execution.slot >= TASK_SLOTS_MAX) return true;
    return Atomics.compareExchange(claims, execution.slot, CLAIM_OPEN, CLAIM_STARTED) !== CLAIM_RECALLED;
  }

  #runTask(lease: HeldLease<Execution>, execution: Execution): void {
    if (!this.#claim(execution)) return this.reject(execution);
    lease.taskStarted();
    const { callable } = execution;
    if (callable.kind === "function" && callable.maxCalls > 0) this.#env.limitedCall(callable);
    this.useAccelerators(lease.acceleratorIds);
    const finished = this.start(execution);
    if (finished === undefined) lease.taskEnded(execution.blockedCount > 0);
    else void finished.then(() => { lease.taskEnded(execution.blockedCount > 0); this.#runQueued(lease); });
  }

  /** Most workers never have any: then there is nothing to tell them. */
  useAccelerators(ids: AcceleratorIds | null): void {
    if (ids !== this.acceleratorIds) this.#env.useAccelerators((this.acceleratorIds = ids));
  }

  /** Runs it to its end; undefined when that is already reached, else a promise that never rejects. */
  start(execution: Execution): Promise<void> | undefined {
    const startMs = performance.now();
    this.#env.context.running.add(execution);
    let calledMs = startMs;
    const preparing = prepareCall(execution, this.#env);
    const running = preparing === undefined ? this.#invoke(execution) : preparing.then(() => { calledMs = performance.now(); return this.#invoke(execution); }, (error: unknown) => this.#refused(execution, error));
    if (running === undefined) return this.#ended(execution, startMs, startMs);
    execution.busyFromMs = startMs;
    return running.then(() => { this.#ended(execution, startMs, calledMs); this.flushResults(); });
  }

  #ended(execution: Execution, startMs: number, calledMs: number): undefined {
    this.#env.context.running.delete(execution);
    if (execution.scope !== null && execution.scope.timeoutMs !== null) this.#env.timedRuns.ended(execution);
    const { results } = execution.peer;
    const nowMs = performance.now();
    this.lastRunMs = nowMs - startMs;
    // Waiting for objects is no work: other tasks run meanwhile.
    if (results !== null && execution.busyFromMs >= 0) results.busyUs += (this.lastRunMs - execution.blockedMs) * 1000;
    this.#env.runs.add(execution.name, execution.peer.workerId, execution.sequence, execution.lease === null ? RUN_IS_CALL : RUN_IS_TASK, startMs, calledMs, nowMs, execution.blockedMs);
    this.#results.flushOld(nowMs);
  }

  #invoke(execution: Execution): Promise<void> | undefined {
    const { callable, args } = execution;
    let returned: unknown;
    if (execution.isAbandoned) return undefined;
    if (execution.stream?.isClosed === true) return this.#sendEnd(execution);
    if (execution.isCancelled) return this.#dropped(execution);
    try {
      const target = this.#target(execution);
      for (let index = 0; index < args.length; index++) {
        const arg = args[index];
        if (arg instanceof EncodedInput) args[index] = this.#decodeArg(execution, arg.value);
      }
      if (execution.scope !== null && execution.scope.timeoutMs !== null) this.#env.timedRuns.starts(execution, execution.scope.timeoutMs);
      returned = this.#env.context.run(execution, callable.isAsync, target);
      if (execution.stream !== null) return this.streams.run(execution, returned);
      if (!isThenable(returned)) {
        callable.isAsync = false;
        return this.#returned(execution, returned);
      }
      callable.isAsync = true;
    } catch (error) {
      return this.#threw(execution, error);
    }
    return Promise.resolve(returned).then((value) => this.#returned(execution, value), (error: unknown) => this.#threw(execution, error));
  }

  #target(execution: Execution): () => unknown {
    const { callable, args } = execution;
    if (callable.kind === "method") {
      const actor = execution.actor as ActorInstance;
      if (callable.method === TERMINATE) return () => this.#env.terminateActor(actor);
      return () => actor.call(callable.method, args);
    }
    const fn = (callable.fn ??= this.#env.serializer.resolveCode(callable.unitId) as (...args: unknown[]) => unknown);
    return () => fn(...args);
  }

  #decodeArg(execution: Execution, value: EncodedValueRecord): unknown {
    if (value.descriptors.length === 0) return this.#env.serializer.decode(value, { adoptBuffers: true });
    const decoded = this.#env.references.decodeFrom(value, execution.peer.workerId);
    if (decoded.confirmed !== undefined) execution.borrowing = execution.borrowing === null ? decoded.confirmed : Promise.all([execution.borrowing, decoded.confirmed]).then(() => undefined);
    return decoded.value;
  }

  // ------------------------------------------------------------------ outcomes

  #begin(execution: Execution, status: number): ResultWriter {
    if (execution.stream !== null && status !== RESULT_ITEM) this.streams.ended(execution);
    const results = this.#results.begin(execution.peer, execution.slot, status);
    if (status !== RESULT_ITEM) results.busyUs += execution.takeBusyUs();
    return results;
  }

  #returned(execution: Execution, value: unknown): Promise<void> | undefined {
    // References in the arguments must be known to their owners before this reply lets the caller drop its own.
    const borrowing = execution.takeBorrowing();
    if (borrowing !== null) return borrowing.then(() => this.#returned(execution, value));
    if (execution.isAbandoned) return undefined;
    if (execution.isCancelled) return this.#dropped(execution);
    if (execution.returns > 1) return this.#returnedMany(execution, value);
    if (execution.returns === 0) value = undefined;
    const encoded = isPrimitive(value) ? null : this.#encodeResult(execution, value);
    if (encoded instanceof Error) return this.#refused(execution, encoded);
    const { writer } = this.#begin(execution, RESULT_VALUE);
    this.#writeValue(execution.peer, writer, value, encoded);
    this.#results.written(execution.peer);
    return undefined;
  }

  #returnedMany(execution: Execution, value: unknown): undefined {
    const values = valuesOf(value, execution.returns, execution.name);
    if (values instanceof Error) { void this.#threw(execution, values); return undefined; }
    const encoded = values.map((item) => (isPrimitive(item) ? null : this.#encodeResult(execution, item)));
    const bad = encoded.find((item) => item instanceof Error);
    if (bad !== undefined) { void this.#refused(execution, bad); return undefined; }
    const { writer } = this.#begin(execution, RESULT_VALUES);
    values.forEach((item, index) => this.#writeValue(execution.peer, writer, item, encoded[index] as EncodedValueRecord | null));
    this.#results.written(execution.peer);
    return undefined;
  }

  /** One frame a yielded value, so that the owner can use it while the generator goes on. */
  #sendItem(execution: Execution, item: unknown): Error | null {
    if (execution.isAbandoned) return null;
    const encoded = isPrimitive(item) ? null : this.#encodeResult(execution, item);
    if (encoded instanceof Error) return encoded;
    const { writer } = this.#begin(execution, RESULT_ITEM);
    this.#writeValue(execution.peer, writer, item, encoded);
    this.#results.written(execution.peer);
    this.flushResults();
    return null;
  }

  #sendEnd(execution: Execution): undefined {
    if (execution.isAbandoned) return;
    if (execution.isCancelled) return this.#dropped(execution);
    this.#begin(execution, RESULT_STREAM_END);
    this.#results.written(execution.peer);
  }

  #encodeResult(execution: Execution, value: unknown): EncodedValueRecord | Error {
    try {
      return this.#env.store.create(this.#env.encode(value, `the result of ${execution.name}()`), execution.peer.workerId);
    } catch (error) {
      return error as Error;
    }
  }

  #writeValue(peer: Peer, writer: FrameWriter, value: unknown, encoded: EncodedValueRecord | null): void {
    if (encoded === null) {
      writer.writePrimitive(value);
      return;
    }
    this.#env.code.share(peer, encoded.code, encoded.descriptors);
    writeEncodedValue(writer, encoded);
    if (encoded.descriptors.length > 0) writer.varuint(this.#env.references.pinForTransit(peer.workerId, encoded.descriptors));
  }

  #threw(execution: Execution, thrown: unknown): Promise<void> | undefined {
    // As in #returned: what threw may have kept references of the arguments.
    const borrowing = execution.takeBorrowing();
    if (borrowing !== null) return borrowing.then(() => this.#threw(execution, thrown));
    if (execution.isCancelled) return this.#dropped(execution);
    this.fail(execution, this.failureOf(execution, thrown));
    return undefined;
  }

  /** The runtime's own error, before or after the user's code: no room for the result, an argument that is lost. */
  #refused(execution: Execution, error: unknown): Promise<void> | undefined {
    if (error instanceof LostArgument) return this.#cannotBegin(execution, error);
    const record = recordOf(error);
    if (record === null) return this.#threw(execution, error);
    const borrowing = execution.takeBorrowing();
    if (borrowing !== null) return borrowing.then(() => this.#refused(execution, error));
    this.fail(execution, { kind: "systemError", error: record });
    return undefined;
  }

  failureOf(execution: Execution, thrown: unknown): Failure {
    const record = thrown instanceof ActorExit ? thrown.record : thrown instanceof SerializationError ? recordOf(thrown) : null;
    if (record !== null) return { kind: "systemError", error: record };
    return { kind: "taskError", error: recordOfThrown(thrown, { functionName: execution.name, taskId: sequencedId(execution.peer.workerId, execution.sequence), pid: this.#env.pid, label: `the error thrown by ${execution.name}()` }, (value, label) => this.#env.encode(value, label)) };
  }

  /** Answers without running, or after the user's code threw. */
  fail(execution: Execution, failure: Failure): void {
    if (execution.isAbandoned) return;
    const cause = failure.kind === "taskError" ? failure.error.cause : null;
    execution.keepsTurn = execution.mayRunAgain && failure.kind === "taskError";
    if (cause !== null) this.#env.code.share(execution.peer, cause.code, cause.descriptors);
    this.#begin(execution, RESULT_FAILED).writer.bytes(packMessage(failure));
    this.#results.written(execution.peer);
  }

  /** It runs when its owner has the argument again. A call keeps its turn until then. */
  #cannotBegin(execution: Execution, { index, stored, message }: LostArgument): undefined {
    if (execution.isAbandoned) return;
    if (execution.isCancelled) return this.#dropped(execution);
    execution.awaitsArgument = execution.keepsTurn = execution.actor !== null;
    this.#results.argumentLost(this.#begin(execution, RESULT_ARGUMENT_LOST).writer, index, stored, message);
    this.#results.written(execution.peer);
  }

  /** Its actor has ended. If that may start again, what becomes of the call is for its caller to say. */
  endedUnder(execution: Execution, end: SystemErrorRecord, mayRestart: boolean): void {
    if (!mayRestart) return this.fail(execution, { kind: "systemError", error: end });
    this.#begin(execution, RESULT_LOST).writer.string(end.message);
    this.#results.written(execution.peer);
  }

  /** As above, while it runs: it is answered now, and nobody waits for what comes of it. */
  abandon(execution: Execution, end: SystemErrorRecord, mayRestart: boolean): void {
    if (execution.isAbandoned) return;
    this.endedUnder(execution, end, mayRestart);
    execution.isAbandoned = true;
    if (execution.scope !== null && execution.scope.timeoutMs !== null) this.#env.timedRuns.ended(execution);
    if (execution.stream !== null) this.streams.closed(execution.peer.workerId, execution.sequence);
  }

  /** Its owner has its outcome already; that its time is over, it may hear from us before it hears it from the node. */
  #dropped(execution: Execution): undefined {
    const error = recordOf(execution.scope?.reason);
    this.fail(execution, error === null ? CANCELLED : { kind: "systemError", error });
  }

  #rejectQueued(lease: HeldLease<Execution>): void {
    for (const execution of lease.queue.removeWhere(() => true)) this.reject(execution);
  }

  /** It has not run: whoever has sent it sends it again, elsewhere. */
  reject(execution: Execution): void {
    this.#begin(execution, RESULT_REJECTED);
    this.#results.written(execution.peer);
  }

  /** Sends every result that is ready. */
  flushResults(): void { this.#results.flush(); }
}

const CANCELLED = systemFailure({ kind: "TaskCancelledError", message: "it was cancelled", subjectId: null });
