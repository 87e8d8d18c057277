import { Deque, type WorkerId } from "../base/mod.ts";
import type { ArenaState } from "./arena-state.ts";
import { type Backing, ExtentRows, SERVICE_SLOT } from "./extent-rows.ts";
import { CACHED, EVICTING, type ExtentTable, SEALED, SLOTS_MAX, WRITING } from "./extent-table.ts";
import { ANSWER_DISK_FULL, ANSWER_FULL, ANSWER_GRANTED, type Answer, GRANT_ROWS_MAX } from "./store-control.ts";

/** Objects are written to disk in fused files: when room is made, then for so much at once, if there is so much. */
const SPILL_PAGES_WANTED = (100 * 1024 * 1024) / 4096;
/** At most this part of the capacity is written in one go, so that what is used soon stays. */
const SPILL_CAPACITY_DIVISOR = 4;
/** Ended workers and lost objects whose reason is kept. */
const REASONS_REMEMBERED_MAX = 10_000;

/** Why a reader cannot have an object. */
export type LossReason = "freed" | "ownerDied" | "damaged" | "full" | "diskFull";

export type StoreInstruction =
  | { readonly type: "answer"; readonly slot: number; readonly sequence: number; readonly answer: Answer; readonly rows: readonly number[] }
  | { readonly type: "fetched"; readonly workerId: WorkerId; readonly requestId: number; readonly row: number }
  | { readonly type: "fetchFailed"; readonly workerId: WorkerId; readonly requestId: number; readonly id: number; readonly reason: LossReason }
  /** Write these objects to disk; they stay in memory until that is done. */
  | { readonly type: "spill"; readonly objects: readonly { readonly id: number; readonly row: number }[] }
  | { readonly type: "restore"; readonly id: number; readonly row: number }
  | { readonly type: "forgetSpilled"; readonly id: number }
  /** Ask these workers to run their garbage collectors, and say when they have or when that took too long. */
  | { readonly type: "collect"; readonly workerIds: readonly WorkerId[] }
  /** Results of a worker that has ended, on their way to their owners: after a while nobody will ask for them. */
  | { readonly type: "expectAdoption"; readonly producerId: WorkerId };

interface StoredObject {
  readonly id: number;
  readonly byteLength: number;
  readonly pages: number;
  readonly ownerId: WorkerId;
  readonly producerId: WorkerId;
  /** Its owner knows it. Until then it may be on its way in a message. */
  isAdopted: boolean;
  /** -1: not in memory. */
  row: number;
  /** A copy lies on disk; it stays when the object is restored, since objects never change. */
  isSpilled: boolean;
  activity: "none" | "spilling" | "restoring";
  /** Nobody needs it; only the activity keeps it. */
  isFreed: boolean;
  waiting: { readonly workerId: WorkerId; readonly requestId: number }[];
}

type Request =
  | { readonly kind: "grant"; readonly workerId: WorkerId; readonly slot: number; readonly sequence: number; readonly pages: number }
  | { readonly kind: "restore"; readonly object: StoredObject; readonly pages: number };

export interface StoredObjectRecord {
  readonly id: number;
  readonly byteLength: number;
  readonly ownerId: WorkerId;
  readonly isInMemory: boolean;
  readonly isSpilled: boolean;
  readonly pinnedBy: readonly WorkerId[];
}

/**
 * Which objects the store of one machine holds, where, and who gets memory next. Pure but for the extent table, which it
 * shares with all workers: events in, instructions out.
 *
 * An object: in memory ──spill──▶ in memory and on disk ──room is needed──▶ on disk ──fetch──▶ in memory and on disk.
 *
 * Who wants memory that is not there waits in a queue. Room is made in this order: extents that workers keep for reuse and
 * memory that nobody looks at any more; copies of what is on disk; garbage that workers have not collected; the objects that
 * were not used for longest, by writing them to disk.
 */
export class StoreState {
  readonly #arena: ArenaState;
  readonly #table: ExtentTable;
  readonly #rows: ExtentRows;
  readonly #objects = new Map<number, StoredObject>();
  readonly #slots: (WorkerId | null)[] = [null];
  readonly #slotOf = new Map<WorkerId, number>();
  readonly #queue = new Deque<Request>();
  readonly #collecting = new Set<WorkerId>();
  /** Since the queue was empty last. */
  #hasCollected = false;
  #pagesSpilling = 0;
  readonly #lost = new Map<number, LossReason>();
  /** What owners said of objects whose makers' messages are still on their way. */
  readonly #early = new Map<number, "adopted" | "freed" | "reused">();
  readonly #ended = new Set<WorkerId>();
  #instructions: StoreInstruction[] = [];

  constructor(arena: ArenaState, table: ExtentTable, back: Backing) {
    this.#arena = arena;
    this.#table = table;
    this.#rows = new ExtentRows(arena, table, back);
  }

  #emit(instruction: StoreInstruction): void {
    this.#instructions.push(instruction);
  }

  /** What is to be done after the last events. */
  takeInstructions(): StoreInstruction[] {
    const instructions = this.#instructions;
    this.#instructions = [];
    return instructions;
  }

  // ------------------------------------------------------------------ workers

  /** A slot for the worker, or undefined if all are taken: it then works with copies. */
  attach(workerId: WorkerId): number | undefined {
    const known = this.#slotOf.get(workerId);
    if (known !== undefined) return known;
    let slot = this.#slots.findIndex((holder, index) => index !== SERVICE_SLOT && holder === null);
    if (slot < 0) slot = this.#slots.length;
    if (slot >= SLOTS_MAX) return undefined;
    this.#slots[slot] = workerId;
    this.#slotOf.set(workerId, slot);
    return slot;
  }

  slotOf(workerId: WorkerId): number | undefined {
    return this.#slotOf.get(workerId);
  }

  /** All that it had goes back; what others still look at stays until they let go. */
  workerLost(workerId: WorkerId): void {
    remember(this.#ended, workerId);
    this.#collecting.delete(workerId);
    this.#queue.removeWhere((request) => request.kind === "grant" && request.workerId === workerId);
    const slot = this.#slotOf.get(workerId);
    if (slot !== undefined) {
      this.#rows.clearSlot(slot);
      this.#slots[slot] = null;
      this.#slotOf.delete(workerId);
    }
    let hasOrphans = false;
    for (const object of [...this.#objects.values()]) {
      object.waiting = object.waiting.filter((waiter) => waiter.workerId !== workerId);
      if (object.ownerId === workerId) this.#lose(object, "ownerDied");
      else if (object.producerId === workerId && !object.isAdopted) hasOrphans = true;
    }
    if (hasOrphans) this.#emit({ type: "expectAdoption", producerId: workerId });
    this.#makeRoom();
  }

  /** The results of an ended worker that no owner has asked for will not be asked for. */
  adoptionExpired(producerId: WorkerId): void {
    for (const object of [...this.#objects.values()]) if (object.producerId === producerId && !object.isAdopted) this.#lose(object, "freed");
    this.#makeRoom();
  }

  // ------------------------------------------------------------------ memory for workers

  /** Wants one extent of so many pages; up to `count` if they are to be had for nothing. Answered in the worker's mailbox. */
  request(workerId: WorkerId, sequence: number, pages: number, count: number, mayWait: boolean): void {
    const slot = this.#slotOf.get(workerId);
    if (slot === undefined) return;
    const row = this.#queue.length === 0 ? this.#allocate(pages) : undefined;
    if (row === undefined) {
      if (!mayWait) return this.#emit({ type: "answer", slot, sequence, answer: ANSWER_FULL, rows: [] });
      this.#queue.push({ kind: "grant", workerId, slot, sequence, pages });
      return this.#makeRoom();
    }
    const rows = [row];
    while (rows.length < Math.min(count, GRANT_ROWS_MAX)) {
      const another = this.#rows.allocateFree(pages);
      if (another === undefined) break;
      rows.push(another);
    }
    this.#grant(slot, sequence, rows);
  }

  #grant(slot: number, sequence: number, rows: readonly number[]): void {
    for (const row of rows) this.#rows.grant(row, slot);
    this.#emit({ type: "answer", slot, sequence, answer: ANSWER_GRANTED, rows });
  }

  /** The worker had given up when the answer came: what it was given goes to others. */
  answerRefused(rows: readonly number[]): void {
    for (const row of rows) this.#rows.refused(row);
    this.#makeRoom();
  }

  requestCancelled(workerId: WorkerId, sequence: number): void {
    this.#queue.removeWhere((request) => request.kind === "grant" && request.workerId === workerId && request.sequence === sequence);
    this.#makeRoom();
  }

  // ------------------------------------------------------------------ objects

  sealed(producerId: WorkerId, row: number, id: number, byteLength: number, ownerId: WorkerId): void {
    if (this.#objects.has(id) || this.#ended.has(producerId)) return;
    const early = this.#early.get(id);
    this.#early.delete(id);
    // Its owner has freed it already and keeps the extent: for its next object, so it stays granted.
    if (early === "reused") return;
    this.#rows.filled(row);
    const object: StoredObject = { id, byteLength, pages: this.#table.pages(row), ownerId, producerId, isAdopted: ownerId === producerId || early === "adopted", row, isSpilled: false, activity: "none", isFreed: false, waiting: [] };
    this.#objects.set(id, object);
    if (early === "freed") this.#lose(object, "freed");
    else if (this.#ended.has(ownerId)) this.#lose(object, "ownerDied");
    this.#makeRoom();
  }

  adopted(id: number): void {
    const object = this.#objects.get(id);
    if (object !== undefined) object.isAdopted = true;
    else if (!this.#lost.has(id)) remember(this.#early, id, "adopted");
  }

  /** From its owner. `isReused`: the owner keeps the extent for its next object. */
  freed(id: number, isReused: boolean): void {
    const object = this.#objects.get(id);
    if (object === undefined) {
      if (!this.#lost.has(id)) remember(this.#early, id, isReused ? "reused" : "freed");
      return;
    }
    if (isReused) {
      this.#rows.reused(object.row);
      object.row = -1;
    }
    this.#lose(object, "freed");
    this.#makeRoom();
  }

  /** A reader has let go of an extent that somebody waits for. */
  unpinned(row: number): void {
    this.#rows.unpinned(row);
    this.#makeRoom();
  }

  /** Somebody needs an object and does not find it where it was. The answer pins it for that worker. */
  fetch(workerId: WorkerId, requestId: number, id: number): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.isFreed) return this.#emit({ type: "fetchFailed", workerId, requestId, id, reason: this.#lost.get(id) ?? "freed" });
    if (object.row >= 0 && object.activity !== "restoring") return this.#deliver(object, workerId, requestId);
    object.waiting.push({ workerId, requestId });
    if (object.activity !== "none") return;
    object.activity = "restoring";
    this.#queue.push({ kind: "restore", object, pages: object.pages });
    this.#makeRoom();
  }

  #deliver(object: StoredObject, workerId: WorkerId, requestId: number): void {
    const slot = this.#slotOf.get(workerId);
    if (slot === undefined) return;
    if (this.#table.tryPin(object.row, slot, object.id)) {
      this.#table.touch(object.row, 0);
      this.#emit({ type: "fetched", workerId, requestId, row: object.row });
    } else {
      // Its owner is freeing it at this moment.
      this.#table.clearPin(object.row, slot);
      this.#emit({ type: "fetchFailed", workerId, requestId, id: object.id, reason: "freed" });
    }
  }

  #lose(object: StoredObject, reason: LossReason): void {
    remember(this.#lost, object.id, reason);
    for (const { workerId, requestId } of object.waiting) this.#emit({ type: "fetchFailed", workerId, requestId, id: object.id, reason });
    object.waiting = [];
    object.isFreed = true;
    if (object.activity === "none") this.#forget(object);
    else if (object.activity === "restoring" && object.row < 0) {
      this.#queue.removeWhere((request) => request.kind === "restore" && request.object === object);
      this.#forget(object);
    }
  }

  #forget(object: StoredObject): void {
    this.#objects.delete(object.id);
    if (object.isSpilled) this.#emit({ type: "forgetSpilled", id: object.id });
    if (object.row >= 0) this.#rows.doom(object.row, object.id);
  }

  // ------------------------------------------------------------------ disk

  spilled(ids: readonly number[]): void {
    for (const id of ids) {
      const object = this.#endSpilling(id);
      if (object === undefined) continue;
      object.isSpilled = true;
      if (object.isFreed) this.#forget(object);
      else if (!this.#dropFromMemory(object)) this.#table.changeState(object.row, EVICTING, SEALED);
    }
    this.#makeRoom();
  }

  spillFailed(ids: readonly number[], isDiskFull: boolean): void {
    for (const id of ids) {
      const object = this.#endSpilling(id);
      if (object === undefined) continue;
      if (object.isFreed) this.#forget(object);
      else this.#table.changeState(object.row, EVICTING, SEALED);
    }
    // Whoever waits could only wait for the same failure.
    for (const request of this.#queue.removeWhere(() => true)) {
      if (request.kind === "grant") this.#emit({ type: "answer", slot: request.slot, sequence: request.sequence, answer: isDiskFull ? ANSWER_DISK_FULL : ANSWER_FULL, rows: [] });
      else this.#restoreRefused(request.object, isDiskFull ? "diskFull" : "full");
    }
    this.#hasCollected = false;
  }

  #endSpilling(id: number): StoredObject | undefined {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "spilling") return undefined;
    object.activity = "none";
    this.#pagesSpilling -= object.pages;
    return object;
  }

  /** False if somebody looks at it. There is a copy on disk. */
  #dropFromMemory(object: StoredObject): boolean {
    if (!this.#rows.tryDrop(object.row, object.id)) return false;
    object.row = -1;
    return true;
  }

  restored(id: number): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring") return;
    object.activity = "none";
    this.#table.describe(object.row, id, object.byteLength);
    this.#table.change(object.row, WRITING, SERVICE_SLOT, SEALED, SERVICE_SLOT);
    if (object.isFreed) return this.#forget(object);
    for (const { workerId, requestId } of object.waiting) this.#deliver(object, workerId, requestId);
    object.waiting = [];
    this.#makeRoom();
  }

  /** The copy on disk is damaged or gone, so the object is lost. */
  restoreFailed(id: number): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring") return;
    this.#rows.release(object.row);
    object.row = -1;
    object.activity = "none";
    this.#lose(object, "damaged");
    this.#makeRoom();
  }

  /** No room was found for it in time. */
  restoreExpired(id: number): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring" || object.row >= 0) return;
    this.#queue.removeWhere((request) => request.kind === "restore" && request.object === object);
    this.#restoreRefused(object, "full");
    this.#makeRoom();
  }

  #restoreRefused(object: StoredObject, reason: LossReason): void {
    object.activity = "none";
    for (const { workerId, requestId } of object.waiting) this.#emit({ type: "fetchFailed", workerId, requestId, id: object.id, reason });
    object.waiting = [];
  }

  // ------------------------------------------------------------------ room

  collected(workerId: WorkerId): void {
    if (this.#collecting.delete(workerId) && this.#collecting.size === 0) this.#makeRoom();
  }

  /** Who has not collected by now does not hold up the others. */
  collectionExpired(): void {
    this.#collecting.clear();
    this.#makeRoom();
  }

  /** Whether a reader that lets go should say so. */
  get isPressed(): boolean {
    return this.#queue.length > 0;
  }

  /** Serves who waits, as far as there is room, and sees to it that there will be. */
  #makeRoom(): void {
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      const row = this.#allocate(head.pages);
      if (row === undefined) return this.#pressFor(head);
      this.#queue.shift();
      if (head.kind === "grant") {
        this.#grant(head.slot, head.sequence, [row]);
      } else {
        this.#table.change(row, CACHED, SERVICE_SLOT, WRITING, SERVICE_SLOT);
        head.object.row = row;
        this.#emit({ type: "restore", id: head.object.id, row });
      }
    }
    this.#hasCollected = false;
  }

  #pressFor(head: Request): void {
    if (!this.#hasCollected) {
      this.#hasCollected = true;
      const asleep = new Set([...this.#queue].map((request) => (request.kind === "grant" ? request.workerId : null)));
      const workerIds = [...this.#slotOf.keys()].filter((workerId) => !asleep.has(workerId));
      for (const workerId of workerIds) this.#collecting.add(workerId);
      if (workerIds.length > 0) this.#emit({ type: "collect", workerIds });
    }
    if (this.#collecting.size > 0 || this.#pagesSpilling >= head.pages) return;
    const wanted = Math.max(head.pages, Math.min(SPILL_PAGES_WANTED, Math.floor(this.#arena.capacityPages / SPILL_CAPACITY_DIVISOR))) - this.#pagesSpilling;
    const victims: { id: number; row: number }[] = [];
    let pages = 0;
    for (const object of this.#leastRecentlyUsed()) {
      if (pages >= wanted) break;
      if (object.isSpilled || !this.#startEviction(object)) continue;
      pages += object.pages;
      victims.push({ id: object.id, row: object.row });
    }
    this.#pagesSpilling += pages;
    if (victims.length > 0) this.#emit({ type: "spill", objects: victims });
  }

  #startEviction(object: StoredObject): boolean {
    const { row } = object;
    if (this.#table.isPinned(row) || !this.#table.changeState(row, SEALED, EVICTING)) return false;
    // The owner may have freed the object and reused its extent, and the message is still on its way.
    if (this.#table.id(row) !== object.id) {
      this.#table.changeState(row, EVICTING, SEALED);
      return false;
    }
    object.activity = "spilling";
    return true;
  }

  #leastRecentlyUsed(): StoredObject[] {
    const idle: StoredObject[] = [];
    for (const object of this.#objects.values()) if (object.row >= 0 && object.activity === "none") idle.push(object);
    return idle.sort((a, b) => this.#table.lastUse(a.row) - this.#table.lastUse(b.row));
  }

  /** A row of its own for the service, or undefined if room must be made first. */
  #allocate(pages: number): number | undefined {
    return this.#rows.allocate(pages) ?? this.#allocateFromCopies(pages);
  }

  #allocateFromCopies(pages: number): number | undefined {
    for (const object of this.#leastRecentlyUsed()) {
      if (!object.isSpilled || !this.#dropFromMemory(object)) continue;
      const row = this.#rows.allocateFree(pages);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  // ------------------------------------------------------------------ to see

  rowOf(id: number): number | undefined {
    const object = this.#objects.get(id);
    return object === undefined || object.row < 0 ? undefined : object.row;
  }

  hasPins(slot: number): boolean {
    for (let row = 0; row < this.#rows.used; row++) if (this.#table.isPinnedBy(row, slot)) return true;
    return false;
  }

  /** For state queries. */
  list(): StoredObjectRecord[] {
    return Array.from(this.#objects.values(), (object) => ({
      id: object.id, byteLength: object.byteLength, ownerId: object.ownerId, isInMemory: object.row >= 0, isSpilled: object.isSpilled,
      pinnedBy: object.row < 0 ? [] : this.#table.pinnedBy(object.row).map((slot) => this.#slots[slot] ?? "").filter((workerId) => workerId !== ""),
    }));
  }

  usage(): { readonly objects: number; readonly usedPages: number; readonly capacityPages: number; readonly grantedRows: number; readonly doomedRows: number; readonly waiting: number } {
    return { objects: this.#objects.size, usedPages: this.#arena.usedPages, capacityPages: this.#arena.capacityPages, grantedRows: this.#rows.grantedCount, doomedRows: this.#rows.doomedCount, waiting: this.#queue.length };
  }
}

/** Adds to a set or map whose oldest entries are forgotten. */
function remember<K>(set: Set<K>, key: K): void;
function remember<K, V>(map: Map<K, V>, key: K, value: V): void;
function remember<K, V>(collection: Set<K> | Map<K, V>, key: K, value?: V): void {
  if (collection instanceof Set) collection.add(key);
  else collection.set(key, value as V);
  if (collection.size <= REASONS_REMEMBERED_MAX) return;
  for (const oldest of collection.keys()) {
    collection.delete(oldest);
    return;
  }
}
