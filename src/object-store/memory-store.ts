import { type StoreClient, withOwnBuffers } from "../clients/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { runGarbageCollector } from "./garbage-collector.ts";

/** Keeps objects in the memory of the thread that owns them; JavaScript's garbage collection frees them. */
export class MemoryStore implements StoreClient {
  create(value: EncodedValueRecord): EncodedValueRecord {
    return withOwnBuffers(value);
  }

  adopt(): void {}

  open(value: EncodedValueRecord): EncodedValueRecord {
    return value;
  }

  prefetch(): void {}

  release(): void {}

  describe(): void {}

  originOf(): null {
    return null;
  }

  /** What lives in this thread's memory is not registered anywhere. */
  owned(): [] {
    return [];
  }

  collectGarbage(): void {
    runGarbageCollector();
  }
}
