import type { MessagePort } from "node:worker_threads";
import type { AcceleratorIds, JobId, NodeId, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { StoreConfig } from "../object-store/mod.ts";
import type { CodeOrigin, PreparedEnvironment, RuntimeEnvRecord, WorkerDeath, WorkerIsolation } from "../protocol/mod.ts";
import type { ThreadChannelEnd } from "../transport/mod.ts";
import type { MemoryGuardConfig } from "./machine-memory.ts";

/** What every worker of a session is told at its start. Plain data: it also travels in an environment variable. */
export interface SessionConfig {
  readonly jobId: JobId;
  readonly nodeId: NodeId;
  readonly namespace: string;
  readonly isolation: WorkerIsolation;
  /** Given to `init`. */
  readonly runtimeEnv: RuntimeEnvRecord | null;
  readonly totals: ResourceAmounts;
  readonly acceleratorIds: AcceleratorIds;
  readonly labels: Readonly<Record<string, string>>;
  readonly sessionDir: string;
  /** Where other programs find this runtime: the node thread's socket. */
  readonly address: string;
  readonly store: StoreConfig;
  readonly memoryGuard: MemoryGuardConfig;
  /** The secret that lets processes into each other's sockets. */
  readonly token: string;
  readonly driverPid: number;
  /** The program's entry module: its functions travel by value, and it is never imported by a worker. */
  readonly entryUrl: string | null;
  /** Modules that the driver preloads to run TypeScript (tsx); workers load them when they first import TypeScript. */
  readonly loaders: readonly string[];
  /** Command-line options for worker processes: the driver's memory limits and the like. */
  readonly nodeOptions: readonly string[];
  readonly logToDriver: boolean;
  /** Where workers listen for those of other nodes; null for a node that is alone. */
  readonly networkHost: string | null;
  /** Of the program that the session was started by. */
  readonly origin: CodeOrigin | null;
}

/** The node thread's own. */
export interface NodeThreadData {
  readonly kind: "mantaray-node";
  readonly config: SessionConfig;
  readonly driverId: WorkerId;
  readonly driver: ThreadLink;
  readonly spinPermits: SharedArrayBuffer;
  /** Where the threads of this process find the object store. */
  readonly storeDoor: SharedArrayBuffer;
  /** A worker that the driver has started already, while this thread was starting. */
  readonly firstWorker: (ThreadLink & { readonly workerId: WorkerId }) | null;
}

/** A worker thread's. */
export interface WorkerThreadData {
  readonly kind: "mantaray-worker";
  readonly config: SessionConfig;
  readonly workerId: WorkerId;
  readonly node: ThreadLink;
  readonly spinPermits: SharedArrayBuffer;
  readonly storeDoor: SharedArrayBuffer;
  readonly environment: PreparedEnvironment | null;
  readonly memoryLimitBytes: number | null;
  /** Where it has a limit: see memory-limit.ts. */
  readonly memoryGauge: SharedArrayBuffer | null;
  /** A channel to the driver, open from the start. */
  readonly driver: PeerEnd | null;
}

/** A worker process's, in the environment variable MANTARAY_WORKER. */
export interface WorkerProcessData {
  readonly config: SessionConfig;
  readonly workerId: WorkerId;
  readonly environment: PreparedEnvironment | null;
  readonly memoryLimitBytes: number | null;
  readonly nodeAddress: string;
  readonly listenAddress: string;
}

/** A worker host's, in the environment variable MANTARAY_HOST. */
export interface WorkerHostData {
  readonly config: SessionConfig;
  readonly nodeAddress: string;
}

/** A thread's in a worker host: it talks with the node and with others over sockets, as a process does. */
export interface HostedThreadData {
  readonly kind: "mantaray-hosted-worker";
  readonly worker: WorkerProcessData;
  readonly memoryGauge: SharedArrayBuffer | null;
  readonly spinPermits: SharedArrayBuffer;
}

/** From the node to a worker host. */
export type ToWorkerHost =
  | { readonly type: "start"; readonly workerId: WorkerId; readonly environment: PreparedEnvironment | null; readonly memoryLimitBytes: number | null }
  | { readonly type: "terminate"; readonly workerId: WorkerId }
  | { readonly type: "noteReason"; readonly workerId: WorkerId; readonly reason: string };

export type FromWorkerHost =
  | { readonly type: "exited"; readonly workerId: WorkerId; readonly death: WorkerDeath }
  /** Its memory is looked at in its own process. */
  | { readonly type: "memoryExceeded"; readonly workerId: WorkerId; readonly usedBytes: number };

/** Between a thread and the node thread: frames, and a port on which ends of other channels can be handed over. */
export interface ThreadLink {
  readonly channel: ThreadChannelEnd;
  readonly broker: MessagePort;
}

/** One thread's end of a channel to another core worker. */
export interface PeerEnd {
  readonly peerId: WorkerId;
  readonly channel: ThreadChannelEnd;
  readonly claims: { readonly outgoing: SharedArrayBuffer; readonly incoming: SharedArrayBuffer };
}

/** On the broker port. */
export type BrokerMessage =
  | { readonly type: "peer"; readonly end: PeerEnd }
  /** To a worker of shared actors: where it says which of them it is in. */
  | { readonly type: "runningActor"; readonly memory: SharedArrayBuffer };

/** For a worker process to be known to its node, from its first attempt: a machine may be busy with starting many. As in Ray. */
export const REGISTRATION_MS_MAX = 60_000;

export const WORKER_ENVIRONMENT_VARIABLE = "MANTARAY_WORKER";
export const HOST_ENVIRONMENT_VARIABLE = "MANTARAY_HOST";
