import type { NodeKey, ObjectId, WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, PrimaryRecord, StoredRecord } from "../protocol/mod.ts";
import type { StackPlace } from "../serialization/mod.ts";

/** How an object came to be, for who looks for a leak. Keeps nothing of the program alive. */
export interface ObjectOrigin {
  /** Null for an argument that was passed by value. */
  readonly objectId: ObjectId | null;
  /** `put()`, `name()` or `argument 1 of name()`. */
  readonly createdBy: string;
  /** Null where that was not recorded. */
  readonly places: readonly StackPlace[] | null;
}

/** A large object that this worker owns. */
export interface OwnedObject {
  /** Where it lies. */
  readonly node: NodeKey;
  readonly id: number;
  readonly byteLength: number;
  readonly origin: ObjectOrigin | null;
  /** It was released, and its memory was not free at once: views of it may be left somewhere. */
  readonly isFreed: boolean;
}

/** Who waits for objects that come from other nodes, until it waits no more: what nobody else wants is fetched no further then. */
export class Waiting {
  #isOver = false;
  readonly #whenOver: (() => void)[] = [];

  get isOver(): boolean {
    return this.#isOver;
  }

  whenOver(callback: () => void): void {
    if (this.#isOver) callback();
    else this.#whenOver.push(callback);
  }

  end(): void {
    this.#isOver = true;
    for (const callback of this.#whenOver.splice(0)) callback();
  }
}

/** Where the bytes of objects are kept, as core workers see it. */
export interface StoreClient {
  /**
   * Takes a value over: the result shares no memory with `value`, whose buffers its maker may write to again. Small ones, and
   * all where there is no shared memory, live as long as the result is reachable; large ones go to shared memory, where `ownerId`
   * says when they end: if that is this worker, with `release` or when the result's `stored` is not reachable any more.
   *
   * Blocks for a while if the store is full. @throws ObjectStoreFullError, OutOfDiskError.
   */
  create(value: EncodedValueRecord, ownerId: WorkerId): EncodedValueRecord;
  /** From now on this worker owns an object that another has made for it: `release` as above. */
  adopt(stored: StoredRecord): void;
  /**
   * The value with header and buffers that can be read, without a copy where there is shared memory: what is decoded from it may keep
   * the buffers, and the object's memory stays until they are collected. If `waiting` ends before, so may the promise, with any error. Rejects with ObjectLostError, OwnerDiedError,
   * ObjectFreedError, ObjectStoreFullError.
   */
  open(value: EncodedValueRecord, waiting?: Waiting): EncodedValueRecord | Promise<EncodedValueRecord>;
  /** It may be opened soon: if it lies on another node, its bytes are brought near when nothing more urgent is. */
  prefetch(stored: StoredRecord): void;
  /** The object is not needed any more. Its memory goes back when no view of it is left. Nothing happens a second time. */
  release(stored: StoredRecord): void;
  /** Remembers how an object of this worker's came to be. */
  describe(stored: StoredRecord, origin: ObjectOrigin): void;
  /** The same of the one that lies there, on another node. Null if this worker owns none there, or has not described it. */
  originOf(place: PrimaryRecord): ObjectOrigin | null;
  /** The objects of this worker's that are in shared memory or on disk. */
  owned(): OwnedObject[];
  /** Frees what the program holds no longer, without waiting for JavaScript to find time. */
  collectGarbage(): void;
}
