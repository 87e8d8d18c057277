import type { ActorId, JobId, NodeId, NodeKey, PlacementGroupId, ResourceAmounts } from "../base/mod.ts";

export type PlacementStrategyName = "PACK" | "SPREAD" | "STRICT_PACK" | "STRICT_SPREAD";

/** What the GCS is told of a new placement group. */
export interface PlacementGroupSpec {
  readonly groupId: PlacementGroupId;
  readonly bundles: readonly ResourceAmounts[];
  readonly strategy: PlacementStrategyName;
  readonly name: string | null;
  readonly namespace: string;
  readonly jobId: JobId;
  /** The actor that made it, with which it ends. Null: it ends with its job. */
  readonly actorId: ActorId | null;
  /** It ends with neither. */
  readonly isDetached: boolean;
}

/** As Ray names them. PREPARED: all nodes have set the resources aside, and are told to go ahead. RESCHEDULING: a node with bundles was lost. */
export type PlacementGroupPhase = "PENDING" | "PREPARED" | "CREATED" | "RESCHEDULING" | "REMOVED";

/** What is told of a group whenever that changes. */
export interface PlacementGroupRecord {
  readonly groupId: PlacementGroupId;
  readonly phase: PlacementGroupPhase;
  readonly bundles: readonly ResourceAmounts[];
  /** Of each bundle: where it is; null while it is nowhere. */
  readonly nodes: readonly (NodeKey | null)[];
  /** Why it was removed, as a clause that follows "because"; null while it is not. */
  readonly removal: string | null;
  /** It is removed because another one has its name. */
  readonly isNameTaken: boolean;
}

/** Why a group was removed that a program has removed, see `removal`. */
export const REMOVED_BY_PROGRAM = "it was removed with removePlacementGroup()";

/** What a worker has to know of a group: fields of its record. */
export type PlacementGroupFate = Pick<PlacementGroupRecord, "groupId" | "phase" | "removal" | "isNameTaken">;

/** A row of the table of placement groups. */
export interface PlacementGroupRow extends PlacementGroupRecord {
  readonly name: string | null;
  readonly namespace: string;
  readonly strategy: PlacementStrategyName;
  readonly jobId: JobId;
  readonly isDetached: boolean;
  /** As `nodes`, in full. */
  readonly nodeIds: readonly (NodeId | null)[];
  /** Why the nodes that are there can never hold it; null when that is not so. */
  readonly infeasible: string | null;
}

/** In which bundle a task or actor runs. */
export interface BundleRecord {
  readonly groupId: PlacementGroupId;
  /** -1: in whichever has room. */
  readonly bundleIndex: number;
  /** What it submits runs in the group, too. */
  readonly capturesChildren: boolean;
}

/** From core workers to the GCS, about placement groups. */
export type PlacementGroupRequest =
  | { readonly type: "createPlacementGroup"; readonly spec: PlacementGroupSpec }
  /** Answered when all that the group held has been given back; who asks hears no more of the group, unless it asks. */
  | { readonly type: "removePlacementGroup"; readonly requestId: number; readonly groupId: PlacementGroupId }
  /** Who has made it watches it without asking. */
  | { readonly type: "watchPlacementGroup"; readonly groupId: PlacementGroupId }
  /** From its maker, to `wherePlacementGroup`: what it had to say of the group, it has said. */
  | { readonly type: "placementGroupTold"; readonly groupId: PlacementGroupId }
  /** Replied with a PlacementGroupRecord, or null. */
  | { readonly type: "findPlacementGroup"; readonly requestId: number; readonly name: string; readonly namespace: string }
  /** Replied with the rows of all groups, or of one. */
  | { readonly type: "listPlacementGroups"; readonly requestId: number; readonly groupId: PlacementGroupId | null };

/** From the GCS to core workers. */
export type PlacementGroupNews =
  | { readonly type: "placementGroupState" } & PlacementGroupFate
  /** To who has made a group, or is about to tell of it: somebody asks for it. */
  | { readonly type: "wherePlacementGroup"; readonly groupId: PlacementGroupId };

/** From the GCS to a node. All may arrive twice; `attempt` counts the placements of a group. */
export type BundleOrder =
  /** Set these resources aside. `waits`: when there is room for them, which no other node waits for. */
  | { readonly type: "prepareBundles"; readonly groupId: PlacementGroupId; readonly attempt: number; readonly bundles: readonly (readonly [index: number, resources: ResourceAmounts])[]; readonly waits: boolean }
  /** All nodes have done so: make them the group's own. */
  | { readonly type: "commitBundles"; readonly groupId: PlacementGroupId; readonly attempt: number }
  /** Nothing comes of this attempt: give back what was set aside for it. */
  | { readonly type: "cancelBundles"; readonly groupId: PlacementGroupId; readonly attempt: number }
  /** The group is no more: end what runs in it, and give everything back. */
  | { readonly type: "returnBundles"; readonly groupId: PlacementGroupId; readonly reason: string }
  /** To a node that watches it. */
  | { readonly type: "placementGroupChanged"; readonly record: PlacementGroupRecord };

/** From a node to the GCS. */
export type BundleReport =
  | { readonly type: "bundlesPrepared"; readonly groupId: PlacementGroupId; readonly attempt: number }
  /** There is no room for them, or nothing is set aside that could be made the group's own. */
  | { readonly type: "bundlesRefused"; readonly groupId: PlacementGroupId; readonly attempt: number }
  | { readonly type: "bundlesCommitted"; readonly groupId: PlacementGroupId; readonly attempt: number }
  /** Nothing of the group is there any more. */
  | { readonly type: "bundlesReturned"; readonly groupId: PlacementGroupId }
  /** Somebody there asks for tasks in it; `placementGroupChanged` says what is known and what becomes of it. */
  | { readonly type: "nodeWatchesGroup"; readonly groupId: PlacementGroupId };
