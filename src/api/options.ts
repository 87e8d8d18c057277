import { InvalidArgumentError, type ResourceAmounts, toAmounts } from "../base/mod.ts";
import { type WorkerKind, workerKindOf } from "../protocol/mod.ts";
import { checkNodeLabels, whyNoResourceName } from "../scheduling/mod.ts";
import { aBoolean, aTimeLimitMs, aLimit, aLimitFromOne, aGpuAmount, anAmount, anyObject, anything, aSignal, aString, bytes, type Check, checkOptions, either, oneOf, recordOf, wholeNumber } from "./option-checks.ts";
import type { InitOptions } from "./lifecycle-types.ts";
import type { Runtime } from "./runtime.ts";
import { checkRuntimeEnv } from "./runtime-env-options.ts";
import { aSelector, checkStrategy } from "./strategy-options.ts";
import type { ActorOptions, MethodOptions, PlacementOptions, TaskOptions } from "./types.ts";

const errorClasses: Check = (value) => (Array.isArray(value) && value.every((item) => typeof item === "function") ? undefined : "an array of error classes");
const returns: Check = either(wholeNumber(0), oneOf("streaming"));

const PLACEMENT: Readonly<Record<string, Check>> = {
  numCpus: anAmount, numGpus: aGpuAmount, memory: bytes, resources: recordOf(anAmount), labelSelector: aSelector,
  schedulingStrategy: either(oneOf("DEFAULT", "SPREAD"), anyObject), runtimeEnv: anyObject,
};
const TASK: Readonly<Record<string, Check>> = {
  ...PLACEMENT, isolation: oneOf("thread", "process"), name: aString, numReturns: returns, maxRetries: aLimit,
  retryExceptions: either(aBoolean, errorClasses), maxCalls: wholeNumber(0), generatorBackpressure: aLimitFromOne,
  priority: (value) => (typeof value === "number" && Number.isFinite(value) ? undefined : "a number"), signal: aSignal, timeoutMs: aTimeLimitMs,
};
const METHOD: Readonly<Record<string, Check>> = {
  name: aString, numReturns: returns, maxTaskRetries: aLimit, retryExceptions: either(aBoolean, errorClasses), concurrencyGroup: aString,
  generatorBackpressure: aLimitFromOne, signal: aSignal, timeoutMs: aTimeLimitMs,
};
const ACTOR: Readonly<Record<string, Check>> = {
  ...PLACEMENT, isolation: oneOf("thread", "process", "shared"), name: aString, namespace: aString, lifetime: oneOf("detached"), getIfExists: aBoolean,
  maxRestarts: aLimit, maxTaskRetries: aLimit, maxConcurrency: wholeNumber(1), concurrencyGroups: recordOf(wholeNumber(1)),
  maxPendingCalls: aLimitFromOne, allowOutOfOrderExecution: aBoolean, methods: recordOf(anyObject), persistence: anything,
};
const INIT: Readonly<Record<string, Check>> = {
  address: aString, numCpus: anAmount, numGpus: wholeNumber(0), memory: bytes, objectStoreMemory: bytes, objectSpillingDirectory: aString,
  resources: recordOf(anAmount), labels: recordOf(aString), namespace: aString, runtimeEnv: anyObject, isolation: oneOf("thread", "process"),
  includeDashboard: aBoolean, dashboardHost: aString, dashboardPort: wholeNumber(0), ignoreReinitError: aBoolean, logToDriver: aBoolean,
  logLevel: oneOf("debug", "info", "warn", "error", "silent"),
};

/**
 * Options of the contract that this version checks but cannot honour yet. They are refused: an option that is accepted and
 * ignored would be a silent lie. Beside each, the default, which may be given.
 */
const NOT_YET: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["persistence", undefined],
]);

function check(options: unknown, allowed: Readonly<Record<string, Check>>, label: string): void {
  checkOptions(options, allowed, label);
  const given = options as PlacementOptions;
  if (given.runtimeEnv !== undefined) checkRuntimeEnv(given.runtimeEnv, label);
  checkStrategy(given, label);
  for (const [name, value] of Object.entries(options as object)) {
    if (value !== undefined && NOT_YET.has(name) && value !== NOT_YET.get(name)) throw new InvalidArgumentError(`option '${name}' of ${label} is not supported by this version of mantaray yet; leave it out`);
  }
}

export function checkTaskOptions(options: unknown, label: string): TaskOptions {
  check(options, TASK, label);
  const given = options as TaskOptions;
  checkResourceNames(given, label);
  return given;
}

export function checkMethodOptions(options: unknown, label: string): MethodOptions {
  check(options, METHOD, label);
  return options as MethodOptions;
}

export function checkActorOptions(options: unknown, label: string): ActorOptions {
  check(options, ACTOR, label);
  const given = options as ActorOptions;
  checkResourceNames(given, label);
  if (given.getIfExists === true && given.name === undefined) throw new InvalidArgumentError(`option 'getIfExists' of ${label} needs a 'name' to look for`);
  for (const [method, methodOptions] of Object.entries(given.methods ?? {})) checkOptionsOfClass(methodOptions, `${label}, method '${method}'`);
  return given;
}

export function checkInitOptions(options: InitOptions): void {
  checkOptions(options, INIT, "init()");
  if (options.runtimeEnv !== undefined) checkRuntimeEnv(options.runtimeEnv, "init()");
  checkResourceNames(options, "init()");
  if (options.labels !== undefined) checkNodeLabels(options.labels, "option 'labels' of init()");
}

/** A shared actor has no worker of its own that anything could be given to. */
export function checkSharedActor(options: ActorOptions, label: string): void {
  if (options.isolation !== "shared") return;
  const { schedulingStrategy } = options;
  if (typeof schedulingStrategy === "object" && schedulingStrategy.type === "placementGroup" && schedulingStrategy.placementGroup !== null) throw new InvalidArgumentError(`${label} has isolation 'shared' and a placement group; shared actors take no resources, so there is nothing for it to take there: leave it out, or give the actor a worker of its own (isolation: 'thread' or 'process')`);
  const given = Object.keys(amountsOf(options, 0));
  if (given.length > 0) throw new InvalidArgumentError(`${label} has isolation 'shared' and asks for ${given.join(", ")}; shared actors take no resources: leave them out, or give the actor a worker of its own (isolation: 'thread' or 'process')`);
}

function checkOptionsOfClass(options: MethodOptions, label: string): void {
  if (checkMethodOptions(options, label).signal !== undefined) throw new InvalidArgumentError(`option 'signal' of ${label} is for single calls, since it stays in its program; give it with handle.method.options({ signal })`);
}

function checkResourceNames(options: Pick<PlacementOptions, "resources">, label: string): void {
  for (const name of Object.keys(options.resources ?? {})) {
    const wrong = whyNoResourceName(name);
    if (wrong !== null) throw new InvalidArgumentError(`'resources' of ${label}: ${wrong}`);
  }
  for (const [reserved, option] of [["CPU", "numCpus"], ["GPU", "numGpus"], ["memory", "memory"]] as const) {
    if (options.resources !== undefined && Object.hasOwn(options.resources, reserved)) {
      throw new InvalidArgumentError(`'${reserved}' cannot be given in 'resources' of ${label}; use the option '${option}'`);
    }
  }
}

/** Tasks take one processor unless they say otherwise; actors take nothing. */
export function amountsOf(options: PlacementOptions, cpusByDefault: number): ResourceAmounts {
  return toAmounts({ ...options.resources, CPU: options.numCpus ?? cpusByDefault, GPU: options.numGpus ?? 0, memory: options.memory ?? 0 });
}

/** What a task or actor with these options needs of its worker. */
export function workerKindFor({ isolation, runtimeEnv, memory = 0 }: PlacementOptions, { isolation: byDefault, environments }: Runtime, label: string): WorkerKind {
  const environment = environments.resolve(runtimeEnv);
  const needsProcess = (environment?.workingDir ?? null) !== null;
  if (needsProcess && isolation !== undefined && isolation !== "process") {
    throw new InvalidArgumentError(`${label} has isolation '${isolation}' and, in its runtimeEnv or inherited, a workingDir: threads of one process cannot be in different folders; leave 'isolation' out, or use 'process'`);
  }
  return workerKindOf(isolation === "process" || isolation === "thread" ? isolation : byDefault, environment, memory === 0 ? null : memory);
}

/** CUDA keeps, for as long as a process lives, the devices that it found at its first use: the next task may have others. */
export function maxCallsOf({ maxCalls, numGpus = 0 }: TaskOptions, { isolation }: WorkerKind): number {
  return maxCalls ?? (numGpus > 0 && isolation === "process" ? 1 : 0);
}
