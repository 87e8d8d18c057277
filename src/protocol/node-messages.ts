import type { AcceleratorIds, ActorEndReason, ActorId, JobId, NodeId, NodeKey, ObjectId, PlacementGroupId, ResourceAmounts, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { NetworkAddress } from "./network-address.ts";
import type { WorkerObjectsReport } from "./object-messages.ts";
import type { BundleRecord, PlacementGroupNews, PlacementGroupRequest } from "./placement-group-messages.ts";
import type { RunsReport } from "./run-messages.ts";
import type { CodeOrigin } from "./module-messages.ts";
import type { ObjectMoved, StoreCollect, ToStore } from "./store-messages.ts";
import type { StrategyRecord } from "./strategy-record.ts";
import type { WaitsQuestion, WorkerWaits } from "./wait-messages.ts";
import type { ActorMethods, CallRules, CodeUnitRecord, EncodedValueRecord, TaskErrorRecord } from "./values.ts";
import type { WorkerIsolation, WorkerKind } from "./worker-kind.ts";

/** What all tasks that may share a lease have in common. */
export interface LeaseShape {
  readonly resources: ResourceAmounts;
  readonly workerKind: WorkerKind;
  readonly strategy: StrategyRecord | null;
  /** Null: in no placement group. */
  readonly bundle: BundleRecord | null;
  /** The node that most bytes of the arguments lie on, where that is another than the owner's: taken if it has room. */
  readonly near?: NodeKey;
  /** Of tasks with large arguments. */
  readonly arguments?: ArgumentsRecord;
  /** Its tasks have no retries: they are ended last when memory is short. */
  readonly runsOnce?: true;
}

/** An object that a task has as an argument, by the node that has its primary copy. */
export interface ArgumentRecord {
  readonly node: NodeKey;
  readonly id: number;
  readonly byteLength: number;
}

/** Large arguments are fetched by the node that a task goes to, before it gives a lease. */
export type ArgumentsRecord =
  /** Of tasks with various ones. `areNear`: all of each lie on the node `near`, which has nothing to fetch; tasks for other nodes are named first. */
  | { readonly type: "unnamed"; readonly areNear: boolean }
  /** The very ones: a key of their own, which its owner ends with target 0 when it has all that it wants. */
  | { readonly type: "named"; readonly objects: readonly ArgumentRecord[] };

export type LeaseEvent = "slotReturned" | "slotTaken" | "wantSlot" | "closed";

/** One program that uses the runtime: what workers must know to run its code. Plain data. */
export interface JobRecord {
  readonly jobId: JobId;
  /** Null where it lives in the process that started the runtime. */
  readonly driverId: WorkerId | null;
  readonly namespace: string;
  /** Of its tasks and actors that ask for none, whoever starts them. */
  readonly isolation: WorkerIsolation;
  /** Modules that its workers load before they first import TypeScript, as absolute paths or URLs. */
  readonly loaders: readonly string[];
  /** Of code that its workers capture. */
  readonly origin: CodeOrigin | null;
}

/** From a core worker to its node manager and, through it, to the GCS. */
export type ToNode =
  | ToStore
  | PlacementGroupRequest
  | { readonly type: "register"; readonly workerId: WorkerId; readonly pid: number; readonly listenAddress: string | null }
  /** From a program on a machine without a node, before anything runs in an environment that has this package: a part of it, in order. */
  | { readonly type: "packagePiece"; readonly name: string; readonly offset: number; readonly totalBytes: number; readonly bytes: Uint8Array }
  /** From a program of its own that joins. */
  | { readonly type: "registerDriver"; readonly listenAddress: string | null; readonly pid: number; readonly job: JobRecord }
  /** Idempotent: `target` counts all leases of this key ever wanted, the granted ones included. */
  | { readonly type: "leaseDemand"; readonly key: string; readonly shape: LeaseShape; readonly target: number; readonly priority: number }
  | { readonly type: "leaseEvents"; readonly events: readonly (readonly [leaseId: number, event: LeaseEvent])[] }
  /** The answer to `leaseTaken`: what the sender wants now has been told before. */
  | { readonly type: "leaseSettled"; readonly leaseId: number; readonly workerId: WorkerId }
  /** End the worker that has this lease, unless the lease has ended. `isRecursive`: also those that work for it, and so on, but not the sender. */
  | { readonly type: "endRun"; readonly workerId: WorkerId; readonly leaseId: number; readonly isRecursive: boolean; readonly reason: string }
  /** From a worker: it begins with something that has a time limit, or has ended it. `leaseId` null: a call of an actor. */
  | { readonly type: "runStarted"; readonly runId: number; readonly ownerId: WorkerId; readonly taskSequence: number; readonly leaseId: number | null; readonly name: string; readonly timeoutMs: number }
  | { readonly type: "runEnded"; readonly runId: number }
  | { readonly type: "connectPeer"; readonly workerId: WorkerId }
  /** The sender has no channel to that worker any more, and has not heard of its end. */
  | { readonly type: "peerBroken"; readonly workerId: WorkerId; readonly isDriver: boolean }
  | { readonly type: "listening"; readonly askerId: WorkerId; readonly address: NetworkAddress }
  | { readonly type: "createActor"; readonly requestId: number; readonly spec: ActorSpec }
  /** Of a shared actor without a name, which cannot be refused; many to a frame. */
  | ({ readonly type: "createSharedActor" } & ActorParts)
  /** `ownerId`: who may still be about to create it. */
  | { readonly type: "watchActor"; readonly actorId: ActorId; readonly ownerId: WorkerId }
  /** From its owner: there will be no such actor, and why. */
  | { readonly type: "actorNotCreated"; readonly actorId: ActorId; readonly death: ActorDeath }
  | { readonly type: "findActor"; readonly requestId: number; readonly name: string; readonly namespace: string }
  | { readonly type: "listNamedActors"; readonly requestId: number; readonly namespace: string | null }
  | { readonly type: "killActor"; readonly requestId: number; readonly actorId: ActorId; readonly noRestart: boolean }
  | { readonly type: "actorOutOfScope"; readonly actorId: ActorId }
  | { readonly type: "actorStarted"; readonly actorId: ActorId; readonly error: TaskErrorRecord | null }
  | { readonly type: "actorExiting"; readonly actorId: ActorId; readonly reason: string }
  /** From the worker of a shared actor: it is not there any more. Every `startSharedActor` is followed by one, unless the worker is lost. */
  | { readonly type: "actorEnded"; readonly actorId: ActorId; readonly reason: string }
  /** Calls of shared actors at that worker have waited for a while. */
  | { readonly type: "callsWait"; readonly workerId: WorkerId }
  | { readonly type: "pong" }
  | { readonly type: "getCode"; readonly requestId: number; readonly unitIds: readonly string[] }
  | { readonly type: "clusterState"; readonly requestId: number }
  /** Replied with GcsWaits. `jobId` null: of all programs. */
  | { readonly type: "listWaiting"; readonly requestId: number; readonly jobId: JobId | null }
  /** Replied with the NodeWaits of all nodes. */
  | ({ readonly type: "listWaits"; readonly requestId: number } & WaitsQuestion)
  | { readonly type: "waitsReported"; readonly surveyId: number; readonly waits: WorkerWaits }
  /** Replied with an ObjectSurveyRecord of at most `limit` objects. Workers that are busy for longer than `timeoutMs` are left out. */
  | { readonly type: "listObjects"; readonly requestId: number; readonly limit: number; readonly timeoutMs: number; readonly collectsGarbage: boolean }
  /** Null: garbage was collected, nothing else was asked for. */
  | { readonly type: "objectsReported"; readonly surveyId: number; readonly report: WorkerObjectsReport | null }
  /** Replied with a TimelineRecord. Workers that are busy for longer than `timeoutMs` are left out. */
  | { readonly type: "timeline"; readonly requestId: number; readonly timeoutMs: number }
  /** What has run since the last such message; `surveyId` null when nobody has asked. */
  | { readonly type: "runsReported"; readonly surveyId: number | null; readonly report: RunsReport | null }
  | { readonly type: "log"; readonly record: LogRecord }
  /** From a driver that is about to end; the reply comes after all output of workers that is on its way. */
  | { readonly type: "drainOutput"; readonly requestId: number }
  /** Brings here what other nodes have kept of the modules of a program that has left. The reply is false if there is nothing. */
  | { readonly type: "recallModules"; readonly requestId: number; readonly driverId: WorkerId }
  | { readonly type: "outputDrained"; readonly drainId: number }
  /** It waits too long for these. Its program is told; the reply is true if that has left. */
  | { readonly type: "stuckHere"; readonly requestId: number; readonly keys: readonly string[] }
  /** It ends as soon as nothing needs it any more: no further lease or actor for it. */
  | { readonly type: "leaving" }
  /** `actorId`: the shared actor that brought it about, if that is known. */
  | { readonly type: "exiting"; readonly reason: string; readonly actorId: ActorId | null }
  /** From a worker with a limit: it uses more, and can be ended. */
  | { readonly type: "memoryExceeded"; readonly usedBytes: number }
  /** It owns what others still use, or awaits something itself. */
  | { readonly type: "retireRefused" }
  /** From the driver, about a worker thread that it started itself. */
  | { readonly type: "workerExited"; readonly workerId: WorkerId; readonly death: WorkerDeath }
  /** From the driver that started the runtime: end it. From one that has joined: it leaves. */
  | { readonly type: "shutdown" };

/** From the node manager (and the GCS behind it) to a core worker. */
export type FromNode =
  | StoreCollect
  | ObjectMoved
  | PlacementGroupNews
  | { readonly type: "registered"; readonly nodeId: NodeId; readonly totals: ResourceAmounts; readonly labels: Readonly<Record<string, string>> }
  /** Before its first lease or actor, if that is of another job than the one that it was started by. */
  | { readonly type: "jobAssigned"; readonly job: JobRecord }
  | { readonly type: "leaseGranted"; readonly key: string; readonly leaseId: number; readonly workerId: WorkerId }
  /** To the owner: the lease has ended, and what it held is for others unless the owner says that it wants another one. Answered by `leaseSettled`. */
  | { readonly type: "leaseTaken"; readonly leaseId: number; readonly workerId: WorkerId }
  | { readonly type: "leaseRefused"; readonly key: string; readonly error: SystemErrorRecord }
  /** To the owner: so many tasks of this key, whose arguments are unnamed, can go to nodes that must fetch these. */
  | { readonly type: "nameArguments"; readonly key: string; readonly count: number }
  /** To the owner: what its tasks wait for may never be given back. `reason`: how much of what, and who has it. */
  | { readonly type: "leasesHeldUp"; readonly key: string; readonly reason: string }
  | { readonly type: "leaseOpened"; readonly leaseId: number; readonly ownerId: WorkerId; readonly resources: ResourceAmounts; readonly acceleratorIds: AcceleratorIds | null; readonly bundle: BundleRecord | null }
  /** It ends with the tasks that have started; nothing of it will be granted again. */
  | { readonly type: "endLease"; readonly leaseId: number }
  | { readonly type: "slotGranted"; readonly leaseId: number }
  | { readonly type: "revokeLease"; readonly leaseId: number; readonly onlyIdle: boolean }
  /** To the owner of a task or call: it ran for too long there. */
  | { readonly type: "runTimedOut"; readonly workerId: WorkerId; readonly taskSequence: number }
  /** To the worker that runs it: abort it. */
  | { readonly type: "stopTimedOutRun"; readonly ownerId: WorkerId; readonly taskSequence: number }
  /** To a worker without work: end, unless something depends on it. */
  | { readonly type: "retire" }
  /** To the driver, about a worker thread that it started itself. */
  | { readonly type: "terminateWorker"; readonly workerId: WorkerId }
  | { readonly type: "noteWorkerEnd"; readonly workerId: WorkerId; readonly reason: string }
  | { readonly type: "startupFailed"; readonly reason: string }
  | { readonly type: "connectSocket"; readonly workerId: WorkerId; readonly address: string | NetworkAddress }
  /** A worker of another node wants to connect to this one: listen on TCP and say where. */
  | { readonly type: "listenForPeers"; readonly askerId: WorkerId }
  | { readonly type: "workerDied"; readonly workerId: WorkerId; readonly cause: WorkerDeath }
  | { readonly type: "startActor"; readonly spec: ActorSpec; readonly wasRestarted: boolean; readonly acceleratorIds: AcceleratorIds | null }
  | ({ readonly type: "startSharedActor"; readonly number: number; readonly wasRestarted: boolean } & ActorParts)
  /** Ends one of several actors, after the calls that have arrived if `graceful`. */
  | { readonly type: "endSharedActor"; readonly actorId: ActorId; readonly graceful: boolean; readonly mayRestart: boolean; readonly reason: string; readonly endReason: ActorEndReason }
  /** Ends an actor that is to start again elsewhere, after the calls that have arrived: whatever comes later has not run. */
  | { readonly type: "moveActor"; readonly actorId: ActorId }
  /** To a worker that others cannot rely on any more: end. */
  | { readonly type: "leaveNow"; readonly reason: string }
  /** Whether the event loop turns; answered with `pong`. */
  | { readonly type: "ping" }
  | { readonly type: "actorState"; readonly state: ActorStateRecord }
  /** To the owner of an actor that somebody watches and that nobody has created. */
  | { readonly type: "whereIsActor"; readonly actorId: ActorId }
  /** No handle is left: let the calls that have arrived finish, then end this worker. */
  | { readonly type: "endActor"; readonly reason: string }
  | { readonly type: "reply"; readonly requestId: number; readonly result: unknown; readonly error: SystemErrorRecord | null }
  | { readonly type: "drainOutput"; readonly drainId: number }
  /** `limit` 0: collect garbage, and say when that is done. */
  | { readonly type: "reportObjects"; readonly surveyId: number; readonly limit: number }
  | { readonly type: "reportRuns"; readonly surveyId: number }
  | { readonly type: "reportWaits"; readonly surveyId: number; readonly objectId: ObjectId | null }
  /** To the driver, for its user. */
  | { readonly type: "warning"; readonly text: string }
  /** To a program: a worker of its has waited too long for these, of which it may know nothing. Keys as in `WaitGraph`. */
  | { readonly type: "stuckElsewhere"; readonly keys: readonly string[] }
  | { readonly type: "log"; readonly record: LogRecord };

export interface WorkerDeath {
  /** What is known: exit code, signal, out of memory, who ended it. A clause that follows "the worker …". */
  readonly reason: string;
  /** 0 if it had none yet, or was on a node that is gone with all that it knew. */
  readonly pid: number;
  /** False where running the same work again would only end the same way (heap exhausted, ended on purpose). */
  readonly isRetryable: boolean;
  /** By a signal that came from outside. */
  readonly wasKilled?: true;
  /** V8's heap was full. */
  readonly isHeapExhausted?: true;
  /** It used more than the limit of its kind. */
  readonly isOutOfMemory?: true;
  /** Its node needed the memory: that costs no retry, but a while. */
  readonly isMemoryShort?: true;
  /** Its whole node is gone. */
  readonly isNodeLost?: true;
  /** Its node was to end: that costs its actors no restart. */
  readonly isNodeDrained?: true;
  /** It was ended on purpose, and for the sake of others: that costs its tasks no retry, if they may run again at all. */
  readonly isForced?: boolean;
  /** It had nothing to do and was not needed: what was on its way there has not begun. */
  readonly isRetired?: true;
  /** By owner: which of its tasks had begun, by their sequence numbers, among others that have ended. Of an owner that is missing nobody knows. */
  readonly begun?: ReadonlyMap<WorkerId, ReadonlySet<number>>;
  /** The placement group in which it ran tasks was removed: theirs is that end, the others may run again. */
  readonly removedGroup?: { readonly groupId: PlacementGroupId; readonly reason: string };
}

export interface ActorSpec {
  readonly actorId: ActorId;
  readonly ownerId: WorkerId;
  readonly jobId: JobId;
  readonly className: string;
  readonly unitId: string;
  /** The class with all the code it needs; the GCS keeps it for as long as the actor may start. */
  readonly units: readonly CodeUnitRecord[];
  readonly args: readonly ActorArg[];
  readonly methods: ActorMethods;
  readonly rules: CallRules;
  readonly name: string | null;
  readonly namespace: string;
  readonly isDetached: boolean;
  readonly getIfExists: boolean;
  readonly maxRestarts: number;
  readonly maxConcurrency: number | null;
  readonly resources: ResourceAmounts;
  readonly workerKind: WorkerKind;
  readonly strategy: StrategyRecord | null;
  /** Null: in no placement group. */
  readonly bundle: BundleRecord | null;
  /** It lives in one worker with others. */
  readonly isShared: boolean;
  /** The shared actor that created it, whose worker says too little about whom it depends on; null for others. */
  readonly parentId: ActorId | null;
}

/** An argument of a constructor: encoded, or a primitive as it is. */
export type ActorArg = EncodedValueRecord | string | number | bigint | boolean | null | undefined;

/** What all actors have in common that one class with one set of options makes. */
export type ActorTemplate = Omit<ActorSpec, "actorId" | "args">;

/** An ActorSpec on its way. Actors that share a template by identity share it on the other side of a frame too. */
export interface ActorParts {
  readonly template: ActorTemplate;
  readonly actorId: ActorId;
  readonly args: readonly ActorArg[];
}

export type ActorPhase = "PENDING_CREATION" | "ALIVE" | "RESTARTING" | "DEAD";

export interface ActorDeath {
  readonly message: string;
  readonly reason: ActorEndReason;
  /** What the constructor threw, if that was the end. */
  readonly creation: TaskErrorRecord | null;
  /** Set when there was no worker for it, nor will be: the error of its calls. */
  readonly refusal: "ActorUnschedulableError" | "PlacementGroupRemovedError" | "RuntimeEnvSetupError" | null;
}

export interface ActorStateRecord {
  readonly actorId: ActorId;
  readonly phase: ActorPhase;
  readonly workerId: WorkerId | null;
  /** Which of the actors of that worker it is; 0 where it is the only one. */
  readonly number: number;
  /** Set when DEAD. */
  readonly death: ActorDeath | null;
  /** The handle was made with `getIfExists` and stands for this actor. */
  readonly aliasOf: FoundActor | null;
}

export interface FoundActor {
  readonly actorId: ActorId;
  readonly ownerId: WorkerId;
  readonly isDetached: boolean;
  readonly isShared: boolean;
  readonly className: string;
  readonly methods: ActorMethods;
  readonly rules: CallRules;
}

export interface LogRecord {
  readonly pid: number;
  readonly workerId: WorkerId;
  /** The function, method or class that printed it, or null between calls. */
  readonly source: string | null;
  readonly stream: "stdout" | "stderr";
  /** Of its node, where that is another than the driver's: `HOST:PORT`. */
  readonly nodeAddress?: string;
  readonly lines: readonly string[];
}

export interface ClusterStateRecord {
  readonly nodes: readonly {
    readonly nodeId: NodeId; readonly name: string | null; readonly isAlive: boolean; readonly isDraining: boolean; readonly address: string; readonly hostname: string;
    readonly totals: ResourceAmounts; readonly available: ResourceAmounts; readonly labels: Readonly<Record<string, string>>;
  }[];
}
