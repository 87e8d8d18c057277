import type { ActorEndReason, ActorId, JobId, NodeId, NodeKey, ResourceAmounts, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ForGcs } from "./gcs-messages.ts";
import type { NetworkAddress } from "./network-address.ts";
import type { BundleOrder, BundleReport } from "./placement-group-messages.ts";
import type { ActorParts, ActorSpec, FromNode, JobRecord, ToNode, WorkerDeath } from "./node-messages.ts";
import type { HandOverRefusal } from "./store-messages.ts";
import type { StrategyRecord } from "./strategy-record.ts";
import type { WaitsQuestion } from "./wait-messages.ts";
import type { WorkerIsolation } from "./worker-kind.ts";

/** A node of the cluster, as it tells when it joins. */
export interface NodeRecord {
  readonly nodeId: NodeId;
  /** How people call it; no two of a cluster are called the same. Null for none. */
  readonly name: string | null;
  readonly hostname: string;
  readonly pid: number;
  /** For other nodes, and for programs that join from elsewhere. */
  readonly address: NetworkAddress;
  /** For the bytes of objects; null where the node serves none. */
  readonly objectAddress: NetworkAddress | null;
  readonly totals: ResourceAmounts;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a program must know of a node to join there. */
export interface NodeDescription {
  readonly nodeId: NodeId;
  readonly pid: number;
  readonly isolation: WorkerIsolation;
  readonly labels: Readonly<Record<string, string>>;
}

/** What somebody waits for that no node has room for: idle leases where it could be are given back for it. */
export interface WantRecord {
  readonly resources: ResourceAmounts;
  readonly strategy: StrategyRecord | null;
  /** Owner and key, if it is one alone that wants this: its own leases would change nothing. */
  readonly sharer: string | null;
}

/** What a node has free. Of two of one node the one with the larger version is newer. */
export interface NodeLoadRecord {
  readonly node: NodeKey;
  readonly version: number;
  readonly totals: ResourceAmounts;
  readonly available: ResourceAmounts;
  /** It is about to leave, and takes nothing new. */
  readonly isDraining: boolean;
  /** Of tasks whose owners live there. Absent for none. */
  readonly wants?: readonly WantRecord[];
}

/** Amounts of which only those that have changed are told; null is of a name that is gone. */
export type ChangedAmounts = Readonly<Record<string, number | null>>;

/** What has changed of a node's load since it was told before: with many placement groups it has thousands of names. */
export interface NodeLoadChange {
  readonly node: NodeKey;
  readonly version: number;
  readonly totals: ChangedAmounts;
  readonly available: ChangedAmounts;
  readonly isDraining: boolean;
  /** All of them. */
  readonly wants?: readonly WantRecord[];
}

/** From a node to the GCS. */
export type ToGcs =
  /** First of all. Answered with `joined` or `refused`. */
  | { readonly type: "join"; readonly record: NodeRecord; readonly packageVersion: string; readonly clusterId: string | null }
  /** The same over another connection. `received`: how many messages of the GCS it has had. Answered with `resumed` or `refused`. */
  | { readonly type: "resume"; readonly received: number }
  /** `rootId`: with a new actor, what its maker descends from. Absent: that is the maker itself, or does not matter. */
  | { readonly type: "fromWorker"; readonly senderId: WorkerId; readonly message: ForGcs; readonly rootId?: WorkerId }
  /** A program has joined at this node. */
  | { readonly type: "driverJoined"; readonly job: JobRecord }
  | { readonly type: "actorPlaced"; readonly actorId: ActorId; readonly workerId: WorkerId; readonly number: number }
  | { readonly type: "placementRefused"; readonly actorId: ActorId; readonly error: SystemErrorRecord }
  /** It takes no actors any more, or was asked to decline this one (`withdrawActor`); it has not begun to look for a worker, or has stopped. */
  | { readonly type: "actorDeclined"; readonly actorId: ActorId }
  /** Answers `keepModules`: the name of a package with the modules of that program that this node has. */
  | { readonly type: "modulesKept"; readonly driverId: WorkerId; readonly name: string }
  /** A shared one that has blocked or ended its worker: started again anywhere, it gets one for itself. Comes before the end of that worker. */
  | { readonly type: "actorMakesTrouble"; readonly actorId: ActorId }
  | { readonly type: "workerLost"; readonly workerId: WorkerId; readonly death: WorkerDeath }
  | { readonly type: "jobEnded"; readonly jobId: JobId }
  /** Its program, of this node, has left and waits until all that ends with it has ended. Answered with `jobIsOver`. */
  | { readonly type: "awaitJobEnd"; readonly jobId: JobId }
  /** Answers `jobLeaves`: nothing of it is left here but what stays. `ends`: workers of it that have ended since this was first asked; null: it takes too long. */
  | { readonly type: "jobLeft"; readonly jobId: JobId; readonly ends: number | null }
  | { readonly type: "bundleReport"; readonly report: BundleReport }
  | { readonly type: "load"; readonly change: NodeLoadChange }
  /** It cannot connect to that node, although both are parts of the cluster. */
  | { readonly type: "unreachable"; readonly node: NodeKey }
  | { readonly type: "alive" }
  /** It ends in good order. */
  | { readonly type: "leave"; readonly reason: string };

/** From the GCS to a node. */
export type FromGcs =
  /** `nodeNumber`: no other node of this cluster has had it. `lostNodes`, `lostWorkers`: the last of those that are gone, of which it will hear nothing more; refs may still name them, and work may still come from them. */
  | { readonly type: "joined"; readonly clusterId: string; readonly nodeNumber: number; readonly nodes: readonly NodeRecord[]; readonly loads: readonly NodeLoadRecord[]; readonly lostNodes: readonly NodeKey[]; readonly lostWorkers: readonly WorkerId[] }
  | { readonly type: "refused"; readonly reason: string }
  /** `received`: how many messages of the node it has had. */
  | { readonly type: "resumed"; readonly received: number }
  | { readonly type: "nodeJoined"; readonly record: NodeRecord }
  | { readonly type: "nodeLost"; readonly nodeId: NodeId; readonly death: WorkerDeath }
  | { readonly type: "loads"; readonly changes: readonly NodeLoadChange[] }
  /** Of all actors that wait for a node; empty when none does any more. */
  | { readonly type: "actorsWait"; readonly wants: readonly WantRecord[] }
  | { readonly type: "toWorker"; readonly workerId: WorkerId; readonly message: FromNode }
  /** Of an actor, what its node must know to find a worker. `rootId`: what it descends from; null for a detached one. */
  | { readonly type: "placeActor"; readonly placement: ActorPlacementRecord; readonly rootId: WorkerId | null; readonly job: JobRecord | null }
  | { readonly type: "cancelPlacement"; readonly actorId: ActorId }
  /** It queues there, and another node has room: answered with `actorDeclined`, unless it was placed before. */
  | { readonly type: "withdrawActor"; readonly actorId: ActorId }
  /** It is to take nothing new, and to leave when the last of what it has is done, or when the time is over. Told again when the time becomes shorter. */
  | { readonly type: "drain"; readonly timeLeftMs: number | null }
  | { readonly type: "moveActor"; readonly workerId: WorkerId; readonly actorId: ActorId }
  | { readonly type: "bundleOrder"; readonly order: BundleOrder }
  | ({ readonly type: "startActor"; readonly workerId: WorkerId; readonly number: number; readonly wasRestarted: boolean } & ActorParts)
  | { readonly type: "endSharedActor"; readonly workerId: WorkerId; readonly actorId: ActorId; readonly graceful: boolean; readonly mayRestart: boolean; readonly reason: string; readonly endReason: ActorEndReason }
  | { readonly type: "endActorWorker"; readonly workerId: WorkerId; readonly graceful: boolean; readonly reason: string }
  /** `staying`: actors of it that go on, but for shared ones. Answered with `jobLeft`. */
  | { readonly type: "jobLeaves"; readonly jobId: JobId; readonly staying: readonly ActorId[] }
  | { readonly type: "jobIsOver"; readonly jobId: JobId }
  /** That program has left, and actors of it that go on live there. Answered with `modulesKept`, if modules of it were brought there. */
  | { readonly type: "keepModules"; readonly driverId: WorkerId }
  /** Some node has made this package of them. `isToFetch`: this one is to have a copy. */
  | { readonly type: "modulesKept"; readonly driverId: WorkerId; readonly name: string; readonly isToFetch: boolean }
  /** Nobody needs them any more. */
  | { readonly type: "modulesDropped"; readonly driverId: WorkerId }
  /** Whether the owner will still create it. */
  | { readonly type: "askOwner"; readonly ownerId: WorkerId; readonly actorId: ActorId }
  /** A worker of another node has ended. */
  | { readonly type: "workerLost"; readonly workerId: WorkerId; readonly death: WorkerDeath }
  /** Answered with `alive`. */
  | { readonly type: "areYouAlive" };

export type ActorPlacementRecord = Pick<ActorSpec, "actorId" | "jobId" | "className" | "isShared" | "workerKind" | "resources" | "strategy" | "bundle" | "maxRestarts"> & {
  /** A shared one that has made trouble on another node. */
  readonly isTroublemaker?: true;
};

/** For whom a worker asks for leases. */
export interface AskerRecord {
  readonly job: JobRecord;
  /** The driver or detached actor's worker that its work descends from, and ends with. */
  readonly rootId: WorkerId;
}

/** Between two nodes: the messages of the one that has opened the link, numbered from 1 for as long as both live, and how far the other has them. */
export type NodeFrame =
  | { readonly type: "message"; readonly number: number; readonly message: NodeToNode }
  | { readonly type: "received"; readonly number: number };

export type NodeToNode =
  /** A worker of the sender's asks something of the receiver. `asker` null: that does not matter. */
  | { readonly type: "fromWorker"; readonly senderId: WorkerId; readonly message: FarRequest; readonly asker: AskerRecord | null }
  | { readonly type: "toWorker"; readonly workerId: WorkerId; readonly message: FromNode }
  /** Who was granted a lease has ended, perhaps before its wish for one arrived. */
  | { readonly type: "ownerGone"; readonly workerId: WorkerId }
  /** The sender drains: the receiver is to have this object from now on, and tells its owner so. Answered with `objectTaken`. */
  | { readonly type: "takeObject"; readonly id: number; readonly byteLength: number; readonly ownerId: WorkerId }
  | { readonly type: "objectTaken"; readonly id: number; readonly refusal: HandOverRefusal | null }
  /** Answered with `surveyed`. */
  | { readonly type: "survey"; readonly surveyId: number; readonly question: NodeQuestion }
  | { readonly type: "surveyed"; readonly surveyId: number; readonly answer: unknown };

/** A part of a package file of an environment. */
export interface PackagePiece {
  /** Who has it. */
  readonly node: NodeKey;
  readonly totalBytes: number;
  readonly bytes: Uint8Array;
}

/** What workers may ask of other nodes than their own. */
export type FarRequest = Extract<ToNode, { readonly type: "leaseDemand" | "leaseSettled" | "endRun" | "connectPeer" | "peerBroken" | "callsWait" | "storeAdopted" | "storeFreed" }>;

/** What a node asks all others, or one of them. */
export type NodeQuestion =
  /** Answered with a PackagePiece, null if it is not there; without bytes where `offset` is null. */
  | { readonly type: "package"; readonly name: string; readonly offset: number | null }
  | { readonly type: "drainOutput"; readonly jobId: JobId }
  | { readonly type: "listObjects"; readonly limit: number; readonly timeoutMs: number; readonly collectsGarbage: boolean }
  | { readonly type: "timeline"; readonly timeoutMs: number }
  | ({ readonly type: "listWaits" } & WaitsQuestion);
