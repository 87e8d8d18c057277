import type { ObjectRef } from "./object-ref.ts";

/**
 * What a generator task or method returns: one ref per yielded value, available as it is yielded. If the generator throws, the
 * values before come first, then one last ref whose `get` rejects with a TaskError.
 *
 * `return()`, also by `break` in a `for await`, ends the generator: its `finally` blocks run, what it yielded and nobody took
 * is dropped, and `completed()` says when it is done. A stream that is garbage-collected ends in the same way, unless its
 * `completed()` was asked for: then the generator runs to its end, and its values are dropped.
 *
 * If the worker of a task dies, or it throws what `retryExceptions` names, the generator runs again from its beginning (`maxRetries`),
 * and only values that its caller has not got are sent: it must yield the same ones again. Without a retry left, the last ref fails
 * with that error, or with WorkerCrashedError; that of a method with ActorUnavailableError or ActorDiedError.
 */
export interface ObjectRefGenerator<Y = unknown> extends AsyncIterableIterator<ObjectRef<Y>> {
  /**
   * Resolves when the generator function has returned; rejects if it threw. With `generatorBackpressure` it returns only once its
   * values are taken.
   */
  completed(): ObjectRef<void>;
  /** Whether `next()` has handed out every ref, a failing last one included. */
  isFinished(): boolean;
}

export type Awaitable<T> = T | PromiseLike<T>;
/** An argument of a remote call: the value itself, or a ref that is resolved before the call runs. */
export type Arg<T> = T | ObjectRef<T>;
export type Args<A extends readonly unknown[]> = { [K in keyof A]: Arg<A[K]> };
export type ValueOf<R> = R extends ObjectRef<infer T> ? T : never;
/** What `.remote()` returns for a function that returns `R`. */
export type Result<R> =
  0 extends 1 & R ? ObjectRef<any>
  // In brackets, a union is one type with one ref; and a function that never returns has a ref all the same.
  : [R] extends [never] ? ObjectRef<never>
  : [R] extends [AsyncGenerator<infer Y, any, any>] ? ObjectRefGenerator<Y>
  : [R] extends [Generator<infer Y, any, any>] ? ObjectRefGenerator<Y>
  : ObjectRef<Awaited<R>>;

/**
 * Where a worker lives. `thread` (default): a worker thread of this process. `process`: a process of its own, safe from
 * native crashes and killable. `shared`: actors only, many light ones in one worker; they take no resources, and wait for each
 * other's synchronous work.
 */
export type Isolation = "thread" | "process" | "shared";

/**
 * What a task or actor finds around it. Merged into what is inherited: of `init`, or of the task or actor that makes the call;
 * `envVars` key by key, other fields as a whole. Each environment has workers of its own. What cannot be set up is a
 * RuntimeEnvSetupError of the task or actor.
 */
export interface RuntimeEnv {
  /**
   * A folder, or an archive (.tgz, .tar.gz, .tar), as a path or file: URL. A copy of it, made at the first call, is where tasks and
   * actors work. At most 100 MiB. Their workers are processes: a thread cannot have a folder of its own.
   */
  workingDir?: string;
  /** What of `workingDir` is left out, as in a .gitignore, and besides what the .gitignore files in it name. */
  excludes?: string[];
  /** In `process.env` of the worker, beside the variables of the program. */
  envVars?: Record<string, string>;
  /**
   * npm packages as `npm install` takes them (`name@version`, folders, archives), installed on the machine before the first task that
   * needs them and kept for later programs. They come before packages of the program with the same name.
   */
  npm?: string[] | { packages: string[] };
  /** `setupTimeoutMs`: how long the set-up on a machine may take. Default 600,000. */
  config?: { setupTimeoutMs?: number };
}

/**
 * Which of the nodes with room, and with the labels that are asked for, a task or actor gets.
 *
 * - `"DEFAULT"`: of a task the node that holds most of its large arguments, else that of the caller, else one that is in use already but less than
 *   half, else the least loaded one.
 * - `"SPREAD"`: one node after the other.
 * - `nodeAffinity`: the node with this id (`nodes()`, `getRuntimeContext().nodeId`), even if it must be waited for. `soft`: another one,
 *   as by default, when that node is gone or could never hold it.
 * - `nodeLabel`: a node whose labels meet all of `hard`; of those with room, one that meets all of `soft`, if there is one. Both are
 *   selectors like `labelSelector`.
 * - `placementGroup`: where the bundle with this index is, or with -1, the default, whichever bundle has room; the resources are the
 *   bundle's. `captureChildTasks`: what it submits by default belongs to the group, too; `placementGroup: null` is the way out of that.
 */
export type SchedulingStrategy =
  | "DEFAULT"
  | "SPREAD"
  | { type: "placementGroup"; placementGroup: PlacementGroup | null; bundleIndex?: number; captureChildTasks?: boolean }
  | { type: "nodeAffinity"; nodeId: string; soft: boolean }
  | { type: "nodeLabel"; hard?: Record<string, string>; soft?: Record<string, string> };

/**
 * How the bundles of a placement group lie to each other. `PACK`: on one node if there is one that holds all, else on few. `SPREAD`: on
 * different nodes as far as there are such. `STRICT_PACK` and `STRICT_SPREAD`: so, or not at all.
 */
export type PlacementStrategy = "PACK" | "SPREAD" | "STRICT_PACK" | "STRICT_SPREAD";

/** Resources reserved together. Can be passed to tasks and actors, and inside values. */
export interface PlacementGroup {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly bundles: readonly Record<string, number>[];
  /** Its value is the group, once that is there. Fails with PlacementGroupRemovedError when it is removed before, PlacementGroupAlreadyExistsError when its name is taken. */
  ready(): ObjectRef<PlacementGroup>;
  /** Whether the group is there within so long; default 30,000. Rejects as `ready()` fails. */
  wait(timeoutMs?: number): Promise<boolean>;
}

export interface PlacementOptions {
  /** Processors that the task or actor holds: a multiple of 0.0001, 0 allowed. Default: 1 for tasks, none for actors. */
  numCpus?: number;
  /** GPUs: a part of one, which it shares with other parts, or whole ones. Which: `getRuntimeContext().acceleratorIds`. Default 0. */
  numGpus?: number;
  /**
   * Bytes: counted, and the limit of the worker that runs this. Beyond it the worker is ended, and what runs there fails with
   * OutOfMemoryError. Default: neither.
   */
  memory?: number;
  /** Custom resources by name, as declared with `init({ resources })`. */
  resources?: Record<string, number>;
  /**
   * What the labels of the node must be, by their keys: `"v"`, `"!v"`, `"in(a,b)"`, `"!in(a,b)"`, `"*"` (there is such a label) or `"!*"`
   * (there is none). A label that a node has not is none of the values. Beside a `schedulingStrategy` both hold. Without such a node:
   * TaskUnschedulableError, ActorUnschedulableError.
   */
  labelSelector?: Record<string, string>;
  /** Default `"DEFAULT"`. */
  schedulingStrategy?: SchedulingStrategy;
  runtimeEnv?: RuntimeEnv;
  isolation?: Isolation;
}

export interface TaskOptions extends PlacementOptions {
  /** Shown in errors and output instead of the function's name. */
  name?: string;
  /** 1 by default; 0: the call returns undefined; n: an array of n refs, one per element returned. */
  numReturns?: number | "streaming";
  /** Further runs after a crash of the worker, and with `retryExceptions` after an error. Default 3; -1 without limit. */
  maxRetries?: number;
  /**
   * Errors of the function itself that are worth another run: all, or those of some classes. Default false. They use up `maxRetries`;
   * the caller gets the TaskError of the last run. The first retry comes at once, further ones after 10 ms, 20 ms… up to a second.
   * Classes are compared with `instanceof` where the call was made; the error of a nested task counts as what was thrown there, too. An
   * error that cannot travel is compared by the names of its class and of those above. Of a generator that runs again, only values
   * that its caller has not got are sent: it must yield the same ones again.
   */
  retryExceptions?: boolean | (abstract new (...args: any[]) => Error)[];
  /**
   * A worker that has run so many calls of this function takes nothing more, and ends once what runs there has ended and nobody holds
   * objects that it owns: for functions that leave something in memory. Other tasks that waited there run elsewhere, without using up a
   * retry. Default 0: no limit; 1 for tasks with `numGpus` in processes.
   */
  maxCalls?: number;
  /**
   * For generators: pauses while so many values were yielded and their refs not taken with `next()`. 1 or more; default, as -1:
   * no limit, values pile up at the caller. A paused task gives up its processor. InvalidArgumentError for calls that stream nothing.
   */
  generatorBackpressure?: number;
  /**
   * Larger first among tasks of this caller that wait for the same resources; equal ones in the order of their calls. Default 0. Tasks
   * that were sent to a worker already, at most two milliseconds of work, are not overtaken. Where several callers of this program, or tasks
   * that want other resources, wait for a machine that is full, the one whose next task has the larger priority gets what is given back
   * first, if it fits. Of no account between programs, which share a machine evenly.
   */
  priority?: number;
  /** Aborting it is `cancel(ref)`. Aborted before the call: the call fails with TaskCancelledError and does not run. Stays in this program. */
  signal?: AbortSignal;
  /**
   * Milliseconds, more than 0; default: no limit. The call fails with TaskTimeoutError past so long a run, waiting included; time in
   * queues does not count. Its signal (`getRuntimeContext().signal`) is aborted then; what has not ended half a second later is ended with
   * its worker, also out of an endless loop. Not retried.
   */
  timeoutMs?: number;
}

export interface MethodOptions {
  /** Shown in errors and output instead of the method's name. */
  name?: string;
  numReturns?: number | "streaming";
  /**
   * Further runs of a call that was at the actor's worker when that was lost, in the restarted actor (`maxRestarts`), and with
   * `retryExceptions` after an error. -1 without limit. Default: the option of the class. 0: such a call fails with
   * ActorUnavailableError; it may have run or not.
   */
  maxTaskRetries?: number;
  /** As for tasks, within `maxTaskRetries`. Later calls of the same caller start after the last run. */
  retryExceptions?: boolean | (abstract new (...args: any[]) => Error)[];
  /** One of the actor's `concurrencyGroups`: the call counts against its limit instead of `maxConcurrency`. */
  concurrencyGroup?: string;
  /**
   * For generators, as for tasks. A paused call goes on being one of the actor's running ones: with `maxConcurrency` 1 the next call
   * waits until its values are taken.
   */
  generatorBackpressure?: number;
  /** As for tasks. */
  signal?: AbortSignal;
  /**
   * As for tasks, but for the end: the call fails with TaskTimeoutError and its signal is aborted, and the actor lives on. A call that
   * goes on all the same keeps its place in the actor until it ends; `kill()` ends both.
   */
  timeoutMs?: number;
}

export interface ActorOptions extends PlacementOptions {
  /** Unique within its namespace; `getActor(name)` finds it. */
  name?: string;
  namespace?: string;
  /** `detached`: it lives on when no handle is left, until it is killed or the runtime ends. */
  lifetime?: "detached";
  /** With `name`: a handle of the actor that has the name already, if there is one. Then that actor's options hold, also for its calls. */
  getIfExists?: boolean;
  /** How often the actor starts again after a crash of its worker. Default 0; -1 without limit. */
  maxRestarts?: number;
  /** Of all its methods that do not say otherwise. Default 0; -1 without limit. See `MethodOptions`. */
  maxTaskRetries?: number;
  /** Calls running at once. 1 for a class with no async method, 1000 otherwise; above 1 they interleave at awaits. */
  maxConcurrency?: number;
  /**
   * Groups of calls with limits of their own, by name: so many calls of a group run at once, whatever the others do. Methods and calls
   * name their group with `concurrencyGroup`; those without one count against `maxConcurrency`. Order is kept within each group.
   */
  concurrencyGroups?: Record<string, number>;
  /**
   * Calls of one caller that may have no result yet, whether sent or waiting. One more throws PendingCallsLimitExceededError at the call.
   * 1 or more; default, as -1: no limit.
   */
  maxPendingCalls?: number;
  /**
   * A call whose arguments are not there yet does not hold up those behind it: it is sent when they are. Default false: calls of one
   * caller start in order, also in actors with async methods.
   */
  allowOutOfOrderExecution?: boolean;
  /** Options of methods by their names, for all calls that do not say otherwise. */
  methods?: Record<string, MethodOptions>;
  persistence?: unknown;
}

export interface RemoteFunction<A extends readonly unknown[], R> {
  /** Submits one call and returns at once. Throws SerializationError when the function or an argument cannot travel. */
  remote(...args: Args<A>): Result<R>;
  /** The same function with other options; the ones given win. */
  options<const O extends TaskOptions>(options: O): RemoteFunctionWith<A, R, O>;
}
export interface RemoteFunctionWith<A extends readonly unknown[], R, O> {
  remote(...args: Args<A>): ResultWith<R, O>;
  options<const P extends TaskOptions>(options: P): RemoteFunctionWith<A, R, Omit<O, keyof P> & P>;
}
/** n > 1 gives n refs, typed one by one when the function returns a tuple. */
export type ResultWith<R, O> =
  O extends { numReturns: 0 } ? undefined
  : O extends { numReturns: 1 } ? ObjectRef<Awaited<R>>
  : O extends { numReturns: number } ? RefsOf<Awaited<R>>
  : Result<R>;
export type RefsOf<T> = T extends readonly unknown[] ? { -readonly [K in keyof T]: ObjectRef<T[K]> } : ObjectRef[];

export interface ActorMethod<A extends readonly unknown[], R> {
  /** Calls the method and returns at once. Calls of one caller run in order. */
  remote(...args: Args<A>): Result<R>;
  options<const O extends MethodOptions>(options: O): { remote(...args: Args<A>): ResultWith<R, O> };
}

/** A reference to an actor, typed from the class's public methods. Can be passed to tasks and to other actors. */
export type ActorHandle<I> = {
  readonly [K in keyof I as I[K] extends (...args: any[]) => any ? K : never]:
    I[K] extends (...args: infer A) => infer R ? ActorMethod<A, R> : never;
} & ActorHandleBase;

export interface ActorHandleBase {
  /** 16 hexadecimal digits. */
  readonly actorId: string;
  /** Resolves once the constructor has run; rejects with what it threw. */
  ready(): ObjectRef<void>;
  /** Stops the actor after the calls already submitted. Resolves when it has ended, for whatever reason; its name is free then. */
  terminate(): ObjectRef<void>;
  /** Drops this handle now instead of at garbage collection. */
  release(): void;
  [Symbol.dispose](): void;
}

export type Class<A extends readonly any[] = any[], I = any> = new (...args: A) => I;
export interface ActorClass<C extends Class> {
  /** Starts an actor and returns its handle at once. */
  remote(...args: Args<ConstructorParameters<C>>): ActorHandle<InstanceType<C>>;
  options(options: ActorOptions): ActorClass<C>;
}
