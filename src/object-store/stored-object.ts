import type { NodeKey, WorkerId } from "../base/mod.ts";
import type { PrimaryRecord, StoredObjectListing } from "../protocol/mod.ts";
import type { ExtentTable } from "./extent-table.ts";
import type { RoomPatience } from "./room-patience.ts";

/** What the store knows of one object. */
export interface StoredObject {
  readonly id: number;
  readonly byteLength: number;
  readonly pages: number;
  /** Null for what was found in memory before its maker said for whom it is; the maker will, or its owner. */
  ownerId: WorkerId | null;
  readonly producerId: WorkerId;
  /** Its owner knows it. Until then it may be on its way in a message. */
  isAdopted: boolean;
  /** -1: not in memory. */
  row: number;
  /** A copy lies on disk; it stays when the object is restored, since objects never change. */
  isSpilled: boolean;
  /** The primary is another node's: it can be had again from there. Null for a primary, also for what was a copy once. */
  copyOf: PrimaryRecord | null;
  activity: "none" | "spilling" | "restoring";
  /** Nobody needs it; only the activity keeps it. */
  isFreed: boolean;
  waiting: { readonly workerId: WorkerId; readonly requestId: number }[];
  /** How often it has waited for room in memory. */
  attempt: number;
  /** While it waits for room. */
  patience: RoomPatience | null;
}

/** What a node that drains must know of an object to give it to another. */
export type HandedObject = Pick<StoredObject, "id" | "byteLength" | "ownerId" | "isAdopted">;

/** Who waits for memory. */
export type RoomRequest =
  | { readonly kind: "grant"; readonly workerId: WorkerId; readonly slot: number; readonly sequence: number; readonly pages: number }
  | { readonly kind: "restore"; readonly object: StoredObject; readonly pages: number };

/** Those in memory that nothing is done with now. `isElsewhere`: those that can be had again, from disk or from another node; else the others. */
export function leastRecentlyUsed(objects: Iterable<StoredObject>, table: ExtentTable, { isElsewhere }: { readonly isElsewhere: boolean }): StoredObject[] {
  const idle: StoredObject[] = [];
  for (const object of objects) if (object.row >= 0 && object.activity === "none" && (object.isSpilled || object.copyOf !== null) === isElsewhere) idle.push(object);
  return idle.sort((a, b) => table.lastUse(a.row) - table.lastUse(b.row));
}

/** For state queries: the objects, and what was freed and is still looked at. */
export function listStored(node: NodeKey, objects: Iterable<StoredObject>, doomedRows: Iterable<number>, table: ExtentTable, slots: readonly (WorkerId | null)[]): StoredObjectListing[] {
  const pinnedBy = (row: number): WorkerId[] => table.pinnedBy(row).flatMap((slot) => slots[slot] ?? []);
  const live = Array.from(objects, ({ id, byteLength, ownerId, row, isSpilled, copyOf, isFreed }): StoredObjectListing => (
    { node, id, byteLength, ownerId: copyOf === null ? ownerId : null, copyOf, isInMemory: row >= 0, isSpilled, isFreed, pinnedBy: row < 0 ? [] : pinnedBy(row) }));
  const freed = Array.from(doomedRows, (row): StoredObjectListing => (
    { node, id: table.id(row), byteLength: table.byteLength(row), ownerId: null, copyOf: null, isInMemory: true, isSpilled: false, isFreed: true, pinnedBy: pinnedBy(row) }));
  return [...live, ...freed];
}
