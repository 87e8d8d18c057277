import { InvalidArgumentError, sequencedId, toQuantities } from "../base/mod.ts";
import type { Execution } from "../core-worker/mod.ts";
import type { RuntimeContext } from "./lifecycle-types.ts";
import { currentRuntime, type Runtime } from "./runtime.ts";
import type { ActorHandle, RuntimeEnv } from "./types.ts";

/** Where this code runs: the job, the worker, the task or actor, and what it was given. */
export function getRuntimeContext(): RuntimeContext {
  const runtime = currentRuntime();
  return new Context(runtime, runtime.core.context.current());
}

/** For what belongs to this worker and not to the task that happens to need it first: the calls that `body` makes are not cancelled with that task. */
export function outsideTask<T>(body: () => T): T {
  return currentRuntime().core.context.outside(body);
}

class Context implements RuntimeContext {
  readonly #runtime: Runtime;
  readonly #execution: Execution | undefined;

  constructor(runtime: Runtime, execution: Execution | undefined) {
    this.#runtime = runtime;
    this.#execution = execution;
  }

  get jobId(): string {
    return this.#runtime.core.env.jobId;
  }
  get nodeId(): string {
    return this.#runtime.core.env.nodeId;
  }
  get workerId(): string {
    return this.#runtime.core.env.workerId;
  }
  get taskId(): string | undefined {
    return this.#execution === undefined ? undefined : sequencedId(this.#execution.peer.workerId, this.#execution.sequence);
  }
  get taskName(): string | undefined {
    return this.#execution?.name;
  }
  get actorId(): string | undefined {
    return this.#runtime.core.currentActor()?.spec.actorId;
  }
  get actorName(): string | undefined {
    return this.#runtime.core.currentActor()?.spec.name ?? undefined;
  }
  get namespace(): string {
    return this.#runtime.namespace;
  }
  get placementGroupId(): string | undefined {
    return this.#runtime.core.currentBundle()?.groupId;
  }
  get assignedResources(): Record<string, number> {
    const actor = this.#runtime.core.currentActor();
    return toQuantities(actor?.spec.resources ?? this.#execution?.lease?.resources ?? {});
  }
  get acceleratorIds(): Record<string, string[]> {
    const actor = this.#runtime.core.currentActor();
    const ids = (actor === undefined ? this.#execution?.lease?.acceleratorIds : actor.acceleratorIds) ?? {};
    return { GPU: [], ...Object.fromEntries(Object.entries(ids).map(([name, given]) => [name, [...given]])) };
  }
  get nodeLabels(): Record<string, string> {
    return { ...this.#runtime.core.env.labels };
  }
  get runtimeEnv(): RuntimeEnv {
    return this.#runtime.environments.describe();
  }
  get address(): string {
    return this.#runtime.address;
  }
  get wasCurrentActorRestarted(): boolean {
    return this.#runtime.core.currentActor()?.wasRestarted ?? false;
  }
  get currentActor(): ActorHandle<any> {
    const actor = this.#runtime.core.currentActor();
    if (actor === undefined) throw new InvalidArgumentError("currentActor was asked for outside of an actor; it is there only in an actor's own methods");
    return this.#runtime.core.actors.ownHandle(actor.spec) as unknown as ActorHandle<any>;
  }
  get signal(): AbortSignal {
    return this.#execution?.ownScope.signal ?? neverAborted;
  }
}

const neverAborted = new AbortController().signal;
