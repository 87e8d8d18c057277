import type { WorkerId } from "../base/mod.ts";
import { type ActorMethods, type CallRules, type EncodedValueRecord, type LeaseShape, type PeerMessage, strategyKeyOf, workerKindKeyOf } from "../protocol/mod.ts";
import type { ActorClient, ClientType } from "./actor-client.ts";
import type { Failure, ObjectEntry } from "./object-entry.ts";
import type { RetriedErrors } from "./retried-errors.ts";
import type { RunScope } from "./run-scope.ts";

/** Something that can be called remotely; each channel gives it a small number. */
export type Callable = FunctionCallable | MethodCallable | SharedMethodCallable;

/** A function or class of this program, or one that arrived in a value and is known by its unit. */
export interface CodeSource {
  readonly fn: Function | null;
  readonly unitId: string | null;
  readonly name: string;
}

export class FunctionCallable {
  readonly kind = "function";
  readonly unitId: string;
  readonly name: string;
  /** A worker ends after so many of its calls; 0 without limit. */
  readonly maxCalls: number;
  /** Smoothed run time; NaN until the first result. Decides how many calls may wait at one worker. */
  averageUs = Number.NaN;

  constructor(unitId: string, name: string, maxCalls = 0) {
    this.unitId = unitId;
    this.name = name;
    this.maxCalls = maxCalls;
  }
}

/** A method name that no class can have, for `handle.terminate()`. Its call is repeated until there is nothing left to end. */
export const TERMINATE = "#terminate";

export class MethodCallable {
  readonly kind = "method";
  /** Of calls without options of their own. */
  readonly plain: CallTemplate;
  readonly client: ActorClient<PendingTask>;
  readonly method: string;
  /** The concurrency group that its calls run in, or null. */
  readonly group: string | null;
  readonly name: string;

  constructor(client: ActorClient<PendingTask>, method: string, className: string, group: string | null) {
    this.client = client;
    this.method = method;
    this.group = group;
    this.name = `${className}.${method}`;
    const isEnd = method === TERMINATE;
    this.plain = { callable: this, queue: null, displayName: null, returns: isEnd ? 0 : 1, maxRetries: isEnd ? -1 : client.rules.maxTaskRetries, followsRules: !isEnd, retryExceptions: null, unconsumedMax: null, limits: null, priority: 0 };
  }
}

/** A method of all actors of one class: with a hundred thousand of them, each cannot have callables of its own. */
export class SharedMethodCallable {
  readonly kind = "sharedMethod";
  readonly plain: CallTemplate;
  readonly className: string;
  readonly method: string;
  readonly group: string | null;
  readonly name: string;

  constructor({ className, rules }: ClientType, method: string, group: string | null) {
    this.className = className;
    this.method = method;
    this.group = group;
    this.name = `${className}.${method}`;
    const isEnd = method === TERMINATE;
    this.plain = { callable: this, queue: null, displayName: null, returns: isEnd ? 0 : 1, maxRetries: isEnd ? -1 : rules.maxTaskRetries, followsRules: !isEnd, retryExceptions: null, unconsumedMax: null, limits: null, priority: 0 };
  }
}

/** What a task knows of the queue and the lease that it is in; `scheduling-queue.ts` has the rest. */
export interface TaskQueue {
  readonly key: string;
}
export interface TaskLease {
  readonly leaseId: number;
  readonly workerId: WorkerId;
}

/** What may end a task or call before it ends by itself. */
export interface CallLimits {
  readonly signal: AbortSignal | null;
  /** Of each run; null without limit. */
  readonly timeoutMs: number | null;
}

export interface CancelOptions {
  /** End the worker that runs it. */
  readonly isForced: boolean;
  /** Also what it has submitted. */
  readonly isRecursive: boolean;
}

/** How calls of one function or method with one set of options are run; shared by all of them. */
export interface CallTemplate {
  readonly callable: Callable;
  /** Null for actor calls. */
  readonly queue: TaskQueue | null;
  /** Shown instead of the function's name, or null. */
  readonly displayName: string | null;
  readonly returns: Returns;
  /** Runs after the first one; -1 without limit. */
  readonly maxRetries: number;
  /** Of a call of an actor: so many as the actor's rules say, and not as its own options do. */
  readonly followsRules: boolean;
  /** What it throws that is worth another run; null for nothing. */
  readonly retryExceptions: RetriedErrors | null;
  /** Of a streaming call: values that may be yielded and not consumed before its generator pauses; null without limit. */
  readonly unconsumedMax: number | null;
  /** Larger first among tasks that wait for the same resources; 0 for calls of actors. */
  readonly priority: number;
  readonly limits: CallLimits | null;
}

export interface TaskTemplate extends CallTemplate {
  readonly callable: FunctionCallable;
  readonly queue: TaskQueue;
}

/** -1: one ref a yielded value. */
export type Returns = number;
export const STREAMING: Returns = -1;

export type PreparedArg = unknown;

/** Wraps an encoded argument so that it can stand in an argument list beside primitives. */
export class EncodedArg {
  readonly value: EncodedValueRecord;
  constructor(value: EncodedValueRecord) {
    this.value = value;
  }
}

/** Where the values of a streaming call go, one after the other. */
export interface CallStream {
  readonly end: ObjectEntry;
  readonly unconsumedMax: number | null;
  readonly received: number;
  readonly consumed: number;
  readonly isClosed: boolean;
  sentTo(producer: { sendMessage(message: PeerMessage): boolean }): void;
  /** Null when nobody wants the value that has just come. */
  nextEntry(): ObjectEntry | null;
  arrived(): void;
  ended(failure: Failure | null): void;
}

export const NO_SLOT = -1;
/** A call that threw and runs again: its actor starts nothing else in its place meanwhile. */
export const TURN_KEPT = -2;

/**
 * One submitted task or call, from its submission to its outcome, as its owner keeps it. There may be a million at once:
 * what calls have in common is in the template.
 */
export class PendingTask {
  /** Changed before it is queued, if at all. */
  template: CallTemplate;
  readonly sequence: number;
  /** Primitives, EncodedArgs, and ObjectEntries that stand for refs until they are settled. */
  readonly args: PreparedArg[];
  /** Where the outcome goes: one entry, or `returns` many. */
  readonly entries: ObjectEntry | ObjectEntry[] | null;
  retriesLeft: number;
  /** Shared objects that this task keeps alive until it ends. */
  pinnedIds: string[] | null = null;
  /** Arguments that are not settled yet. */
  unresolvedCount = 0;

  /** While at a worker. */
  lease: TaskLease | null = null;
  /** A place in its peer's table, or NO_SLOT, or TURN_KEPT. */
  slot = NO_SLOT;
  estimateUs = 0;
  /** It has its outcome. It may still be at a worker then, which was told to stop. */
  isDone = false;
  /** Of a streaming call: where its values go. */
  stream: CallStream | null = null;

  constructor(template: CallTemplate, sequence: number, args: PreparedArg[], entries: ObjectEntry | ObjectEntry[] | null) {
    this.template = template;
    this.sequence = sequence;
    this.args = args;
    this.entries = entries;
    this.retriesLeft = template.maxRetries;
  }

  get callable(): Callable {
    return this.template.callable;
  }
  get queue(): TaskQueue | null {
    return this.template.queue;
  }
  get followsRules(): boolean {
    return this.template.followsRules;
  }
  get name(): string {
    return this.template.displayName ?? this.template.callable.name;
  }
}

/** A call whose callable does not say which actor it is for. */
export class SharedCall extends PendingTask {
  readonly client: ActorClient<PendingTask>;
  /** See `ChildTask`; null in a driver. */
  readonly parent: RunScope | null;

  constructor(template: CallTemplate, sequence: number, args: PreparedArg[], entries: ObjectEntry | ObjectEntry[] | null, client: ActorClient<PendingTask>, parent: RunScope | null) {
    super(template, sequence, args, entries);
    this.client = client;
    this.parent = parent;
  }
}

/** A call that was over and runs again, because what it returned is lost: before others, which may wait for that. */
export class RebuildingCall extends SharedCall {}

/** Of an actor call. */
export function clientOf(call: PendingTask): ActorClient<PendingTask> {
  return call instanceof SharedCall ? call.client : (call.callable as MethodCallable).client;
}

/** A task or call that another one submitted, and that is cancelled with it. */
export class ChildTask extends PendingTask {
  readonly parent: RunScope;

  constructor(template: CallTemplate, sequence: number, args: PreparedArg[], entries: ObjectEntry | ObjectEntry[] | null, parent: RunScope) {
    super(template, sequence, args, entries);
    this.parent = parent;
  }
}

/** What it is cancelled with; null if nothing but itself. */
export function parentOf(task: PendingTask): RunScope | null {
  return task instanceof ChildTask || task instanceof SharedCall ? task.parent : null;
}

/** It is `handle.terminate()`. */
export function endsActor({ callable }: PendingTask): boolean {
  return callable.kind !== "function" && callable.method === TERMINATE;
}

export interface ActorDescription {
  readonly actorId: string;
  readonly ownerId: string;
  readonly isDetached: boolean;
  readonly isShared: boolean;
  readonly className: string;
  readonly methods: ActorMethods;
  readonly rules: CallRules;
}

const GeneratorFunction = function* (): Generator<never> {}.constructor;
const AsyncGeneratorFunction = async function* (): AsyncGenerator<never> {}.constructor;
const AsyncFunction = async function (): Promise<void> {}.constructor;

export function isGeneratorFunction(fn: Function): boolean {
  return fn instanceof GeneratorFunction || fn instanceof AsyncGeneratorFunction;
}
export function isAsyncFunction(fn: Function): boolean {
  return fn instanceof AsyncFunction || fn instanceof AsyncGeneratorFunction;
}

/** Tasks of one key share leases: same resources, same kind of worker, same nodes. */
export function leaseKeyOf({ resources, workerKind, strategy, bundle, near, runsOnce, arguments: large }: LeaseShape): string {
  const key = JSON.stringify([workerKindKeyOf(workerKind), Object.entries(resources).sort(([a], [b]) => (a < b ? -1 : 1))]);
  const placed = (strategy === null ? key : `${key} ${strategyKeyOf(strategy)}`) + (near === undefined ? "" : ` near ${near}`) + (runsOnce === true ? " once" : "");
  const bundled = bundle === null ? placed : `${placed} ${JSON.stringify(bundle)}`;
  if (large === undefined) return bundled;
  return large.type === "unnamed" ? `${bundled} with ${large.areNear ? "near" : "far"} arguments` : `${bundled} with ${large.objects.map(({ node, id }) => `${node}/${id}`).join(" ")}`;
}
