import type { Clock } from "../base/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import type { RuntimeEnvRecord, WorkerIsolation } from "../protocol/mod.ts";
import type { InitOptions } from "./lifecycle-types.ts";
import type { RuntimeEnv } from "./types.ts";

/** The environments that this thread gives to the tasks and actors that it makes. */
export interface RuntimeEnvironments {
  /** What a task or actor with this option runs in, what it inherits included. */
  resolve(given: RuntimeEnv | undefined): RuntimeEnvRecord | null;
  /** The same for a worker to use, which has not the files that it names. Throws RuntimeEnvSetupError for files that cannot be packed. */
  portable(given: RuntimeEnv): RuntimeEnv;
  /** What is inherited here, as users see it. */
  describe(): RuntimeEnv;
}

/** The runtime that API calls of this thread go to. */
export interface Runtime {
  readonly core: CoreWorker;
  readonly namespace: string;
  readonly isolation: WorkerIsolation;
  readonly address: string;
  readonly environments: RuntimeEnvironments;
  /** Resolves when the node has answered; rejects when it could not start. */
  readonly ready: Promise<RuntimeInfo>;
  /** Ends it and everything that it started. Only a driver's can be ended. */
  stop(): Promise<void>;
}

export interface RuntimeInfo {
  readonly nodeId: string;
  readonly jobId: string;
  readonly sessionDir: string;
}

/** Starts a runtime in this process; set by the composition root, so that the API does not depend on how. */
export type StartRuntime = (options: InitOptions) => Runtime;

/** One for all copies of the package in a thread: an application and a library of its must share one runtime. */
interface Registry {
  runtime: Runtime | null;
  start: StartRuntime | null;
}
const REGISTRY = Symbol.for("mantaray.registry.1");
const registry: Registry = ((globalThis as Record<symbol, unknown>)[REGISTRY] ??= { runtime: null, start: null }) as Registry;

/** The running one, or else a new local one with default options. */
export function currentRuntime(): Runtime {
  return registry.runtime ?? startRuntime({});
}

export function clock(): Clock {
  return currentRuntime().core.env.clock;
}

export function runningRuntime(): Runtime | null {
  return registry.runtime;
}

export function startRuntime(options: InitOptions): Runtime {
  if (registry.start === null) throw new Error("no runtime can be started here");
  const runtime = registry.start(options);
  registry.runtime = runtime;
  // Whoever awaits `ready` sees the error; a program that only makes calls sees it in their results.
  runtime.ready.catch(() => undefined);
  return runtime;
}

export function setRuntime(runtime: Runtime | null): void {
  registry.runtime = runtime;
}

export function setStarter(start: StartRuntime): void {
  registry.start ??= start;
}
