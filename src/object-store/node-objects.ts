import { megabytes, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import type { PulledObject } from "../protocol/mod.ts";
import { classPages } from "./arena-state.ts";
import type { ExtentTable } from "./extent-table.ts";
import { HeapCopies } from "./heap-copies.ts";
import type { RemoteObject } from "./remote-object.ts";
import type { StoreState } from "./store-state.ts";

/** The part of a running store that its own node needs. */
export interface RunningStore {
  readonly state: StoreState;
  readonly table: ExtentTable;
  readonly segmentPagesMax: number;
  bytes(row: number, byteLength: number): Uint8Array;
  /** Carries out what the state says. */
  settle(): void;
}

export interface NodeObjectsEnvironment {
  /** Of the node itself, which is a worker to the store. */
  readonly nodeId: WorkerId;
  readonly capacityBytes: number;
  /** Null where there is no shared memory. */
  running(): RunningStore | null;
  reply(workerId: WorkerId, requestId: number, result: PulledObject | null, error: SystemErrorRecord | null): void;
}

/** Told after all that has happened in the store at once, not within it. */
export interface NodeObjectsEvents {
  held(id: number, bytes: Uint8Array): void;
  holdFailed(id: number, failure: SystemErrorRecord): void;
  /** A watched object has ended. */
  gone(id: number, failure: SystemErrorRecord): void;
  /** Memory for a copy, to be filled. */
  copyRoom(copyId: number, bytes: Uint8Array): void;
  copyRefused(copyId: number, failure: SystemErrorRecord): void;
  /** A complete copy is not in memory any more. */
  copyDropped(copyId: number): void;
}

const FREED: SystemErrorRecord = { kind: "ObjectFreedError", message: "this object was freed: no reference to it was counted any more", subjectId: null };

/**
 * The object store as its own node uses it: to give objects to other nodes, and to keep copies of theirs. A copy is an object of the
 * node's own that is dropped, not written to disk, when memory is short.
 */
export class NodeObjects {
  events: NodeObjectsEvents | null = null;
  readonly #env: NodeObjectsEnvironment;
  #heap: HeapCopies | null = null;
  /** By request: objects that are to be kept in memory. */
  readonly #asked = new Map<number, number>();
  /** By id: rows that are pinned for this node, own objects and copies alike. */
  readonly #pinned = new Map<number, number>();
  readonly #filling = new Map<number, { readonly byteLength: number; hasRoom: boolean }>();
  #happened: ((events: NodeObjectsEvents) => void)[] = [];
  #lastRequestId = 0;

  constructor(environment: NodeObjectsEnvironment) {
    this.#env = environment;
  }

  /** Tells what has happened. */
  flush(): void {
    while (this.#happened.length > 0) {
      const happened = this.#happened;
      this.#happened = [];
      if (this.events !== null) for (const tell of happened) tell(this.events);
    }
  }

  // ------------------------------------------------------------------ objects of this node

  /** It stays in memory until `letGo`. `settle` then; answered by `held` or `holdFailed`. */
  hold(id: number): void {
    const running = this.#env.running();
    if (running === null) return void this.#happened.push((events) => events.holdFailed(id, FREED));
    running.state.slots.attach(this.#env.nodeId);
    this.#asked.set(++this.#lastRequestId, id);
    running.state.fetch(this.#env.nodeId, this.#lastRequestId, id);
  }

  letGo(id: number): void {
    const row = this.#pinned.get(id);
    this.#pinned.delete(id);
    const running = this.#env.running();
    if (row === undefined || running === null) return;
    running.state.unpin(this.#env.nodeId, row);
    running.settle();
  }

  /** `gone` when the object ends, also if it has. `settle` then. */
  watch(id: number): void {
    this.#env.running()?.state.watch(id);
  }

  unwatch(id: number): void {
    this.#env.running()?.state.unwatch(id);
  }

  // ------------------------------------------------------------------ copies

  /** Its id, or why it can never be. `settle` then; answered by `copyRoom` or `copyRefused`. */
  addCopy({ node, id: primaryId, byteLength }: RemoteObject): number | SystemErrorRecord {
    const running = this.#env.running();
    if (running === null) return this.#addToHeap(byteLength);
    const pages = classPages(byteLength, running.segmentPagesMax);
    if (pages === null) return noRoom(byteLength);
    const id = running.state.addCopy(this.#env.nodeId, { node, id: primaryId }, byteLength, pages);
    this.#filling.set(id, { byteLength, hasRoom: false });
    return id;
  }

  #addToHeap(byteLength: number): number | SystemErrorRecord {
    this.#heap ??= new HeapCopies(this.#env.capacityBytes, (id) => void this.#happened.push((events) => events.copyDropped(id)));
    const id = this.#heap.add(byteLength);
    if (id === null) return noRoom(byteLength);
    const bytes = this.#heap.bytes(id) as Uint8Array;
    this.#happened.push((events) => events.copyRoom(id, bytes));
    return id;
  }

  /** Carries out what was asked for. */
  settle(): void {
    this.#env.running()?.settle();
    this.flush();
  }

  /** All of its bytes are there, and it is pinned as by `pinCopy`: when that has ended it may be dropped. */
  completeCopy(copyId: number): void {
    this.#heap?.complete(copyId);
    const running = this.#env.running();
    if (!this.#filling.delete(copyId)) return void this.pinCopy(copyId);
    running?.state.slots.attach(this.#env.nodeId);
    running?.state.restored(copyId, this.#env.nodeId);
    this.pinCopy(copyId);
    running?.settle();
  }

  /** A complete copy is an object of that owner's from now on, which goes to disk like all others. Answers its row; undefined if it cannot be. */
  keepCopy(copyId: number, ownerId: WorkerId): number | undefined {
    return this.#heap === null ? this.#env.running()?.state.keepCopy(copyId, ownerId) : undefined;
  }

  /** Nobody needs it, or it will not be completed. Views of it stay. */
  dropCopy(copyId: number): void {
    this.#heap?.drop(copyId);
    const running = this.#env.running();
    const filling = this.#filling.get(copyId);
    this.#filling.delete(copyId);
    running?.state.freed(this.#env.nodeId, copyId, false);
    if (filling?.hasRoom === true) running?.state.restoreFailed(copyId, false);
    running?.settle();
  }

  /** While its bytes are sent to others. False if it has been dropped. */
  pinCopy(copyId: number): boolean {
    if (this.#heap !== null) {
      this.#heap.pin(copyId, 1);
      return true;
    }
    const state = this.#env.running()?.state;
    state?.slots.attach(this.#env.nodeId);
    const row = state?.pinFor(this.#env.nodeId, copyId);
    if (row !== undefined) this.#pinned.set(copyId, row);
    return row !== undefined;
  }

  unpinCopy(copyId: number): void {
    this.#heap?.pin(copyId, -1);
    this.letGo(copyId);
  }

  /** Replies to a worker of this node with where the copy is, pinned for it, or with its bytes if it has no shared memory. False if it has been dropped. */
  deliver(workerId: WorkerId, requestId: number, copyId: number): boolean {
    const bytes = this.#heap?.bytes(copyId);
    if (bytes !== undefined) {
      this.#env.reply(workerId, requestId, bytes.slice(), null);
      return true;
    }
    const running = this.#env.running();
    if (running === null) return false;
    const { state } = running;
    if (state.slots.of(workerId) !== undefined) {
      const row = state.pinFor(workerId, copyId);
      if (row !== undefined) this.#env.reply(workerId, requestId, { id: copyId, row }, null);
      return row !== undefined;
    }
    const copy = state.beginCopy(copyId);
    if (typeof copy === "string" || copy.row === null) return false;
    this.#env.reply(workerId, requestId, running.bytes(copy.row, copy.byteLength).slice(), null);
    state.copied(copy.row);
    running.settle();
    return true;
  }

  // ------------------------------------------------------------------ what the store says

  /** Whether memory was found for a copy, and not for an object that comes back from disk. */
  isRoomForCopy(id: number, row: number): boolean {
    const filling = this.#filling.get(id);
    const running = this.#env.running();
    if (filling === undefined || running === null) return false;
    filling.hasRoom = true;
    const bytes = running.bytes(row, filling.byteLength);
    this.#happened.push((events) => events.copyRoom(id, bytes));
    return true;
  }

  fetched(requestId: number, row: number): void {
    const id = this.#asked.get(requestId) as number;
    this.#asked.delete(requestId);
    const running = this.#env.running();
    if (running === null) return;
    this.#pinned.set(id, row);
    const bytes = running.bytes(row, running.table.byteLength(row));
    this.#happened.push((events) => events.held(id, bytes));
  }

  fetchFailed(requestId: number, failure: SystemErrorRecord): void {
    const id = this.#asked.get(requestId) as number;
    this.#asked.delete(requestId);
    this.#happened.push((events) => events.holdFailed(id, failure));
  }

  gone(id: number, failure: SystemErrorRecord): void {
    this.#happened.push((events) => events.gone(id, failure));
  }

  copyRefused(copyId: number, failure: SystemErrorRecord): void {
    const byteLength = this.#filling.get(copyId)?.byteLength;
    this.#filling.delete(copyId);
    const refusal = failure.kind === "ObjectStoreFullError" && byteLength !== undefined ? noRoom(byteLength) : failure;
    this.#happened.push((events) => events.copyRefused(copyId, refusal));
  }

  copyDropped(copyId: number): void {
    this.#happened.push((events) => events.copyDropped(copyId));
  }
}

function noRoom(byteLength: number): SystemErrorRecord {
  return { kind: "ObjectStoreFullError", message: `this node has no room for a copy of an object of ${megabytes(byteLength)} from another node: release objects, drop views of them, or raise objectStoreMemory`, subjectId: null };
}
