import type { EncodedValueRecord } from "../protocol/mod.ts";

/** Where the bytes of objects are kept, as core workers see it. */
export interface StoreClient {
  /**
   * Takes a value over: the result shares no memory with `value`, whose buffers its maker may write to again. It lives for
   * as long as the result is reachable.
   */
  create(value: EncodedValueRecord): EncodedValueRecord;
}
