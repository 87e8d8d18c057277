import type { WorkerId } from "../base/mod.ts";
import type { EncodedValueRecord, StoredRecord } from "../protocol/mod.ts";

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
   * the buffers, and the object's memory stays until they are collected. Rejects with ObjectLostError, OwnerDiedError,
   * ObjectFreedError, ObjectStoreFullError.
   */
  open(value: EncodedValueRecord): EncodedValueRecord | Promise<EncodedValueRecord>;
  /** The object is not needed any more. Its memory goes back when no view of it is left. Nothing happens a second time. */
  release(stored: StoredRecord): void;
}
