import { type AcceleratorIds, afterThis, nodeKeyOf, type PlacementGroupId, RuntimeStateError, SerializationError, systemErrorOf, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { FRAME_MESSAGE, FRAME_RESULTS, FRAME_TASKS, type ActorSpec, type BundleRecord, type CodeUnitRecord, type EncodedValueRecord, type FromNode, type LeaseEvent, type LogRecord, type PeerMessage, type PrimaryRecord, type RuntimeDescriptor, type WorkerDeath } from "../protocol/mod.ts";
import { Serializer } from "../serialization/mod.ts";
import { type Channel, FrameReader } from "../transport/mod.ts";
import { ActorCalls } from "./actor-calls.ts";
import type { ActorHandleObject } from "./actor-handle.ts";
import { ActorHost } from "./actor-host.ts";
import { ActorCreation, type ActorSetting } from "./actor-creation.ts";
import { ActorManager } from "./actor-manager.ts";
import { CallWatch } from "./call-watch.ts";
import { LimitedTasks } from "./call-limits.ts";
import { Cancellation } from "./cancellation.ts";
import { CodeExports } from "./code-exports.ts";
import { CodeLoader } from "./code-loader.ts";
import { TaskExecutor } from "./task-executor.ts";
import { TimedRuns } from "./timed-runs.ts";
import type { CoreWorkerEnvironment } from "./core-worker-environment.ts";
import { IncomingFunction, IncomingMethod } from "./incoming-callable.ts";
import { ExceptionRetries } from "./exception-retries.ts";
import { ExecutionContext } from "./execution-context.ts";
import { unpackMessage } from "../clients/mod.ts";
import { type Failure, type ObjectEntry, systemFailure } from "./object-entry.ts";
import { ObjectAccess, type WaitOptions } from "./object-access.ts";
import { describeRuntimeObject, ObjectRef, type GetOptions } from "./object-ref.ts";
import { ObjectServer } from "./object-server.ts";
import { LargeObjects } from "./large-objects.ts";
import { Lineage } from "./lineage.ts";
import { LostArguments } from "./lost-arguments.ts";
import type { Peer } from "./peer.ts";
import { Peers } from "./peers.ts";
import { References } from "./references.ts";
import type { Recovered } from "./repeated-call.ts";
import { RunRecorder } from "./run-recorder.ts";
import type { Awaited } from "./run-scope.ts";
import { ResultReceiver, settleFailed } from "./result-receiver.ts";
import { callSite, Submission } from "./submission.ts";
import { StoredLifetimes } from "./stored-lifetimes.ts";
import { TaskSender } from "./task-sender.ts";
import { RECALLED, TaskSubmitter } from "./task-submitter.ts";
import { type CancelOptions, type CodeSource, type FunctionCallable, type PendingTask, type TaskTemplate } from "./task.ts";
import { TasksBetweenRuns } from "./tasks-between-runs.ts";
import type { RefGenerator } from "./value-stream.ts";
import { ModuleExchange } from "./module-exchange.ts";
import { NodeRequests } from "./node-requests.ts";
import { PlacementGroups } from "./placement-groups.ts";
import { WorkerRetirement } from "./worker-retirement.ts";
import { PendingWork } from "./pending-work.ts";
import { ProcessLife } from "./process-life.ts";

/** Makes runtime objects that other parts define (remote functions, actor classes) from their descriptors. */
export type Reviver = (descriptor: RuntimeDescriptor) => object;

/**
 * The library inside every driver, task worker and actor: submits and runs tasks and calls, owns the objects it makes.
 * This class only composes the parts and routes messages between them.
 */
export class CoreWorker {
  readonly env: CoreWorkerEnvironment;
  readonly serializer: Serializer;
  readonly code: CodeLoader;
  readonly references: References;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorManager;
  readonly access: ObjectAccess;
  readonly submission: Submission;
  readonly context = new ExecutionContext();
  readonly requests: NodeRequests;
  readonly groups: PlacementGroups;
  readonly #cancellation: Cancellation;
  readonly #limited = new LimitedTasks({
    cancel: (task, why) => this.#cancellation.cancelTask(task, { isForced: false, isRecursive: true }, why), settle: (task, failure) => this.#cancellation.settleRunning(task, failure),
  });
  readonly #executor: TaskExecutor;
  readonly #receiver: ResultReceiver;
  readonly #retries: ExceptionRetries;
  readonly #lineage: Lineage;
  readonly pendingWork: PendingWork;
  readonly #betweenRuns: TasksBetweenRuns;
  readonly #runs: RunRecorder;
  readonly actorHost: ActorHost;
  readonly #creation: ActorCreation;
  readonly #objects: ObjectServer;
  readonly #largeObjects: LargeObjects;
  readonly #peers: Peers;
  readonly #modules: ModuleExchange;
  readonly #revivers = new Map<RuntimeDescriptor["kind"], Reviver>();
  readonly #reader = new FrameReader();
  /** Apart, because user code runs while it is in use. */
  readonly #taskReader = new FrameReader();
  #leaseEvents: (readonly [number, LeaseEvent])[] = [];
  readonly #exports: CodeExports;
  #isShutDown = false;
  #endedBy: string | null = null;
  /** Something here was given a placement group that its children belong to. */
  #captures = false;
  readonly #life: ProcessLife;
  #onLog: ((record: LogRecord) => void) | null = null;

  constructor(env: CoreWorkerEnvironment) {
    this.env = env;
    this.#life = new ProcessLife((isNeeded) => env.keepAlive(isNeeded));
    this.#modules = new ModuleExchange(env.modules, (id) => this.peer(id), (driverId) => this.requests.ask((requestId) => ({ type: "recallModules", requestId, driverId })));
    this.serializer = new Serializer({
      workerId: env.workerId,
      runtimeObjects: { describe: describeRuntimeObject, revive: (descriptor) => this.#revive(descriptor as RuntimeDescriptor) },
      ...(env.entryUrl === undefined ? {} : { entryUrl: env.entryUrl }),
      codeOrigin: () => env.codeOrigin, modulePlaces: this.#modules,
      ...(env.prepareImports === undefined ? {} : { prepareImports: env.prepareImports }),
    });
    this.#exports = new CodeExports(this.serializer);
    this.#peers = new Peers({
      workerId: env.workerId, clock: env.clock, connect: (id) => env.sendToNode({ type: "connectPeer", workerId: id }),
      broken: (workerId) => env.sendToNode({ type: "peerBroken", workerId, isDriver: env.isDriver }), onFrame: (peer, frame) => this.#onPeerFrame(peer, frame), lost: (id, peer, death) => this.#workerLost(id, peer, death),
    });
    this.requests = new NodeRequests((message) => env.sendToNode(message), (message) => env.sendToNodeSoon(message), () => this.#life.hold());
    this.code = new CodeLoader(this.serializer, (unitIds) => this.requests.ask<readonly CodeUnitRecord[]>((requestId) => ({ type: "getCode", requestId, unitIds })));
    const refHost = { getOne: (ref: ObjectRef, options: GetOptions | undefined) => this.get(ref, options), describeRef: (ref: ObjectRef, entry: ObjectEntry) => this.#describeRef(ref, entry), releaseRef: (ref: ObjectRef, entry: ObjectEntry) => this.references.dropRef(ref, entry) };
    const lifetimes = new StoredLifetimes(env.workerId, env.store, (entry) => this.#lineage.freed(entry));
    this.references = new References({
      workerId: env.workerId, refHost, lifetimes, after: (delayMs, callback) => void env.clock.after(delayMs, callback), serializer: () => this.serializer, peer: (id) => this.peer(id),
      actorOutOfScope: (actorId) => this.actors.outOfScope(actorId), actorNotUsed: (actorId) => this.actors.forget(actorId),
    });
    const largeObjects = this.#largeObjects = new LargeObjects({ workerId: env.workerId, pid: env.pid, isDriver: env.isDriver, store: env.store, lifetimes, references: this.references, actorClassName: () => this.currentActor()?.spec.className ?? null });
    const encode = (value: unknown, label: string): EncodedValueRecord => {
      const encoded = this.serializer.encode(value, label);
      this.#exports.exportMentioned();
      return encoded;
    };
    const sender = new TaskSender(this.code);
    const recover = (entry: ObjectEntry, lost: PrimaryRecord, recovered: Recovered): void => this.#objects.recover(entry, lost, recovered);
    const fail = (task: PendingTask, failure: Failure): void => { settleFailed(task, failure); this.#finished(task, false); };
    this.submitter = new TaskSubmitter({
      workerId: env.workerId, clock: env.clock, sender, peer: (id) => this.peer(id), fail, dropped: (task) => this.#finished(task, false), warn: (text) => env.warn(text), runLater: (task) => this.#retries.runLater(task),
      requestLeases: (key, shape, target, priority) => env.sendToNode({ type: "leaseDemand", key, shape, target, priority }), leaseSettled: (leaseId, workerId) => env.sendToNode({ type: "leaseSettled", leaseId, workerId }),
    });
    const handleHost = new ActorCalls({
      references: this.references, actors: () => this.actors, submission: () => this.submission, hold: () => this.#life.hold(), checkMethodOptions: (options, label) => this.checkMethodOptions(options, label),
    });
    this.actors = new ActorManager({ workerId: env.workerId, references: this.references, sender, handleHost, peer: (id) => this.peer(id), sendToNode: (message) => env.sendToNode(message), sendToNodeSoon: (message) => env.sendToNodeSoon(message), callWatch: new CallWatch(env.clock, (workerId) => env.sendToNode({ type: "callsWait", workerId })), fail, dropped: (task) => this.#finished(task, true) });
    this.#betweenRuns = new TasksBetweenRuns({
      runAgain: (task) => (task.queue === null ? this.actors.runAgain(task) : this.submitter.rejected(task)), giveUp: (task) => { if (task.queue === null) this.actors.giveUpTurn(task); },
      fail: (task, failure) => { settleFailed(task, failure); this.#finished(task, true); },
    });
    this.#retries = new ExceptionRetries({ clock: env.clock, serializer: this.serializer, code: this.code, betweenRuns: this.#betweenRuns });
    const lostArguments = new LostArguments({ recover, betweenRuns: this.#betweenRuns });
    this.submission = new Submission({
      workerId: env.workerId, totals: env.totals, store: env.store, lifetimes, largeObjects, encode, references: this.references, submitter: this.submitter, actors: this.actors, refHost,
      fetch: (entry) => this.#objects.fetch(entry), recover, hold: () => this.#life.hold(), block: (reject, what) => this.#block(reject, what), currentSequence: () => this.context.current()?.sequence ?? 0, limited: this.#limited, currentScope: () => this.context.current()?.ownScope, isShutDown: () => this.#isShutDown, endedBy: () => this.#endedBy,
    });
    this.groups = new PlacementGroups({
      workerId: env.workerId, clock: env.clock, requests: this.requests, submission: () => this.submission, encode, sendToNodeSoon: (message) => env.sendToNodeSoon(message),
      hold: () => this.#life.hold(), block: (reject, what) => this.#block(reject, what),
    });
    this.#lineage = new Lineage({
      workerId: env.workerId, store: env.store, references: this.references, lifetimes, bytesMax: env.lineageBytesMax,
      again: (call) => this.submission.again(call), cancel: (task, options) => this.#cancellation.cancelTask(task, options, "was cancelled"),
    });
    this.access = new ObjectAccess({
      workerId: env.workerId, recover, serializer: this.serializer, code: this.code, store: env.store, node: nodeKeyOf(env.workerId), clock: env.clock, fetch: (entry) => this.#objects.fetch(entry),
      block: (reject, what) => this.#block(reject, what), hold: () => this.#life.hold(), isShutDown: () => this.#isShutDown, endedBy: () => this.#endedBy,
    });
    this.#objects = new ObjectServer({ workerId: env.workerId, references: this.references, code: this.code, lineage: this.#lineage, peer: (id) => this.peer(id), deathOf: (id) => this.#peers.deathOf(id) });
    this.#cancellation = new Cancellation({
      workerId: env.workerId, submission: this.submission, submitter: this.submitter, actors: this.actors, peer: (id) => this.peer(id), sendToNode: (message) => env.sendToNode(message), hold: () => this.#life.hold(),
      sharedEntry: (id) => this.references.entry(id), pendingTasks: () => this.pendingWork, cancelRebuilding: (entry, options) => this.#lineage.cancel(entry, options), giveUpRetry: (task) => this.#betweenRuns.giveUp(task), finished: (task, wasSent) => this.#finished(task, wasSent),
    });
    this.#receiver = new ResultReceiver({ references: this.references, store: env.store, submitter: this.submitter, retries: this.#retries, largeObjects, lineage: this.#lineage, lostArguments, callLost: (call, reason) => this.actors.callLost(call, reason), callNotRun: (call) => this.actors.callNotRun(call), finished: (task) => this.#finished(task, true) });
    this.#runs = new RunRecorder({ workerId: env.workerId, pid: env.pid, timeOriginMs: performance.timeOrigin, after: (delayMs, callback) => void env.clock.after(delayMs, callback), report: (report) => env.sendToNode({ type: "runsReported", surveyId: null, report }) });
    const retirement = new WorkerRetirement({ clock: env.clock, stopTakingTasks: () => this.#leave(), isNeeded: () => this.#isNeeded(), exit: (reason) => this.exit(reason) });
    this.#executor = new TaskExecutor({
      limitedCall: (callable) => retirement.called(callable), begunTable: (ownerId) => env.begunTable?.(ownerId) ?? null,
      serializer: this.serializer, encode, code: this.code, store: env.store, references: this.references, context: this.context, runs: this.#runs, workerId: env.workerId, pid: env.pid,
      nowMs: () => env.clock.nowMs(), after: (delayMs, callback) => void env.clock.after(delayMs, callback), emitLeaseEvent: (leaseId, event) => this.#leaseEvent(leaseId, event),
      notifyLeaseClosed: (peer, leaseId) => void peer.sendMessage({ type: "leaseClosed", leaseId }), actor: (actorId) => this.actorHost.instance(actorId), actorByNumber: (number) => this.actorHost.byNumber(number), useAccelerators: (ids) => env.useAccelerators(ids), terminateActor: (actor) => this.actorHost.terminate(actor), cancelChildren: (scopes) => this.#cancellation.cancelChildren(scopes), timedRuns: new TimedRuns(env),
    });
    this.actorHost = new ActorHost({ executor: this.#executor, code: this.code, serializer: this.serializer, references: this.references, context: this.context, runs: this.#runs, pid: env.pid, worker: env, exit: (reason) => this.exit(reason) });
    this.pendingWork = new PendingWork({ workerId: env.workerId, submission: this.submission, submitter: this.submitter, actors: this.actors, betweenRuns: this.#betweenRuns, peers: this.#peers, groups: this.groups, executor: this.#executor, actorHost: this.actorHost, running: this.context.running });
    this.#creation = new ActorCreation({
      workerId: env.workerId, random: env.random, exports: this.#exports, code: this.code, actors: this.actors, submission: this.submission, requests: this.requests,
      jobId: () => env.jobId, currentActor: () => this.currentActor(), sendToNodeSoon: (message) => env.sendToNodeSoon(message),
    });
    this.onRevive("objectRef", (descriptor) => this.references.reviveRef(descriptor as RuntimeDescriptor & { kind: "objectRef" }));
    this.onRevive("actorHandle", (descriptor) => this.actors.reviveHandle(descriptor as RuntimeDescriptor & { kind: "actorHandle" }));
  }

  // ------------------------------------------------------------------ objects

  get(refs: ObjectRef<unknown> | readonly ObjectRef<unknown>[], options?: GetOptions): Promise<unknown> {
    try {
      if (Array.isArray(refs)) return this.access.getMany(refs as readonly ObjectRef[], options, callSite(this.get));
      const ref = refs as ObjectRef;
      return this.access.getOne(ref, options, ObjectRef.needsSite(ref) ? callSite(this.get) : null);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  async wait<R extends ObjectRef<any> | RefGenerator<any>>(refs: readonly R[], options?: WaitOptions): Promise<[R[], R[]]> {
    return this.access.wait(refs, options);
  }

  /** Of the task or call that makes this object. */
  cancel(entry: ObjectEntry, options: CancelOptions): Promise<void> {
    return this.#cancellation.cancel(entry, options);
  }

  put(value: unknown): ObjectRef {
    return this.submission.put(value);
  }

  #describeRef(ref: ObjectRef, entry: ObjectEntry): RuntimeDescriptor {
    if (ObjectRef.isReleased(ref)) throw new SerializationError(`ObjectRef ${entry.id} was released with release() and cannot be passed on`);
    return this.references.shareRef(ref, entry);
  }

  // ------------------------------------------------------------------ tasks and actors

  unitIdOf(source: CodeSource): string {
    return this.#exports.unitIdOf(source);
  }

  callableOf(source: CodeSource, maxCalls: number): FunctionCallable {
    return this.#exports.callableOf(source, maxCalls);
  }

  callTask(template: TaskTemplate, args: unknown[]): unknown {
    return this.submission.task(template, args);
  }

  createActor(source: CodeSource, setting: ActorSetting, args: unknown[]): ActorHandleObject {
    return this.#creation.create(source, setting, args);
  }

  /** Set by the API, which knows the options' types. */
  checkMethodOptions: (options: unknown, label: string) => object = (options) => options as object;

  exitActor(): never {
    return this.actorHost.exitCurrent();
  }

  currentActor(): { spec: ActorSpec; wasRestarted: boolean; acceleratorIds: AcceleratorIds | null } | undefined {
    return this.actorHost.current();
  }

  /** The placement group that the running code is in; null for none. */
  currentBundle(): BundleRecord | null {
    return this.currentActor()?.spec.bundle ?? this.context.current()?.lease?.bundle ?? null;
  }

  /** The one that what the running code submits belongs to, unless it says otherwise. */
  get capturedGroup(): PlacementGroupId | null {
    const bundle = this.#captures ? this.currentBundle() : null;
    return bundle?.capturesChildren === true ? bundle.groupId : null;
  }

  #finished(task: PendingTask, wasSent: boolean): void {
    const isAwaited = !task.isDone;
    if (!isAwaited && !this.#cancellation.hasEnded(task)) return;
    task.isDone = true;
    if (task.pinnedIds !== null) this.references.unpin(task.pinnedIds);
    task.pinnedIds = null;
    if (task.queue === null && wasSent) this.actors.finished(task);
    if (isAwaited) this.submission.finished(task);
    else this.submission.left(task);
  }

  // ------------------------------------------------------------------ blocked tasks, and the process's life

  #block(reject: (reason: Error) => void, what: Awaited | null): () => void {
    const execution = this.context.current();
    return execution === undefined ? nothing : this.#executor.blocking.block(execution, reject, what);
  }

  #leaseEvent(leaseId: number, event: LeaseEvent): void {
    // Every event counts, even one that the next takes back: a slot that was given back cancels a revocation on both sides.
    if (this.#leaseEvents.push([leaseId, event]) === 1) afterThis(() => this.#sendLeaseEvents());
  }

  #sendLeaseEvents(): void {
    const events = this.#leaseEvents;
    this.#leaseEvents = [];
    if (events.length > 0) this.env.sendToNode({ type: "leaseEvents", events });
  }

  // ------------------------------------------------------------------ peers

  peer(workerId: WorkerId): Peer {
    return this.#peers.peer(workerId);
  }

  /** A channel to another worker is open; both sides may have asked for it, and it may have ended before this one opened. */
  peerConnected(workerId: WorkerId, channel: Channel, claims: { outgoing: Int32Array; incoming: Int32Array } | null): void {
    this.#peers.connected(workerId, channel, claims);
  }

  /** No channel to it could be opened. */
  peerNotConnected(workerId: WorkerId): void { this.#peers.notConnected(workerId); }

  #onPeerFrame(peer: Peer, frame: Uint8Array): void {
    const reader = this.#reader;
    switch (frame[0]) {
      case FRAME_TASKS:
        this.#taskReader.reset(frame);
        this.#taskReader.u8();
        return this.#executor.onTasks(peer, this.#taskReader);
      case FRAME_RESULTS:
        reader.reset(frame);
        reader.u8();
        return this.#receiver.onResults(peer, reader);
      case FRAME_MESSAGE:
        return this.#onPeerMessage(peer, unpackMessage(frame.subarray(1)) as PeerMessage);
      default:
        this.env.warn(`worker ${peer.workerId} sent a frame of unknown kind ${String(frame[0])}; ignored`);
    }
  }

  #onPeerMessage(peer: Peer, message: PeerMessage): void {
    switch (message.type) {
      case "code":
        return this.code.receive(message.units);
      case "bind": {
        const { target } = message;
        const callable = target.kind === "function" ? new IncomingFunction(target.unitId, target.name, target.maxCalls) : target.kind === "sharedMethod" ? new IncomingMethod(null, target.method, target.className, target.group) : new IncomingMethod(target.actorId, target.method, this.actorHost.instance(target.actorId)?.spec.className ?? "actor", target.group);
        peer.incomingCallables.set(message.callable, callable);
        return undefined;
      }
      case "askModules": return void this.#modules.asked(peer, message);
      case "modulesAnswered": return this.#modules.answered(message);
      case "fetch": return this.#objects.onFetch(peer, message);
      case "fetched": return this.#objects.onFetched(peer, message);
      case "addBorrower": return this.references.borrowerAdded(peer, message.ids, message.ackId);
      case "borrowerAdded": return this.references.confirmed(message.ackId);
      case "removeBorrower": return this.references.borrowerRemoved(peer.workerId, message.ids);
      case "releaseTransit": return this.references.releaseTransits(message.transits);
      case "streamConsumed": return this.#executor.streams.consumed(peer.workerId, message.taskSequence, message.count);
      case "streamClosed": return this.#executor.streams.closed(peer.workerId, message.taskSequence);
      case "leaving":
        peer.isLeaving = true;
        return undefined;
      case "turnGivenUp": return this.actorHost.turnGivenUp(peer.workerId, message.actorId, message.taskSequence);
      case "stopRuns":
        return this.#executor.stopper.stop(peer.workerId, message.actorId, message.taskSequences, message.isRecursive);
      case "cancel":
        return void this.#cancellation.requested(peer, message);
      case "cancelled": return this.#cancellation.answered(message);
      case "returnQueued": return this.#executor.returnQueued(message.leaseId);
      case "closeLease": return this.#executor.closeLease(peer, message.leaseId);
      case "leaseClosed": return this.submitter.leaseClosed(message.leaseId);
    }
  }

  // ------------------------------------------------------------------ the node manager's messages

  onNodeMessage(message: FromNode): void {
    switch (message.type) {
      case "leaseGranted": return this.submitter.leaseGranted(message.key, message.leaseId, message.workerId);
      case "leaseTaken": return this.submitter.leaseTaken(message.leaseId, message.workerId);
      case "leaseRefused": return this.submitter.leaseRefused(message.key, message.error);
      case "nameArguments": return this.submitter.nameArguments(message.key, message.count);
      case "leasesHeldUp": return this.submitter.leasesHeldUp(message.key, message.reason);
      case "objectMoved": return this.#lineage.moved(message.from, message.to);
      case "leaseOpened":
        this.#captures ||= message.bundle?.capturesChildren === true;
        return this.#executor.leaseOpened(message);
      case "endLease":
        return this.#executor.endLease(message.leaseId);
      case "slotGranted": return this.#executor.slotGranted(message.leaseId);
      case "runTimedOut":
        return this.#limited.timedOut(message.workerId, message.taskSequence);
      case "stopTimedOutRun":
        return this.#executor.stopper.timedOut(message.ownerId, message.taskSequence);
      case "revokeLease":
        return this.#executor.revokeLease(message.leaseId, message.onlyIdle);
      case "reportObjects":
        return this.#largeObjects.answer(message.limit, (report) => this.env.sendToNode({ type: "objectsReported", surveyId: message.surveyId, report }));
      case "reportRuns": return this.env.sendToNode({ type: "runsReported", surveyId: message.surveyId, report: this.#runs.take() });
      case "reportWaits": return this.env.sendToNode({ type: "waitsReported", surveyId: message.surveyId, waits: this.pendingWork.report(message.objectId) });
      case "drainOutput": return this.env.sendToNode({ type: "outputDrained", drainId: message.drainId });
      case "retire":
        if (this.#isNeeded()) return this.env.sendToNode({ type: "retireRefused" });
        this.#executor.leave(); // A task may be on its way.
        return this.exit("was idle and not needed any more");
      case "workerDied":
        return this.#peers.died(message.workerId, message.cause);
      case "startActor":
        this.#captures ||= message.spec.bundle?.capturesChildren === true;
        return this.actorHost.start(message.spec, 0, message.wasRestarted, message.acceleratorIds);
      case "startSharedActor": return this.actorHost.startShared(message, message.number, message.wasRestarted);
      case "endSharedActor": return this.actorHost.endShared(message.actorId, message.graceful, message.mayRestart, message.reason, message.endReason);
      case "moveActor": return this.actorHost.move(message.actorId);
      case "leaveNow": return this.exit(message.reason);
      case "ping": return this.env.sendToNode({ type: "pong" });
      case "actorState":
        return this.actors.stateChanged(message.state);
      case "whereIsActor":
        return this.actors.whereIs(message.actorId);
      case "endActor":
        return this.actorHost.end(message.reason);
      case "placementGroupState":
        return this.groups.changed(message);
      case "wherePlacementGroup":
        return this.groups.where(message.groupId);
      case "reply":
        return this.requests.replied(message.requestId, message.result, message.error === null ? null : systemErrorOf(message.error));
      case "log":
        return this.#onLog?.(message.record);
      case "storeCollect": return this.env.store.collectGarbage();
      case "startupFailed": return this.failEverything(`workers cannot be started: ${message.reason}`);
      case "warning": return this.env.warn(message.text);
      case "stuckElsewhere": return this.env.stuckElsewhere?.(message.keys);
      case "registered":
      case "jobAssigned":
      case "connectSocket":
      case "terminateWorker":
      case "noteWorkerEnd":
        // For whoever composes the process.
        return undefined;
    }
  }

  #workerLost(workerId: WorkerId, peer: Peer, death: WorkerDeath): void {
    if (death.isNodeLost === true) this.#lineage.nodeLost(workerId);
    this.submitter.workerLost(peer, death);
    this.actors.workerLost(peer, death);
    this.#executor.ownerLost(workerId);
    this.actorHost.ownerLost(workerId);
    this.#cancellation.workerLost(workerId);
    this.references.workerLost(workerId, death.reason);
    this.#objects.workerLost(workerId, death);
    this.#modules.workerLost(workerId);
  }

  // ------------------------------------------------------------------ the rest

  onLog(handler: (record: LogRecord) => void): void { this.#onLog = handler; }

  onRevive(kind: RuntimeDescriptor["kind"], reviver: Reviver): void {
    this.#revivers.set(kind, reviver);
  }

  #revive(descriptor: RuntimeDescriptor): object {
    const reviver = this.#revivers.get(descriptor.kind);
    if (reviver === undefined) throw new SerializationError(`a value holds a ${descriptor.kind}, which this process cannot rebuild`);
    return reviver(descriptor);
  }

  /** Everything that is still awaited ends with a typed error; nothing is sent any more. `endedBy`: why, unless the program wants it so; it follows "was called …". */
  shutDown(endedBy: string | null = null): void {
    this.#isShutDown = true;
    this.#endedBy ??= endedBy;
    this.#limited.close();
    this.#modules.shutDown();
    this.failEverything("the runtime was shut down before this was finished");
    this.#peers.close();
  }

  /** Something is awaited. */
  get isAwaiting(): boolean { return this.#life.isHeld; }

  /** Grows with everything that was ever awaited here. */
  get activity(): number { return this.#life.holdsMade; }

  failEverything(message: string): void {
    const error: SystemErrorRecord = { kind: "RuntimeStateError", message, subjectId: null };
    const failure = systemFailure(error);
    this.#lineage.failAll(failure);
    for (const task of [...this.submission.takeWaiting(), ...this.submitter.takeAll(), ...this.#betweenRuns.takeAll(), ...this.actors.takeWaiting(failure)]) settleFailed(task, failure);
    for (const peer of this.#peers) for (const task of peer.tasksInFlight()) if (task !== RECALLED) settleFailed(task, failure);
    this.#objects.failAll(failure);
    this.groups.failAll(systemErrorOf(error));
    this.requests.failAll(new RuntimeStateError(message));
  }

  /** What is ready leaves before the worker does. */
  flush(): void {
    this.#executor.flushResults();
    this.#sendLeaseEvents();
    const report = this.#runs.take();
    if (report !== null) this.env.sendToNode({ type: "runsReported", surveyId: null, report });
    for (const peer of this.#peers) peer.channel?.flush();
  }

  #isNeeded(): boolean {
    return this.#life.isHeld || this.context.running.size > 0 || this.references.ownsShared() || this.#peers.haveUndelivered;
  }

  /** What has come and was not started goes back, and so does what still comes. */
  #leave(): void {
    this.env.sendToNode({ type: "leaving" });
    this.#executor.leave();
  }

  exit(reason: string): void {
    this.flush();
    if (this.#executor.isLeaving) for (const peer of this.#peers) peer.sendMessage({ type: "leaving" });
    this.env.exit(reason);
  }
}

const nothing = (): void => undefined;
