import { InvalidArgumentError } from "../base/mod.ts";
import { limitsOf } from "./call-limits.ts";
import { type RetriedErrors, retriedErrorsOf } from "./retried-errors.ts";
import { type CallTemplate, type MethodCallable, type Returns, type SharedMethodCallable, STREAMING } from "./task.ts";

/** Of a method: as the class says, with what the call says over it. */
export interface CallOptions {
  readonly name?: string;
  readonly numReturns?: number | "streaming";
  readonly generatorBackpressure?: number;
  readonly maxTaskRetries?: number;
  readonly retryExceptions?: boolean | RetriedErrors;
  readonly concurrencyGroup?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

const made = new WeakMap<MethodCallable | SharedMethodCallable, WeakMap<CallOptions, CallTemplate>>();

/** Made once for each object of options, not for each call. Throws InvalidArgumentError for options that do not go together. */
export function templateOf(callable: MethodCallable | SharedMethodCallable, options: CallOptions | null): CallTemplate {
  if (options === null) return callable.plain;
  let ofCallable = made.get(callable);
  if (ofCallable === undefined) made.set(callable, (ofCallable = new WeakMap()));
  let template = ofCallable.get(options);
  if (template === undefined) ofCallable.set(options, (template = templateWith(callable, options)));
  return template;
}

function templateWith(callable: MethodCallable | SharedMethodCallable, options: CallOptions): CallTemplate {
  const returns = returnsOf(options.numReturns, false);
  return {
    callable,
    queue: null,
    displayName: options.name ?? null,
    returns,
    maxRetries: options.maxTaskRetries ?? callable.plain.maxRetries,
    followsRules: options.maxTaskRetries === undefined && callable.plain.followsRules,
    retryExceptions: retriedErrorsOf(options.retryExceptions),
    unconsumedMax: unconsumedMaxOf(options.generatorBackpressure, returns, `${callable.name}()`),
    priority: 0,
    limits: limitsOf(options),
  };
}

/** Throws InvalidArgumentError when the actor has no such group. */
export function checkGroup(group: string, groups: Readonly<Record<string, number>>, method: string): void {
  if (Object.hasOwn(groups, group)) return;
  const names = Object.keys(groups);
  throw new InvalidArgumentError(`option 'concurrencyGroup' of ${method}() names '${group}', but its actor has ${names.length === 0 ? "no groups" : `only the groups ${names.join(", ")}`}; declare it with the class's option 'concurrencyGroups'`);
}

export function returnsOf(numReturns: number | "streaming" | undefined, isGenerator: boolean): Returns {
  if (numReturns === "streaming") return STREAMING;
  return numReturns ?? (isGenerator ? STREAMING : 1);
}

/** Of the option `generatorBackpressure`: -1, as not given, stands for no limit. Throws InvalidArgumentError for a call that streams nothing. */
export function unconsumedMaxOf(generatorBackpressure: number | undefined, returns: Returns, label: string): number | null {
  if (generatorBackpressure === undefined || generatorBackpressure === -1) return null;
  if (returns !== STREAMING) throw new InvalidArgumentError(`option 'generatorBackpressure' of ${label} is for generators, but the call streams nothing; make it a generator function or give numReturns: "streaming"`);
  return generatorBackpressure;
}
