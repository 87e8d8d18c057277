import type { Isolation, RuntimeEnv } from "./types.ts";

export interface InitOptions {
  /**
   * Undefined: MANTARAY_ADDRESS, else a new local runtime inside this process. "local": always a new one.
   *
   * `HOST:PORT` of a cluster (see `mantaray start`): joins it, through a node on this machine if there is one. The `address` that another
   * program's `init()` has returned (`unix:/…`): joins the runtime of that program, which must be of the same user on the same machine.
   * "auto": the cluster that runs on this machine, else the newest runtime of a program. Tasks and actors of this program then run on
   * workers there, objects are shared without copies on one machine, and names of actors are found across programs (see `namespace`).
   * When this program ends, so do its tasks, objects and actors, but for the detached ones; when the runtime ends, whatever is awaited
   * here fails with RuntimeStateError. Options that describe the machine (`numCpus`, `resources`, `objectStoreMemory`…) cannot be given then.
   */
  address?: string;
  /** Default: the processors that this process may use. */
  numCpus?: number;
  /** A whole number. Default: those that CUDA_VISIBLE_DEVICES names; where it is not set, the devices of NVIDIA's driver. */
  numGpus?: number;
  /** Schedulable memory of this node, in bytes. Default: that of the machine (or container), without the object store's. */
  memory?: number;
  /**
   * Capacity of the object store, in bytes: values above 100 KiB share this much memory, what does not fit goes to disk. Default: 30 %
   * of the machine's (or container's) memory, or what the file system of shared memory has, if that is less.
   */
  objectStoreMemory?: number;
  /** Folder for what does not fit; a folder of its own is made in it and removed at the end. Default: in the session's folder. */
  objectSpillingDirectory?: string;
  /** Custom resources by name. */
  resources?: Record<string, number>;
  /**
   * Of this machine, for `labelSelector` and `schedulingStrategy`: `{ zone: "a", "example.com/rack": "7" }`. Keys and values as those of
   * Kubernetes: up to 63 letters, digits, `-`, `_` and `.`; a key may have a DNS name and `/` in front. `mantaray.io/node-id` and, with
   * GPUs of one known type, `mantaray.io/accelerator-type` are there by themselves; keys in `mantaray.io/` cannot be given.
   */
  labels?: Record<string, string>;
  /** Where names of actors are unique. Default: one of this program's own. */
  namespace?: string;
  /** Of all tasks and actors of this program, but not of the program itself. */
  runtimeEnv?: RuntimeEnv;
  /** Default 'thread': a worker is a worker_thread. 'process': a worker is an OS process. */
  isolation?: Isolation;
  includeDashboard?: boolean;
  dashboardHost?: string;
  dashboardPort?: number;
  /** Return the running runtime instead of throwing when there is one. */
  ignoreReinitError?: boolean;
  /** Forward workers' output to this process, prefixed `(Counter pid=…)`, repeats folded. Default true. */
  logToDriver?: boolean;
  logLevel?: "debug" | "info" | "warn" | "error" | "silent";
}

export interface InitInfo {
  /** Of the runtime: other programs of this user on this machine join it with `init({ address })`. Holds no secret. */
  readonly address: string;
  readonly dashboardUrl: string | undefined;
  readonly nodeId: string;
  readonly jobId: string;
  readonly namespace: string;
  readonly sessionDir: string;
  /** Same as `shutdown()`. */
  disconnect(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What code can know of where it runs. */
export interface RuntimeContext {
  readonly jobId: string;
  readonly nodeId: string;
  readonly workerId: string;
  /** Of the running task or call. Undefined in a driver, and in an actor's constructor, as `taskName`. */
  readonly taskId: string | undefined;
  readonly taskName: string | undefined;
  /** Of the actor that this code runs in; a task that an actor starts is in none. */
  readonly actorId: string | undefined;
  readonly actorName: string | undefined;
  readonly namespace: string;
  readonly placementGroupId: string | undefined;
  /** What the running task or this actor holds; nothing in a driver. Memory in bytes. */
  readonly assignedResources: Record<string, number>;
  /** Ids of the accelerators among it, by resource: `{ GPU: ["1"] }`. `GPU` is always there, empty if it has none. */
  readonly acceleratorIds: Record<string, string[]>;
  /** Of the node that this code runs on: those given and those that it has by itself. */
  readonly nodeLabels: Record<string, string>;
  /** Merged with what was inherited; in a driver what was given to `init`. Without one: no fields. */
  readonly runtimeEnv: RuntimeEnv;
  readonly address: string;
  readonly wasCurrentActorRestarted: boolean;
  /** Handle on the actor that this code runs in. Throws outside of one. */
  readonly currentActor: import("./types.ts").ActorHandle<any>;
  /** Aborted when the running task or call is cancelled. */
  readonly signal: AbortSignal;
}

export interface NodeInfo {
  nodeId: string;
  /** How it was called when it was started; null if it was not. */
  name: string | null;
  alive: boolean;
  /** It is about to leave the cluster, and takes nothing new. */
  draining: boolean;
  address: string;
  hostname: string;
  resources: Record<string, number>;
  labels: Record<string, string>;
}
