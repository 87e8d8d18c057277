import { InvalidArgumentError, SerializationError } from "../base/mod.ts";
import { type ActorSetting, checkGroup, DESCRIBE, describe, isGeneratorFunction, limitsOf, retriedErrorsOf, returnsOf, travellingActorOptions, travellingMethods, travellingOptions, unconsumedMaxOf, type CodeSource, type CoreWorker, type RuntimeObject, type TaskTemplate } from "../core-worker/mod.ts";
import type { ActorMethods, RuntimeDescriptor } from "../protocol/mod.ts";
import { amountsOf, checkActorOptions, checkSharedActor, checkTaskOptions, maxCallsOf, workerKindFor } from "./options.ts";
import { bundleFor, reviveGroup, withGroupDescribed, withGroupRevived } from "./placement-groups.ts";
import { currentRuntime, type Runtime } from "./runtime.ts";
import { strategyOf } from "./strategy-options.ts";
import type { ActorClass, ActorOptions, Class, PlacementOptions, RemoteFunction, TaskOptions } from "./types.ts";

const TASK_RETRIES_DEFAULT = 3;

/** A function that runs elsewhere: one of this program, or one that arrived in a value. */
class RemoteFunctionObject implements RuntimeObject {
  readonly #source: FunctionSource;
  readonly #options: TaskOptions;
  #template: { readonly runtime: Runtime; readonly made: TaskTemplate } | null = null;
  /** Of calls that belong to the placement group of who makes them. */
  #captured: { readonly runtime: Runtime; readonly groupId: string; readonly made: TaskTemplate } | null = null;

  constructor(source: FunctionSource, options: TaskOptions) {
    this.#source = source;
    this.#options = options;
  }

  remote(...args: unknown[]): unknown {
    const runtime = currentRuntime();
    return runtime.core.callTask(this.#templateFor(runtime), args);
  }

  options(options: TaskOptions): RemoteFunctionObject {
    return new RemoteFunctionObject(this.#source, { ...this.#options, ...defined(checkTaskOptions(options, `task ${this.#source.name}()`)) });
  }

  /** Made once for each runtime: options are compiled, not looked at again by every call. */
  #templateFor(runtime: Runtime): TaskTemplate {
    const groupId = runtime.core.capturedGroup;
    if (groupId !== null) return this.#capturedTemplate(runtime, groupId);
    if (this.#template !== null && this.#template.runtime === runtime) return this.#template.made;
    const made = this.#newTemplate(runtime);
    this.#template = { runtime, made };
    return made;
  }

  #capturedTemplate(runtime: Runtime, groupId: string): TaskTemplate {
    if (this.#captured !== null && this.#captured.runtime === runtime && this.#captured.groupId === groupId) return this.#captured.made;
    const made = this.#newTemplate(runtime);
    this.#captured = { runtime, groupId, made };
    return made;
  }

  #newTemplate(runtime: Runtime): TaskTemplate {
    const options = this.#options;
    const label = `task ${this.#source.name}()`;
    const resources = amountsOf(options, 1);
    const { bundle, capacity } = bundleFor(options, resources, runtime, label);
    const shape = { resources, workerKind: workerKindFor(options, runtime, label), strategy: strategyOf(options, label), bundle, ...(options.maxRetries === 0 ? { runsOnce: true as const } : {}) };
    const returns = returnsOf(options.numReturns, this.#source.isGenerator);
    return {
      callable: runtime.core.callableOf(this.#source, maxCallsOf(options, shape.workerKind)),
      queue: bundle === null ? runtime.core.submission.queueFor(shape) : runtime.core.submission.queueFor(shape, capacity),
      displayName: options.name ?? null,
      returns,
      maxRetries: options.maxRetries ?? TASK_RETRIES_DEFAULT,
      retryExceptions: retriedErrorsOf(options.retryExceptions),
      unconsumedMax: unconsumedMaxOf(options.generatorBackpressure, returns, label),
      followsRules: false,
      priority: options.priority ?? 0,
      limits: limitsOf(options),
    };
  }

  [DESCRIBE](): RuntimeDescriptor {
    const { name, isGenerator } = this.#source;
    const { core } = currentRuntime();
    if (this.#options.signal !== undefined) throw new SerializationError(`task ${name}() has the option 'signal' and cannot be passed on: an AbortSignal stays in its program; pass the function without it, and give options({ signal }) where it is called`);
    return { kind: "remoteFunction", unitId: core.unitIdOf(this.#source), name, isGenerator, options: travellingOptions(portable(this.#options), core.serializer) };
  }
}

/** A class whose instances are actors: one of this program, or one that arrived in a value. */
class ActorClassObject implements RuntimeObject {
  readonly #source: ClassSource;
  readonly #options: ActorOptions;
  #setting: { readonly runtime: Runtime; readonly groupId: string | null; readonly made: ActorSetting } | null = null;

  constructor(source: ClassSource, options: ActorOptions) {
    checkSharedActor(options, `actor class ${source.name}`);
    this.#source = source;
    this.#options = options;
  }

  remote(...args: unknown[]): unknown {
    const runtime = currentRuntime();
    return runtime.core.createActor(this.#source, this.#settingFor(runtime), args);
  }

  /** Made once for each runtime: what a hundred thousand actors have in common is the same object. */
  #settingFor(runtime: Runtime): ActorSetting {
    const groupId = this.#options.isolation === "shared" ? null : runtime.core.capturedGroup;
    if (this.#setting !== null && this.#setting.runtime === runtime && this.#setting.groupId === groupId) return this.#setting.made;
    const options = this.#options;
    const resources = amountsOf(options, 0);
    const label = `actor class ${this.#source.name}`;
    const made: ActorSetting = {
      className: this.#source.name,
      methods: travellingMethods(withOptions(this.#source, options), runtime.core.serializer),
      rules: {
        maxTaskRetries: options.maxTaskRetries ?? 0, maxPendingCalls: options.maxPendingCalls ?? -1, groups: options.concurrencyGroups ?? {},
        allowsOvertaking: options.allowOutOfOrderExecution ?? false,
      },
      name: options.name ?? null,
      namespace: options.namespace ?? runtime.namespace,
      isDetached: options.lifetime === "detached",
      getIfExists: options.getIfExists ?? false,
      maxRestarts: options.maxRestarts ?? 0,
      maxConcurrency: options.maxConcurrency ?? null,
      resources,
      workerKind: workerKindFor(options, runtime, label),
      strategy: strategyOf(options, label),
      bundle: options.isolation === "shared" ? null : bundleFor(options, resources, runtime, label).bundle,
      isShared: options.isolation === "shared",
    };
    this.#setting = { runtime, groupId, made };
    return made;
  }

  options(options: ActorOptions): ActorClassObject {
    return new ActorClassObject(this.#source, { ...this.#options, ...defined(checkActorOptions(options, `actor class ${this.#source.name}`)) });
  }

  [DESCRIBE](): RuntimeDescriptor {
    const { name, methods } = this.#source;
    const { core } = currentRuntime();
    return { kind: "actorClass", unitId: core.unitIdOf(this.#source), name, methods, options: travellingActorOptions(portable(this.#options), core.serializer) };
  }
}

interface ClassSource extends CodeSource {
  readonly methods: ActorMethods;
}
type FunctionSource = CodeSource & { readonly isGenerator: boolean };

/** An option that is given as undefined leaves what was set before. */
function defined<O extends object>(options: O): O {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as O;
}

/** As they mean the same in every worker. */
function portable<O extends PlacementOptions>(given: O): O {
  const options = withGroupDescribed(given);
  return options.runtimeEnv === undefined ? options : { ...options, runtimeEnv: currentRuntime().environments.portable(options.runtimeEnv) };
}

function nameOf(fn: Function): string {
  return fn.name === "" ? "anonymous" : fn.name;
}

/** The public methods of a class and of those that it extends. */
function methodsOf(type: Class): ActorMethods {
  const methods: Record<string, { isGenerator: boolean; options: object | null }> = {};
  for (let prototype = type.prototype as object | null; prototype !== null && prototype !== Object.prototype; prototype = Object.getPrototypeOf(prototype) as object | null) {
    for (const [name, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === "constructor" || typeof descriptor.value !== "function" || Object.hasOwn(methods, name)) continue;
      const isGenerator = isGeneratorFunction(descriptor.value as Function);
      methods[name] = { isGenerator, options: isGenerator ? { numReturns: "streaming" } : null };
    }
  }
  return methods;
}

function withOptions(source: ClassSource, { methods: options = {}, concurrencyGroups = {} }: ActorOptions): ActorMethods {
  const methods = { ...source.methods };
  for (const [name, given] of Object.entries(options)) {
    const method = methods[name];
    if (given.concurrencyGroup !== undefined) checkGroup(given.concurrencyGroup, concurrencyGroups, `${source.name}.${name}`);
    if (method === undefined) throw new InvalidArgumentError(`option 'methods' names '${name}', but class ${source.name} has no such method (methods: ${Object.keys(methods).join(", ")})`);
    methods[name] = { ...method, options: { ...method.options, ...given } };
  }
  return methods;
}

const isClass = (fn: Function): boolean => /^class\b/.test(Function.prototype.toString.call(fn));

/**
 * Turns a class into an actor class, or a function into a task. Works on any function or class, wherever it is declared:
 * what it captures travels with it, as it is at the first call.
 *
 * @throws InvalidArgumentError for anything else, and for unknown or wrong options.
 */
export function remote<C extends Class>(cls: C, options?: ActorOptions): ActorClass<C>;
export function remote<A extends readonly any[], R>(fn: (...args: A) => R, options?: TaskOptions): RemoteFunction<A, R>;
export function remote(target: unknown, options: object = {}): unknown {
  if (typeof target !== "function") throw new InvalidArgumentError(`remote() takes a function or a class, but got ${describe(target)}`);
  const name = nameOf(target);
  if (isClass(target)) return new ActorClassObject({ fn: target, unitId: null, name, methods: methodsOf(target as Class) }, defined(checkActorOptions(options, `actor class ${name}`)));
  return new RemoteFunctionObject({ fn: target, unitId: null, name, isGenerator: isGeneratorFunction(target) }, defined(checkTaskOptions(options, `task ${name}()`)));
}

/** Remote functions and actor classes inside values become usable in the worker that receives them. */
export function installRevivers(core: CoreWorker): void {
  core.onRevive("remoteFunction", (descriptor) => {
    const { unitId, name, isGenerator, options } = descriptor as RuntimeDescriptor & { kind: "remoteFunction" };
    return new RemoteFunctionObject({ fn: null, unitId, name, isGenerator }, withGroupRevived(options));
  });
  core.onRevive("actorClass", (descriptor) => {
    const { unitId, name, methods, options } = descriptor as RuntimeDescriptor & { kind: "actorClass" };
    return new ActorClassObject({ fn: null, unitId, name, methods }, withGroupRevived(options));
  });
  core.onRevive("placementGroup", (descriptor) => reviveGroup(descriptor as RuntimeDescriptor & { kind: "placementGroup" }));
}
