import type { ActorId, JobId, NodeId, ObjectId, PlacementGroupId, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { RoomOrigin } from "./store-messages.ts";

/** A task or call without an outcome, as its owner knows it. */
export interface PendingRecord {
  readonly taskSequence: number;
  readonly name: string;
  /** Where it was called; null where that was not kept. */
  readonly callSite: string | null;
  readonly makes: readonly ObjectId[];
  /** Arguments that are not there yet. */
  readonly missing: readonly ObjectId[];
  /** Null for a task. */
  readonly actorId: ActorId | null;
  /** Where it was sent to; null if it was not. */
  readonly workerId: WorkerId | null;
  /** It threw, or lacks an argument that is made again, and runs again later. */
  readonly isBetweenRuns: boolean;
  /** Of a call that was not sent: an earlier call of this caller that cannot be sent yet. */
  readonly behind: number | null;
  /** Of a task that was not sent. */
  readonly demand: DemandRecord | null;
}

export interface DemandRecord {
  readonly key: string;
  readonly resources: ResourceAmounts;
  readonly groupId: PlacementGroupId | null;
  /** Its program was told that what it asks for may never be given back. */
  readonly wasTold: boolean;
}

/** A task or call that has arrived in the worker that runs it. */
export interface RunRecord {
  readonly ownerId: WorkerId;
  readonly taskSequence: number;
  readonly name: string;
  /** Null for a task. */
  readonly actorId: ActorId | null;
  /** Its concurrency group. */
  readonly group: string | null;
  readonly isStarted: boolean;
  /** Its generator goes on when values have been consumed. */
  readonly isPaused: boolean;
  readonly awaits: readonly AwaitRecord[];
}

/** One `get` or `wait` of a run, or the next value of a stream. */
export interface AwaitRecord {
  /** The first of those that are not there yet, and how many there are. */
  readonly missing: readonly ObjectId[];
  readonly missingCount: number;
  /** How many of them are enough. */
  readonly needed: number;
  /** It has a time limit, or a signal. */
  readonly endsByItself: boolean;
}

/** What one worker knows, or a part of it. */
export interface WorkerWaits {
  readonly workerId: WorkerId;
  readonly pending: readonly PendingRecord[];
  readonly runs: readonly RunRecord[];
}

export interface WorkWait {
  /** What it asks for is free. */
  readonly hasRoom: boolean;
  /** Workers of its kind that are on their way. */
  readonly startingCount: number;
  /** These workers have an environment, which is set up first. */
  readonly hasEnvironment: boolean;
  /** Others are served before it, since its program has a part of the node already; null if there are none. */
  readonly share: ShareWait | null;
}

/** Programs share a node evenly, by the resource of which each has most. */
export interface ShareWait {
  /** What the program has of the node that it waits at, from 0 to 1. */
  readonly part: number;
  /** Programs with no more than that which wait for some of the same resources there. */
  readonly otherPrograms: number;
}

/** A worker that sleeps until there is room in the object store of its node: nobody else can say so. */
export interface RoomWaitRecord {
  readonly workerId: WorkerId;
  readonly byteLength: number;
  readonly waitedMs: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly origin: RoomOrigin | null;
}

/** What one node knows of what waits there for workers and resources. */
export interface NodeWaits {
  readonly nodeId: NodeId;
  readonly totals: ResourceAmounts;
  readonly available: ResourceAmounts;
  readonly isDraining: boolean;
  readonly demands: readonly (WorkWait & { readonly ownerId: WorkerId; readonly key: string })[];
  readonly placements: readonly (WorkWait & { readonly actorId: ActorId; readonly wasTold: boolean })[];
  readonly roomWaits: readonly RoomWaitRecord[];
  readonly workers: readonly WorkerWaits[];
  readonly unansweredWorkerIds: readonly WorkerId[];
}

/** An actor without a worker that it runs in, as the GCS knows it. */
export interface WaitingActorRecord {
  readonly actorId: ActorId;
  readonly className: string;
  readonly name: string | null;
  readonly isRestarting: boolean;
  /** Its constructor runs there, or is about to. */
  readonly workerId: WorkerId | null;
  readonly resources: ResourceAmounts;
  readonly groupId: PlacementGroupId | null;
}

export interface WaitingGroupRecord {
  readonly groupId: PlacementGroupId;
  readonly name: string | null;
  readonly strategy: string;
  readonly bundles: readonly ResourceAmounts[];
  /** Why it has no place on the nodes that are there, which its program was told; null if it may have one. */
  readonly infeasible: string | null;
}

export interface GcsWaits {
  readonly actors: readonly WaitingActorRecord[];
  readonly groups: readonly WaitingGroupRecord[];
}

/** Everything together. */
export interface WaitsSurvey extends GcsWaits {
  readonly nodes: readonly NodeWaits[];
}

/** `jobId` null: of all programs. `objectId`: what makes it is named in any case. */
export interface WaitsQuestion {
  readonly jobId: JobId | null;
  readonly objectId: ObjectId | null;
  readonly timeoutMs: number;
}
