import { Deque, forgetOldest, type NodeKey, type WorkerId } from "../base/mod.ts";
import type { PrimaryRecord, StoredObjectListing } from "../protocol/mod.ts";
import { type ArenaState, PAGE_BYTES } from "./arena-state.ts";
import { type Backing, ExtentRows, SERVICE_SLOT } from "./extent-rows.ts";
import { CACHED, EVICTING, type ExtentTable, SEALED, WRITING } from "./extent-table.ts";
import { RoomPatience } from "./room-patience.ts";
import { SPILL_FILE_BYTES_MAX } from "./spill-state.ts";
import { leastRecentlyUsed, listStored, type RoomRequest, type StoredObject } from "./stored-object.ts";
import { ANSWER_DISK_FULL, ANSWER_FULL, ANSWER_GRANTED, GRANT_ROWS_MAX } from "./store-control.ts";
import type { LossReason, StoreInstruction } from "./store-instructions.ts";
import { WorkerSlots } from "./worker-slots.ts";

/** Objects are written to disk in fused files: when room is made, then for one file at once, if there is so much. */
const SPILL_PAGES_WANTED = SPILL_FILE_BYTES_MAX / PAGE_BYTES;
/** At most this part of the capacity is written in one go, so that what is used soon stays. */
const SPILL_CAPACITY_DIVISOR = 4;
/** Of workers that have ended, of objects that are lost, and of what was said too early. */
const REMEMBERED_MAX = 10_000;

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
  readonly slots = new WorkerSlots();
  readonly #queue = new Deque<RoomRequest>();
  readonly #collecting = new Set<WorkerId>();
  /** Since the queue was empty last. */
  #hasCollected = false;
  #pagesSpilling = 0;
  /** Changes when memory was found for somebody who waited, or an object got to disk. */
  progress = 0;
  #nextCopyId = 0;
  /** Somebody is to be told when they end. */
  readonly #watched = new Set<number>();
  readonly #lost = new Map<number, LossReason>();
  /** What owners said of objects whose makers' messages are still on their way. */
  readonly #early = new Map<number, { readonly ownerId: WorkerId; readonly said: "adopted" | "freed" | "reused" }>();
  readonly #ended = new Set<WorkerId>();
  #instructions: StoreInstruction[] = [];

  constructor(arena: ArenaState, table: ExtentTable, back: Backing) {
    this.#arena = arena;
    this.#table = table;
    this.#rows = new ExtentRows(arena, table, back);
  }

  #emit(instruction: StoreInstruction): void { this.#instructions.push(instruction); }

  /** What is to be done after the last events. */
  takeInstructions(): StoreInstruction[] {
    const instructions = this.#instructions;
    this.#instructions = [];
    return instructions;
  }

  // ------------------------------------------------------------------ workers

  /** All that it had goes back; what others still look at stays until they let go. */
  workerLost(workerId: WorkerId): void {
    forgetOldest(this.#ended.add(workerId), REMEMBERED_MAX);
    this.#collecting.delete(workerId);
    this.#queue.removeWhere((request) => request.kind === "grant" && request.workerId === workerId);
    const slot = this.slots.of(workerId);
    if (slot !== undefined) {
      // Its owner may know such an object from the worker itself: there are two ways, and one message was lost.
      for (const row of this.#rows.clearSlot(slot)) this.#register(workerId, row, this.#table.id(row), this.#table.byteLength(row), null);
      this.slots.release(workerId, slot);
    }
    let hasOrphans = false;
    for (const object of [...this.#objects.values()]) {
      this.#stopWaiting(object, workerId);
      if (object.ownerId === workerId) this.#lose(object, "ownerDied");
      else if (object.producerId === workerId && !object.isAdopted) hasOrphans = true;
    }
    if (hasOrphans) this.#emit({ type: "expectAdoption", producerId: workerId });
    this.#makeRoom();
  }

  #stopWaiting(object: StoredObject, workerId: WorkerId): void {
    if (object.waiting.length === 0) return;
    object.waiting = object.waiting.filter((waiter) => waiter.workerId !== workerId);
    if (object.waiting.length > 0 || object.activity !== "restoring" || object.row >= 0) return;
    this.#queue.removeWhere((request) => request.kind === "restore" && request.object === object);
    object.activity = "none";
  }

  /** The results of an ended worker that no owner has asked for will not be asked for. */
  adoptionExpired(producerId: WorkerId): void {
    for (const object of [...this.#objects.values()]) if (object.producerId === producerId && !object.isAdopted) this.#lose(object, "freed");
    this.#makeRoom();
  }

  // ------------------------------------------------------------------ memory for workers

  /** Wants one extent of so many pages; up to `count` if they are to be had for nothing. Answered in the worker's mailbox. */
  request(workerId: WorkerId, sequence: number, pages: number, count: number, mayWait: boolean): void {
    const slot = this.slots.of(workerId);
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
    for (const [index, row] of rows.entries()) this.#rows.grant(row, slot, index === 0 ? WRITING : CACHED);
    this.#emit({ type: "answer", slot, sequence, answer: ANSWER_GRANTED, rows });
  }

  /** The worker had given up when the answer came: what it was given goes to others. */
  answerRefused(rows: readonly number[]): void { for (const row of rows) this.#rows.refused(row); this.#makeRoom(); }

  requestCancelled(workerId: WorkerId, sequence: number): void {
    this.#queue.removeWhere((request) => request.kind === "grant" && request.workerId === workerId && request.sequence === sequence);
    this.#makeRoom();
  }

  // ------------------------------------------------------------------ objects

  sealed(producerId: WorkerId, row: number, id: number, byteLength: number, ownerId: WorkerId): void {
    const found = this.#objects.get(id);
    if (found?.ownerId === null) {
      found.isAdopted = ownerId === producerId;
      found.ownerId = ownerId;
      if (this.#ended.has(ownerId)) this.#lose(found, "ownerDied");
    }
    if (found !== undefined || this.#lost.has(id) || this.#ended.has(producerId)) return;
    this.#register(producerId, row, id, byteLength, ownerId);
    this.#makeRoom();
  }

  /** Also one that its maker has sealed and not told of yet: a ref that goes through other nodes may be quicker. */
  #find(id: number): StoredObject | undefined {
    const isUnheard = !this.#objects.has(id) && !this.#lost.has(id) && (this.#early.get(id)?.said ?? "adopted") === "adopted";
    const row = isUnheard ? this.#rows.sealedUnheard(id) : undefined;
    const producerId = row === undefined ? null : (this.slots.holders[this.#table.slot(row)] ?? null);
    if (row !== undefined && producerId !== null) this.#register(producerId, row, id, this.#table.byteLength(row), null);
    return this.#objects.get(id);
  }

  #register(producerId: WorkerId, row: number, id: number, byteLength: number, producerSays: WorkerId | null): void {
    const early = this.#early.get(id);
    this.#early.delete(id);
    // Its owner has freed it already and keeps the extent: for its next object, so it stays granted.
    if (early?.said === "reused") return;
    this.#rows.filled(row, id);
    const ownerId = producerSays ?? early?.ownerId ?? null;
    const object: StoredObject = { id, byteLength, pages: this.#table.pages(row), ownerId, producerId, isAdopted: ownerId === producerId || early !== undefined, row, isSpilled: false, copyOf: null, activity: "none", isFreed: false, waiting: [], attempt: 0, patience: null };
    this.#objects.set(id, object);
    if (early?.said === "freed") this.#lose(object, "freed");
    else if (ownerId !== null && this.#ended.has(ownerId)) this.#lose(object, "ownerDied");
  }

  adopted(ownerId: WorkerId, id: number): void {
    const object = this.#objects.get(id);
    if (object !== undefined) {
      object.isAdopted = true;
      object.ownerId = ownerId;
    } else if (!this.#lost.has(id)) {
      forgetOldest(this.#early.set(id, { ownerId, said: "adopted" }), REMEMBERED_MAX);
    }
  }

  /** From its owner. `isReused`: the owner keeps the extent for its next object. */
  freed(ownerId: WorkerId, id: number, isReused: boolean): void {
    const object = this.#objects.get(id);
    if (object === undefined) {
      if (!this.#lost.has(id)) forgetOldest(this.#early.set(id, { ownerId, said: isReused ? "reused" : "freed" }), REMEMBERED_MAX);
      return;
    }
    if (isReused) {
      this.#rows.reused(object.row, id);
      object.row = -1;
    }
    this.#lose(object, "freed");
    this.#makeRoom();
  }

  /** A reader has let go of an extent that somebody waits for. */
  unpinned(row: number): void { this.#rows.unpinned(row); this.#makeRoom(); }

  /** Somebody needs an object and does not find it where it was. The answer pins it for that worker. */
  fetch(workerId: WorkerId, requestId: number, id: number): void {
    const object = this.#find(id);
    if (object === undefined || object.isFreed) return this.#emit({ type: "fetchFailed", workerId, requestId, id, reason: this.#lost.get(id) ?? "freed" });
    if (object.row >= 0 && object.activity !== "restoring") return this.#deliver(object, workerId, requestId);
    object.waiting.push({ workerId, requestId });
    if (object.activity === "none") this.#waitForRoom(object);
  }

  #waitForRoom(object: StoredObject): void {
    object.activity = "restoring";
    object.patience = new RoomPatience(this.progress);
    this.#queue.push({ kind: "restore", object, pages: object.pages });
    this.#makeRoom();
    if (object.row < 0) this.#emit({ type: "expectRoom", id: object.id, attempt: ++object.attempt });
  }

  #deliver(object: StoredObject, workerId: WorkerId, requestId: number): void {
    if (this.slots.of(workerId) === undefined) return;
    const row = this.pinFor(workerId, object.id);
    // Else its owner is freeing it at this moment.
    this.#emit(row !== undefined ? { type: "fetched", workerId, requestId, row } : { type: "fetchFailed", workerId, requestId, id: object.id, reason: "freed" });
  }

  /** Where the object is in memory, pinned for that worker; undefined if it is not, or the worker has no slot. */
  pinFor(workerId: WorkerId, id: number): number | undefined {
    const object = this.#objects.get(id);
    const slot = this.slots.of(workerId);
    if (object === undefined || slot === undefined || object.row < 0 || object.activity === "restoring") return undefined;
    const { row } = object;
    if (!this.#table.tryPinFor(row, slot, id, SERVICE_SLOT)) return undefined;
    this.#table.touch(row, 0);
    return row;
  }

  unpin(workerId: WorkerId, row: number): void {
    const slot = this.slots.of(workerId);
    if (slot !== undefined && (this.#table.clearPin(row, slot) || this.isPressed)) this.unpinned(row);
  }

  #lose(object: StoredObject, reason: LossReason): void {
    forgetOldest(this.#lost.set(object.id, reason), REMEMBERED_MAX);
    if (this.#watched.delete(object.id)) this.#emit({ type: "watchedGone", id: object.id, reason });
    this.#refuseWaiting(object, reason);
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

  // ------------------------------------------------------------------ other nodes

  /**
   * A copy of another node's object, under an id of its own, gets memory as soon as there is some: `restore` says where, `copyRefused` that
   * there is none. It has come with `restored`; until it is freed it is dropped whenever memory is short and nobody looks at it.
   */
  addCopy(nodeId: WorkerId, copyOf: PrimaryRecord, byteLength: number, pages: number): number {
    const id = this.#nextCopyId++;
    const copy: StoredObject = { id, byteLength, pages, ownerId: nodeId, producerId: nodeId, isAdopted: true, row: -1, isSpilled: false, copyOf, activity: "none", isFreed: false, waiting: [], attempt: 0, patience: null };
    this.#objects.set(id, copy);
    this.#waitForRoom(copy);
    return id;
  }

  /** A copy that has come is the primary from now on, for that owner, who adopts it when it has heard of it: only then may it move on. Answers where it is in memory; undefined if it is gone. */
  keepCopy(id: number, ownerId: WorkerId): number | undefined {
    const copy = this.#objects.get(id);
    if (copy === undefined || copy.copyOf === null || copy.row < 0 || copy.activity !== "none" || copy.isFreed) return undefined;
    [copy.copyOf, copy.ownerId, copy.isAdopted] = [null, ownerId, false];
    return copy.row;
  }

  /** The primary copies, for whoever they are. */
  primaries(): StoredObject[] { return [...this.#objects.values()].filter(({ copyOf, isFreed }) => copyOf === null && !isFreed); }

  /** `watchedGone` when the object ends; at once if it has. */
  watch(id: number): void {
    if (this.#find(id)?.isFreed !== false) this.#emit({ type: "watchedGone", id, reason: this.#lost.get(id) ?? "freed" });
    else this.#watched.add(id);
  }
  unwatch(id: number): void { this.#watched.delete(id); }

  // ------------------------------------------------------------------ disk

  spilled(ids: readonly number[]): void {
    this.#progressMade();
    for (const object of this.#endSpilling(ids, true)) if (!this.#dropFromMemory(object)) this.#table.changeState(object.row, EVICTING, SEALED);
    this.#makeRoom();
  }

  spillFailed(ids: readonly number[], isDiskFull: boolean): void {
    for (const object of this.#endSpilling(ids, false)) this.#table.changeState(object.row, EVICTING, SEALED);
    this.#serveQueue();
    // Whoever waits could only wait for the same failure.
    for (const request of this.#queue.removeWhere(() => true)) {
      if (request.kind === "grant") this.#emit({ type: "answer", slot: request.slot, sequence: request.sequence, answer: isDiskFull ? ANSWER_DISK_FULL : ANSWER_FULL, rows: [] });
      else this.#restoreRefused(request.object, isDiskFull ? "diskFull" : "full");
    }
    this.#hasCollected = false;
  }

  /** Answers those that are still needed. */
  #endSpilling(ids: readonly number[], isSpilled: boolean): StoredObject[] {
    const needed: StoredObject[] = [];
    for (const id of ids) {
      const object = this.#objects.get(id);
      if (object === undefined || object.activity !== "spilling") continue;
      object.activity = "none";
      object.isSpilled = isSpilled;
      this.#pagesSpilling -= object.pages;
      if (object.isFreed) this.#forget(object);
      else needed.push(object);
    }
    return needed;
  }

  /** False if somebody looks at it. There is a copy on disk. */
  #dropFromMemory(object: StoredObject): boolean {
    if (!this.#rows.tryDrop(object.row, object.id)) return false;
    object.row = -1;
    if (object.copyOf !== null) {
      this.#objects.delete(object.id);
      this.#emit({ type: "copyDropped", id: object.id });
    }
    return true;
  }

  restored(id: number, pinnedBy: WorkerId | null = null): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring") return;
    object.activity = "none";
    this.#table.describe(object.row, id, object.byteLength);
    this.#table.change(object.row, WRITING, SERVICE_SLOT, SEALED, SERVICE_SLOT);
    this.#rows.filled(object.row, id);
    if (object.isFreed) return this.#forget(object);
    for (const { workerId, requestId } of object.waiting) this.#deliver(object, workerId, requestId);
    object.waiting = [];
    if (pinnedBy !== null) this.pinFor(pinnedBy, id);
    this.#makeRoom();
  }

  /** If the copy on disk is damaged or gone, the object is lost; anything else may pass. */
  restoreFailed(id: number, isDamaged: boolean): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring") return;
    this.#rows.release(object.row, WRITING);
    object.row = -1;
    object.activity = "none";
    if (object.isFreed) this.#forget(object);
    else if (isDamaged) this.#lose(object, "damaged");
    else this.#restoreRefused(object, "unreadable");
    this.#makeRoom();
  }

  /** No room was found for it in time. */
  roomExpired(id: number, attempt: number): void {
    const object = this.#objects.get(id);
    if (object === undefined || object.activity !== "restoring" || object.row >= 0 || object.attempt !== attempt) return;
    if (object.patience?.goesOn(this.progress, this.isSpilling) === true) return this.#emit({ type: "expectRoom", id, attempt });
    this.#queue.removeWhere((request) => request.kind === "restore" && request.object === object);
    this.#restoreRefused(object, "full");
    this.#makeRoom();
  }

  #restoreRefused(object: StoredObject, reason: LossReason): void {
    object.activity = "none";
    this.#refuseWaiting(object, reason);
    if (object.copyOf === null) return;
    this.#objects.delete(object.id);
    this.#emit({ type: "copyRefused", id: object.id, reason });
  }

  #refuseWaiting(object: StoredObject, reason: LossReason): void {
    for (const { workerId, requestId } of object.waiting) this.#emit({ type: "fetchFailed", workerId, requestId, id: object.id, reason });
    object.waiting = [];
  }

  // ------------------------------------------------------------------ room

  collected(workerId: WorkerId): void { if (this.#collecting.delete(workerId) && this.#collecting.size === 0) this.#makeRoom(); }

  /** Who has not collected by now does not hold up the others. */
  collectionExpired(): void { this.#collecting.clear(); this.#makeRoom(); }

  /** What workers look at is all that is left, and nobody but their garbage collectors knows when they do not any more. */
  collectAgain(): void { this.#hasCollected = false; this.#makeRoom(); }

  /** Whether a reader that lets go should say so. */
  get isPressed(): boolean { return this.#queue.length > 0; }
  get isSpilling(): boolean { return this.#pagesSpilling > 0; }

  #progressMade(): void { this.progress = (this.progress + 1) | 0; }

  /** Serves who waits, as far as there is room, and sees to it that there will be. */
  #makeRoom(): void {
    const head = this.#serveQueue();
    if (head !== undefined) this.#pressFor(head);
  }

  /** Answers who could not be served. */
  #serveQueue(): RoomRequest | undefined {
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      const row = this.#allocate(head.pages);
      if (row === undefined) return head;
      this.#queue.shift();
      this.#progressMade();
      if (head.kind === "grant") {
        this.#grant(head.slot, head.sequence, [row]);
      } else {
        this.#table.change(row, CACHED, SERVICE_SLOT, WRITING, SERVICE_SLOT);
        head.object.row = row;
        this.#emit({ type: "restore", id: head.object.id, row });
      }
    }
    this.#hasCollected = false;
    return undefined;
  }

  #pressFor(head: RoomRequest): void {
    if (!this.#hasCollected) {
      this.#hasCollected = true;
      const asleep = new Set([...this.#queue].map((request) => (request.kind === "grant" ? request.workerId : null)));
      const workerIds = [...this.slots.workers()].filter((workerId) => !asleep.has(workerId));
      for (const workerId of workerIds) this.#collecting.add(workerId);
      if (workerIds.length > 0) this.#emit({ type: "collect", workerIds });
    }
    if (this.#collecting.size > 0 || this.#pagesSpilling >= head.pages) return;
    const wanted = Math.max(head.pages, Math.min(SPILL_PAGES_WANTED, Math.floor(this.#arena.capacityPages / SPILL_CAPACITY_DIVISOR))) - this.#pagesSpilling;
    const victims: { id: number; row: number }[] = [];
    let pages = 0;
    for (const object of leastRecentlyUsed(this.#objects.values(), this.#table, { isElsewhere: false })) {
      if (pages >= wanted) break;
      if (!this.#startEviction(object)) continue;
      pages += object.pages;
      victims.push({ id: object.id, row: object.row });
    }
    this.#pagesSpilling += pages;
    if (victims.length > 0) this.#emit({ type: "spill", objects: victims });
    else if (this.#pagesSpilling === 0) this.#emit({ type: "collectLater" });
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

  /** A row of its own for the service, or undefined if room must be made first. */
  #allocate(pages: number): number | undefined {
    let row = this.#rows.allocate(pages);
    for (const object of row === undefined ? leastRecentlyUsed(this.#objects.values(), this.#table, { isElsewhere: true }) : []) {
      if (this.#dropFromMemory(object)) row = this.#rows.allocateFree(pages);
      if (row !== undefined) break;
    }
    return row;
  }

  // ------------------------------------------------------------------ to see

  /**
   * For a worker without shared memory: the row to copy the object from, pinned for the service until `copied`; null if it must be
   * read from disk; or why there is none.
   */
  beginCopy(id: number): { readonly row: number | null; readonly byteLength: number } | LossReason {
    const object = this.#find(id);
    if (object === undefined || object.isFreed) return this.#lost.get(id) ?? "freed";
    const { row, byteLength } = object;
    if (row < 0 || object.activity === "restoring") return { row: null, byteLength };
    if (this.#table.tryPin(row, SERVICE_SLOT, id)) return { row, byteLength };
    this.copied(row);
    return "freed";
  }

  copied(row: number): void { if (this.#table.clearPin(row, SERVICE_SLOT)) this.unpinned(row); }

  /** For state queries: the objects, and what was freed and is still looked at. */
  list(node: NodeKey): StoredObjectListing[] {
    return listStored(node, this.#objects.values(), this.#rows.doomed(), this.#table, this.slots.holders);
  }

  usage(): { readonly objects: number; readonly usedPages: number; readonly capacityPages: number; readonly grantedRows: number; readonly doomedRows: number; readonly waiting: number } {
    return { objects: this.#objects.size, usedPages: this.#arena.usedPages, capacityPages: this.#arena.capacityPages, grantedRows: this.#rows.grantedCount, doomedRows: this.#rows.doomedCount, waiting: this.#queue.length };
  }
}
