import { TaskError } from "../base/mod.ts";
import { withOwnBuffers } from "../clients/mod.ts";
import type { ActorMethods, EncodedValueRecord, RuntimeDescriptor } from "../protocol/mod.ts";
import type { Serializer } from "../serialization/mod.ts";

export type ErrorClass = abstract new (...args: any[]) => Error;
/** Classes that came with a remote function, a handle or an actor class: decoded when an error is to be compared with them. */
export interface TravellingClasses {
  readonly encoded: EncodedValueRecord;
}
/** The option `retryExceptions` as calls have it; null: no error is worth another run. */
export type RetriedErrors = true | readonly ErrorClass[] | TravellingClasses;

/** From one run that threw to the next: none before the first retry, as in Ray, then twice as long each time. */
const RETRY_DELAY_MS_MIN = 10;
const RETRY_DELAY_MS_MAX = 1_000;
/** Tasks that failed with the error of a task that failed with the error of a task… */
const NESTING_MAX = 100;

export function retryDelayMs(retriesBefore: number): number {
  return retriesBefore === 0 ? 0 : Math.min(RETRY_DELAY_MS_MIN * 2 ** (retriesBefore - 1), RETRY_DELAY_MS_MAX);
}

/** An empty list is the same as `false`. */
export function retriedErrorsOf(option: boolean | RetriedErrors | undefined): RetriedErrors | null {
  if (option === undefined || option === false || (Array.isArray(option) && option.length === 0)) return null;
  return option;
}

/** Whether what was thrown is of one of the classes. The error of a nested task or call counts as what was thrown there, too. */
export function isOneOf(thrown: unknown, classes: readonly ErrorClass[]): boolean {
  let error = thrown;
  for (let depth = 0; depth < NESTING_MAX; depth++) {
    const candidate = error;
    if (classes.some((type) => candidate instanceof type)) return true;
    if (!(candidate instanceof TaskError)) return false;
    error = candidate.cause;
  }
  return false;
}

/** The same by name alone, for what cannot be rebuilt here. */
export function isNamedAsOneOf(classNames: readonly string[], classes: readonly ErrorClass[]): boolean {
  return classes.some((type) => type.name !== "" && classNames.includes(type.name));
}

/** Names of the thrown error's class and of those that it extends, nearest first. */
export function classNamesOf(thrown: unknown): string[] {
  const names: string[] = [];
  for (let prototype = thrown instanceof Error ? (Object.getPrototypeOf(thrown) as object | null) : null; prototype !== null && prototype !== Object.prototype; prototype = Object.getPrototypeOf(prototype) as object | null) {
    const { name } = prototype.constructor;
    if (name !== "") names.push(name);
  }
  return names;
}

const travelling = new WeakMap<readonly ErrorClass[], TravellingClasses>();

/** Options as a descriptor holds them: plain data. Throws SerializationError when a class cannot travel. */
export function travellingOptions<O extends object>(options: O, serializer: Serializer): O {
  const { retryExceptions } = options as { readonly retryExceptions?: boolean | RetriedErrors };
  if (!Array.isArray(retryExceptions)) return options;
  let classes = travelling.get(retryExceptions);
  if (classes === undefined) {
    classes = { encoded: withOwnBuffers(serializer.encode(retryExceptions, "option 'retryExceptions'")) };
    travelling.set(retryExceptions, classes);
  }
  return { ...options, retryExceptions: classes };
}

/** The same of each method's options. */
export function travellingMethods<M extends Readonly<Record<string, { readonly options: object | null }>>>(methods: M, serializer: Serializer): M {
  return Object.fromEntries(Object.entries(methods).map(([name, method]) => [name, method.options === null ? method : { ...method, options: travellingOptions(method.options, serializer) }])) as M;
}

/** The options of an actor class, with those of its methods. */
export function travellingActorOptions<O extends { readonly methods?: Readonly<Record<string, object>> }>(options: O, serializer: Serializer): O {
  if (options.methods === undefined) return options;
  return { ...options, methods: Object.fromEntries(Object.entries(options.methods).map(([name, ofMethod]) => [name, travellingOptions(ofMethod, serializer)])) };
}

/** The code that options need which travel so. */
/** Of a remote function, an actor class or a handle. */
export function codeOfDescriptor(descriptor: RuntimeDescriptor): readonly string[] {
  switch (descriptor.kind) {
    case "objectRef":
    case "placementGroup":
      return [];
    case "remoteFunction":
      return codeOfOptions(descriptor.options);
    case "actorClass":
      return Object.values((descriptor.options as { readonly methods?: Readonly<Record<string, object>> }).methods ?? {}).flatMap(codeOfOptions);
    case "actorHandle":
      return codeOfMethods(descriptor.methods);
  }
}

export function codeOfMethods(methods: ActorMethods): string[] {
  return Object.values(methods).flatMap(({ options }) => codeOfOptions(options));
}

function codeOfOptions(options: object | null): readonly string[] {
  const retried = (options as { readonly retryExceptions?: boolean | RetriedErrors } | null)?.retryExceptions;
  return typeof retried === "object" && "encoded" in retried ? retried.encoded.code : [];
}
