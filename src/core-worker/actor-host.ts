import { AsyncLocalStorage } from "node:async_hooks";
import { forgetOldest, InvalidArgumentError, type AcceleratorIds, type ActorEndReason, type ActorId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { type ActorParts, type ActorSpec, RecentTemplates, RUN_IS_CREATION, specFrom, type TaskErrorRecord, type ToNode } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";
import { isEncoded } from "./actor-creation.ts";
import { ActorInstance, type CallRunner, isAsyncType } from "./actor-instance.ts";
import { rehearsal } from "./actor-rehearsal.ts";
import type { CodeLoader } from "./code-loader.ts";
import type { CoreWorkerEnvironment } from "./core-worker-environment.ts";
import type { Execution } from "./execution.ts";
import type { ExecutionContext } from "./execution-context.ts";
import type { References } from "./references.ts";
import type { RunRecorder } from "./run-recorder.ts";
import type { TaskExecutor } from "./task-executor.ts";
import { ActorExit, recordOfThrown } from "./thrown-error.ts";

/** Shared actors that have ended here, so that late calls learn why. */
const ENDED_REMEMBERED_MAX = 10_000;

type ActorConstructor = new (...args: unknown[]) => object;

export interface ActorHostEnvironment {
  readonly executor: TaskExecutor;
  readonly code: CodeLoader;
  readonly serializer: Serializer;
  readonly references: References;
  readonly context: ExecutionContext;
  readonly runs: RunRecorder;
  readonly pid: number;
  readonly worker: Pick<CoreWorkerEnvironment, "sendToNode" | "sendToNodeSoon" | "flushToNode">;
  exit(reason: string): void;
}

/**
 * The actors that live in this worker: their construction and their end. One that has the worker for itself ends it with
 * itself; shared ones come and go.
 */
export class ActorHost {
  readonly #env: ActorHostEnvironment;
  readonly #instances = new Map<ActorId, ActorInstance>();
  /** Shared ones, also those that have ended. */
  readonly #byNumber = new Map<number, ActorInstance>();
  readonly #endedNumbers = new Set<number>();
  readonly #templates = new RecentTemplates((template) => ({ ...template, units: [] }));
  readonly #sharedRunner: CallRunner;
  /** What was rehearsed, held for its shapes. */
  readonly #rehearsed: object[] = [];
  #constructing: ActorInstance | null = null;
  /** What asynchronous work that a constructor has started belongs to. */
  #constructed: AsyncLocalStorage<ActorInstance> | null = null;
  /** Where the node manager finds the number of the actor that this thread is in. */
  #running: Int32Array | null = null;

  constructor(environment: ActorHostEnvironment) {
    this.#env = environment;
    this.#sharedRunner = { start: (execution) => this.#startShared(execution), get lastRunMs() { return environment.executor.lastRunMs; } };
  }

  instance(actorId: ActorId): ActorInstance | undefined {
    return this.#instances.get(actorId);
  }

  /** Calls that have arrived and not started. */
  *waiting(): Iterable<Execution> {
    for (const instance of this.#instances.values()) yield* instance.waiting();
  }

  byNumber(number: number): ActorInstance | undefined {
    if (number !== 0) return this.#byNumber.get(number);
    // A handle that was made for a shared actor stands for one that has its worker for itself (getIfExists).
    for (const instance of this.#instances.values()) return instance;
    return undefined;
  }

  tellRunning(running: Int32Array): void {
    this.#running = running;
  }

  /** The actor that the running code is of. Unknown for callbacks that have lost their context, if others live here too. */
  current(): ActorInstance | undefined {
    if (this.#byNumber.size === 0) return this.byNumber(0);
    if (this.#constructing !== null) return this.#constructing;
    return (this.#env.context.current()?.actor as ActorInstance | null | undefined) ?? this.#constructed?.getStore();
  }

  // ------------------------------------------------------------------ the beginning

  /** Starts an actor beside the real ones, without a trace: V8 compiles the code for it then, and the first real one need not wait for that. */
  rehearse(): void {
    const { executor, worker, pid } = this.#env;
    const { stage, message } = rehearsal(pid, worker);
    this.#rehearsed.push(message);
    new ActorHost({ ...this.#env, ...stage }).start(message.spec, 0, false, executor.acceleratorIds);
  }

  startShared(parts: ActorParts, number: number, wasRestarted: boolean): void {
    this.#env.code.receive(parts.template.units);
    this.start(specFrom(this.#templates.same(parts.template), parts.actorId, parts.args), number, wasRestarted, null);
  }

  start(spec: ActorSpec, number: number, wasRestarted: boolean, acceleratorIds: AcceleratorIds | null): void {
    if (this.#instances.has(spec.actorId)) return;
    if (number === 0) this.#env.executor.useAccelerators(acceleratorIds);
    const instance = new ActorInstance(number === 0 ? spec : specFrom(Object.getPrototypeOf(spec) as ActorSpec, spec.actorId, []), number, wasRestarted, acceleratorIds, number === 0 ? this.#env.executor : this.#sharedRunner);
    this.#instances.set(spec.actorId, instance);
    if (number !== 0) this.#byNumber.set(number, instance);
    try {
      const constructing = this.#construct(instance, spec);
      if (constructing === undefined) this.#started(instance);
      else constructing.then(() => this.#started(instance), (error: unknown) => this.#failed(instance, error));
    } catch (error) {
      this.#failed(instance, error);
    }
  }

  /** Undefined if it is done. */
  #construct(instance: ActorInstance, spec: ActorSpec): Promise<void> | undefined {
    const { code } = this.#env;
    const startedMs = performance.now();
    code.receive(spec.units);
    const loading = code.ensureLoaded([spec.unitId, ...spec.args.flatMap((arg) => (isEncoded(arg) ? arg.code : []))]);
    return loading === undefined ? this.#make(instance, spec, startedMs) : loading.then(() => this.#make(instance, spec, startedMs));
  }

  #make(instance: ActorInstance, spec: ActorSpec, startedMs: number): Promise<void> | undefined {
    if (instance.end !== null) return undefined;
    const { references, serializer } = this.#env;
    const Class = serializer.resolveCode(spec.unitId) as unknown as ActorConstructor;
    const confirmations: Promise<void>[] = [];
    const args = spec.args.map((arg) => {
      if (!isEncoded(arg)) return arg;
      const { value, confirmed } = references.decodeFrom(arg, spec.ownerId);
      if (confirmed !== undefined) confirmations.push(confirmed);
      return value;
    });
    const calledMs = performance.now();
    try {
      instance.constructed(instance.number === 0 ? new Class(...args) : this.#runConstructor(instance, Class, args));
    } finally {
      this.#env.runs.add(`new ${spec.className}`, spec.ownerId, 0, RUN_IS_CREATION, startedMs, calledMs, performance.now(), 0);
    }
    // The creator learns of the end of construction through the GCS, not on the channel to us: make sure that it has
    // counted us as a holder of the arguments before.
    if (confirmations.length === 0 && references.isAllConfirmed) return undefined;
    return Promise.all(confirmations).then(() => references.allConfirmed());
  }

  #runConstructor(instance: ActorInstance, Class: ActorConstructor, args: unknown[]): object {
    const outer = this.#constructing;
    this.#constructing = instance;
    if (this.#running !== null) this.#running[0] = instance.number;
    try {
      if (!isAsyncType(Class.prototype as object)) return new Class(...args);
      return (this.#constructed ??= new AsyncLocalStorage()).run(instance, () => new Class(...args));
    } finally {
      this.#constructing = outer;
      if (this.#running !== null) this.#running[0] = 0;
    }
  }

  #startShared(execution: Execution): Promise<void> | undefined {
    if (this.#running === null) return this.#env.executor.start(execution);
    this.#running[0] = (execution.actor as ActorInstance).number;
    try {
      return this.#env.executor.start(execution);
    } finally {
      this.#running[0] = 0;
    }
  }

  #started(instance: ActorInstance): void {
    if (instance.end !== null) return;
    const started: ToNode = { type: "actorStarted", actorId: instance.actorId, error: null };
    if (instance.number !== 0) return this.#env.worker.sendToNodeSoon(started);
    // Nothing else will come to go along with it, and a microtask takes longer than the constructor in a thread that was idle.
    this.#env.worker.sendToNode(started);
    this.#env.worker.flushToNode();
  }

  #failed(instance: ActorInstance, thrown: unknown): void {
    if (instance.end !== null) return;
    const { spec } = instance;
    const error = this.#creationError(spec, thrown);
    this.#env.worker.sendToNodeSoon({ type: "actorStarted", actorId: spec.actorId, error });
    if (instance.number !== 0) this.#remove(instance, "its constructor threw", "constructorThrew");
  }

  #creationError(spec: ActorSpec, thrown: unknown): TaskErrorRecord {
    const call = { functionName: `new ${spec.className}`, taskId: spec.actorId, pid: this.#env.pid, label: `the error thrown by the constructor of ${spec.className}` };
    return recordOfThrown(thrown, call, (value, label) => this.#env.serializer.encode(value, label));
  }

  turnGivenUp(ownerId: WorkerId, actorId: ActorId, taskSequence: number): void {
    this.#instances.get(actorId)?.turnGivenUp(ownerId, taskSequence);
  }

  ownerLost(ownerId: WorkerId): void {
    for (const instance of this.#instances.values()) instance.ownerLost(ownerId);
  }

  // ------------------------------------------------------------------ the end

  /** Inside a method: leaves it, and ends the actor without the calls that wait. */
  exitCurrent(): never {
    const instance = this.#instances.get(this.#env.context.current()?.actor?.actorId ?? "");
    if (instance === undefined) throw new InvalidArgumentError("exitActor() was called outside of an actor's method; call it inside one, or use kill(handle)");
    const record: SystemErrorRecord = { kind: "ActorDiedError", message: `actor ${instance.spec.className} (${instance.actorId}) ended itself with exitActor()`, subjectId: instance.actorId, reason: "exited" };
    const reason = "it ended itself with exitActor()";
    this.#env.worker.sendToNode({ type: "actorExiting", actorId: instance.actorId, reason });
    instance.stopTakingCalls();
    // The call's own reply must leave first.
    setImmediate(() => this.#finish(instance, reason, "exited"));
    throw new ActorExit(record);
  }

  /** Of the actor that has this worker for itself and no handle any more, after the calls that have arrived. */
  end(reason: string): void {
    const instance = this.byNumber(0);
    if (instance === undefined) return this.#env.exit(`was ended: ${reason}`);
    instance.whenDrained(() => this.#finish(instance, reason, "outOfScope"));
  }

  /** Of one of several, after the calls that have arrived if `graceful`. */
  endShared(actorId: ActorId, graceful: boolean, mayRestart: boolean, reason: string, endReason: ActorEndReason): void {
    const instance = this.#instances.get(actorId);
    if (instance === undefined) this.#env.worker.sendToNodeSoon({ type: "actorEnded", actorId, reason });
    else if (graceful) instance.whenDrained(() => this.#finish(instance, reason, endReason));
    else this.#finish(instance, reason, endReason, mayRestart);
  }

  /** To another node: the calls that have begun end here, all others have not run and go there. */
  move(actorId: ActorId): void {
    const instance = this.#instances.get(actorId);
    if (instance === undefined || instance.isMoving) return;
    instance.isMoving = true;
    for (const execution of instance.removeWaiting(() => true)) this.#env.executor.reject(execution);
    this.#env.executor.flushResults();
    instance.whenDrained(() => {
      // What is still on its way to this worker has not run either.
      if (instance.number === 0) this.#env.executor.leave();
      this.#finish(instance, "it moves to another node, as this one is to end", "unknown", true);
    });
  }

  /** `handle.terminate()`: a call that has started after all those before it; ends when they have. */
  async terminate(instance: ActorInstance): Promise<void> {
    const reason = "it was ended with terminate()";
    this.#env.worker.sendToNode({ type: "actorExiting", actorId: instance.actorId, reason });
    await instance.othersEnded();
    instance.whenDrained(() => this.#finish(instance, reason, "exited"));
  }

  #finish(instance: ActorInstance, reason: string, endReason: ActorEndReason, mayRestart = false): void {
    if (instance.end !== null) return;
    if (instance.number !== 0) return this.#remove(instance, reason, endReason, mayRestart);
    this.#failWaiting(instance, reason, endReason);
    this.#env.exit(`was ended: ${reason}`);
  }

  #failWaiting(instance: ActorInstance, reason: string, endReason: ActorEndReason, mayRestart = false): void {
    const message = mayRestart ? reason : `actor ${instance.spec.className} (${instance.actorId}) is dead: ${reason}`;
    const record: SystemErrorRecord = { kind: "ActorDiedError", message, subjectId: instance.actorId, reason: endReason };
    for (const execution of instance.takeWaiting()) this.#env.executor.endedUnder(execution, record, mayRestart);
    instance.end = record;
    instance.mayRestart = mayRestart;
  }

  /** A shared actor goes, its worker stays: calls that are running are answered, as they would be if the worker ended. */
  #remove(instance: ActorInstance, reason: string, endReason: ActorEndReason, mayRestart = false): void {
    const { executor, context } = this.#env;
    this.#failWaiting(instance, reason, endReason, mayRestart);
    for (const execution of context.running) if (execution.actor === instance) executor.abandon(execution, instance.end as SystemErrorRecord, mayRestart);
    instance.release();
    this.#instances.delete(instance.actorId);
    this.#endedNumbers.add(instance.number);
    if (this.#endedNumbers.size > ENDED_REMEMBERED_MAX) for (const oldest of this.#endedNumbers) { this.#byNumber.delete(oldest); break; }
    forgetOldest(this.#endedNumbers, ENDED_REMEMBERED_MAX);
    this.#env.worker.sendToNodeSoon({ type: "actorEnded", actorId: instance.actorId, reason });
  }
}
