import type { NodeKey, WorkerId } from "../base/mod.ts";

/** Where in the shared memory of a node an encoded value lies. */
export interface StoredRecord {
  readonly node: NodeKey;
  /** Unique on this node for as long as it lives. */
  readonly id: number;
  /** The row of the extent table where it was last seen; it may have been moved to disk and back since. */
  readonly row: number;
  readonly byteLength: number;
}

/** What wants room in a store, for who asks why it waits. */
export interface RoomOrigin {
  /** In the program, as far as it is on the stack. */
  readonly callSite: string | null;
  /** The name of the task or call that runs; null in a driver. */
  readonly runs: string | null;
}

/** From a core worker to the object store of its machine. */
export type ToStore =
  /** The answer, a slot, is written into shared memory beside this nonce; null from a worker that has no such memory and wants none. */
  | { readonly type: "storeAttach"; readonly nonce: number | null }
  /** The answer is written into the worker's mailbox; the worker sleeps until then. `origin`: of what may wait, else null. */
  | { readonly type: "storeRequest"; readonly sequence: number; readonly pages: number; readonly count: number; readonly mayWait: boolean; readonly origin: RoomOrigin | null }
  | { readonly type: "storeRequestCancelled"; readonly sequence: number }
  | { readonly type: "storeSealed"; readonly row: number; readonly id: number; readonly byteLength: number; readonly ownerId: WorkerId }
  /** This and `storeFreed` are for the store of `node`. */
  | { readonly type: "storeAdopted"; readonly node: NodeKey; readonly id: number }
  | { readonly type: "storeFreed"; readonly node: NodeKey; readonly id: number; readonly isReused: boolean }
  | { readonly type: "storeUnpinned"; readonly row: number }
  /** Replied with the row, which is pinned for the sender. */
  | { readonly type: "storeFetch"; readonly requestId: number; readonly id: number }
  /** From a worker without shared memory: replied with the bytes. */
  | { readonly type: "storeRead"; readonly requestId: number; readonly id: number }
  /** Replied with a PulledObject: a copy, on the sender's node, of an object of another. It is pinned for the sender. */
  | { readonly type: "storePull"; readonly requestId: number; readonly node: NodeKey; readonly id: number; readonly byteLength: number }
  /** Nobody waits for that answer any more. It comes all the same, as an error if the object was not here yet. */
  | { readonly type: "storePullCancelled"; readonly requestId: number }
  /** The sender may want to read it soon: a copy is brought to its node when nothing more urgent is. Not answered. */
  | { readonly type: "storePrefetch"; readonly node: NodeKey; readonly id: number; readonly byteLength: number }
  | { readonly type: "storeCollected" };

/** Where a copy is in the shared memory of the node; the bytes for a worker that has none. */
export type PulledObject = { readonly id: number; readonly row: number } | Uint8Array;

/** To a core worker: run the garbage collector and free what nobody holds; answered by `storeCollected`. */
export interface StoreCollect {
  readonly type: "storeCollect";
}

/** To the owner of an object: its node has drained, and it lies there from now on. What is left of it where it was is freed by the owner. */
export interface ObjectMoved {
  readonly type: "objectMoved";
  readonly from: PrimaryRecord;
  readonly to: StoredRecord;
}

/** Why a node does not take an object that another one, which drains, offers: it has no room, or the object could not be brought there. */
export type HandOverRefusal = "full" | "failed";

/** Which object of which node. */
export interface PrimaryRecord {
  readonly node: NodeKey;
  readonly id: number;
}

/** One object as the store lists it. */
export interface StoredObjectListing {
  readonly node: NodeKey;
  readonly id: number;
  readonly byteLength: number;
  /** Another node has the primary; null for a primary, and for what was freed. */
  readonly copyOf: PrimaryRecord | null;
  /** Null for a copy and for what was freed. */
  readonly ownerId: WorkerId | null;
  readonly isInMemory: boolean;
  readonly isSpilled: boolean;
  /** No reference is left, only views keep it. */
  readonly isFreed: boolean;
  readonly pinnedBy: readonly WorkerId[];
}
export interface StoreListing {
  readonly isAvailable: boolean;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly spilledBytes: number;
  /** All there are; `objects` may have fewer: the largest of them. */
  readonly objectCount: number;
  readonly objects: readonly StoredObjectListing[];
}
