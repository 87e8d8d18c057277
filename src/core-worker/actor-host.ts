import type { AcceleratorIds, ActorId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import { InvalidArgumentError } from "../base/mod.ts";
import { RUN_IS_CREATION, type ActorSpec, type TaskErrorRecord, type ToNode } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";
import { ActorInstance } from "./actor-instance.ts";
import type { CodeLoader } from "./code-loader.ts";
import type { ExecutionContext } from "./execution-context.ts";
import type { References } from "./references.ts";
import type { RunRecorder } from "./run-recorder.ts";
import type { TaskExecutor } from "./task-executor.ts";
import { ActorExit, recordOfThrown } from "./thrown-error.ts";

export interface ActorHostEnvironment {
  readonly executor: TaskExecutor;
  readonly code: CodeLoader;
  readonly serializer: Serializer;
  readonly references: References;
  readonly context: ExecutionContext;
  readonly runs: RunRecorder;
  readonly pid: number;
  useAccelerators(ids: AcceleratorIds | null): void;
  sendToNode(message: ToNode): void;
  exit(reason: string): void;
}

/** The actor that lives in this worker: its construction and its end. */
export class ActorHost {
  readonly #env: ActorHostEnvironment;
  readonly #instances = new Map<ActorId, ActorInstance>();
  #isEnding = false;

  constructor(environment: ActorHostEnvironment) {
    this.#env = environment;
  }

  instance(actorId: ActorId): ActorInstance | undefined {
    return this.#instances.get(actorId);
  }

  current(): { spec: ActorSpec; wasRestarted: boolean; acceleratorIds: AcceleratorIds | null } | undefined {
    for (const instance of this.#instances.values()) return instance;
    return undefined;
  }

  start(spec: ActorSpec, wasRestarted: boolean, acceleratorIds: AcceleratorIds | null): void {
    this.#env.useAccelerators(acceleratorIds);
    const instance = new ActorInstance(spec, wasRestarted, acceleratorIds, (execution) => this.#env.executor.start(execution));
    this.#instances.set(spec.actorId, instance);
    void this.#construct(instance).then(
      () => this.#env.sendToNode({ type: "actorStarted", actorId: spec.actorId, error: null }),
      (error: unknown) => this.#env.sendToNode({ type: "actorStarted", actorId: spec.actorId, error: this.#creationError(spec, error) }),
    );
  }

  async #construct(instance: ActorInstance): Promise<void> {
    const { spec } = instance;
    const startedMs = performance.now();
    this.#env.code.receive(spec.units);
    const loading = this.#env.code.ensureLoaded([spec.unitId, ...spec.args.flatMap((arg) => arg.code)]);
    if (loading !== undefined) await loading;
    const Class = this.#env.serializer.resolveCode(spec.unitId) as unknown as new (...args: unknown[]) => object;
    const confirmations: Promise<void>[] = [];
    const args = spec.args.map((arg) => {
      const { value, confirmed } = this.#env.references.decodeFrom(arg, spec.ownerId);
      if (confirmed !== undefined) confirmations.push(confirmed);
      return value;
    });
    const calledMs = performance.now();
    try {
      instance.constructed(new Class(...args));
    } finally {
      this.#env.runs.add(`new ${spec.className}`, spec.ownerId, 0, RUN_IS_CREATION, startedMs, calledMs, performance.now(), 0);
    }
    if (confirmations.length > 0) await Promise.all(confirmations);
    // The creator learns of the end of construction through the GCS, not on the channel to us: make sure that it has
    // counted us as a holder of the arguments before.
    await this.#env.references.allConfirmed();
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
    const record: SystemErrorRecord = { kind: "ActorDiedError", message: `actor ${instance.spec.className} (${instance.actorId}) ended itself with exitActor()`, subjectId: instance.actorId };
    const reason = "it ended itself with exitActor()";
    this.#env.sendToNode({ type: "actorExiting", actorId: instance.actorId, reason });
    instance.stopTakingCalls();
    // The call's own reply must leave first.
    setImmediate(() => this.#finish(instance, reason));
    throw new ActorExit(record);
  }

  /** After the calls that have arrived. */
  end(reason: string): void {
    const [instance] = this.#instances.values();
    if (instance === undefined) return this.#env.exit(`was ended: ${reason}`);
    instance.whenDrained(() => this.#finish(instance, reason));
  }

  /** `handle.terminate()`: a call that has started after all those before it; ends when they have. */
  async terminate(instance: ActorInstance): Promise<void> {
    const reason = "it was ended with terminate()";
    this.#env.sendToNode({ type: "actorExiting", actorId: instance.actorId, reason });
    await instance.othersEnded();
    instance.whenDrained(() => this.#finish(instance, reason));
  }

  #finish(instance: ActorInstance, reason: string): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const record: SystemErrorRecord = { kind: "ActorDiedError", message: `actor ${instance.spec.className} (${instance.actorId}) is dead: ${reason}`, subjectId: instance.actorId };
    for (const execution of instance.takeWaiting()) this.#env.executor.fail(execution, { kind: "systemError", error: record });
    instance.end = record;
    this.#env.exit(`was ended: ${reason}`);
  }
}
