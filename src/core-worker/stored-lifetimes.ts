import type { WorkerId } from "../base/mod.ts";
import type { StoreClient } from "../clients/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import { ENCODED, ObjectEntry, PENDING } from "./object-entry.ts";
import { EncodedArg } from "./task.ts";

/**
 * Ends this worker's large objects as soon as no ref and no call needs them. JavaScript's garbage collection would end them too,
 * but it does not see how large they are, and may be long in coming.
 */
export class StoredLifetimes {
  readonly #workerId: WorkerId;
  readonly #store: StoreClient;
  readonly #freed: (entry: ObjectEntry) => void;
  /** Calls that have not ended and have the object as an argument. */
  readonly #uses = new Map<ObjectEntry, number>();
  /** Without a ref, but in use. */
  readonly #unreferenced = new Set<ObjectEntry>();

  /** `freed`: called for each object that has ended. */
  constructor(workerId: WorkerId, store: StoreClient, freed: (entry: ObjectEntry) => void) {
    this.#workerId = workerId;
    this.#store = store;
    this.#freed = freed;
  }

  /** A call has it as an argument. */
  used(entry: ObjectEntry): void {
    if (entry.ownerId === this.#workerId) this.#uses.set(entry, (this.#uses.get(entry) ?? 0) + 1);
  }

  /** The call has ended for good: its outcome is known. */
  callEnded(args: readonly unknown[]): void {
    for (const arg of args) {
      if (arg instanceof EncodedArg) this.#release(arg.value);
      else if (arg instanceof ObjectEntry) this.#unused(arg);
    }
  }

  #unused(entry: ObjectEntry): void {
    const uses = this.#uses.get(entry);
    if (uses === undefined) return;
    if (uses > 1) {
      this.#uses.set(entry, uses - 1);
      return;
    }
    this.#uses.delete(entry);
    if (this.#unreferenced.delete(entry)) this.unreferenced(entry);
  }

  /** No ref is left anywhere. */
  unreferenced(entry: ObjectEntry): void {
    if (entry.ownerId !== this.#workerId) return;
    if (this.#uses.has(entry)) this.#unreferenced.add(entry);
    else if (entry.status === PENDING) entry.whenSettled(() => this.unreferenced(entry));
    else if (entry.status === ENCODED) {
      if ((entry.content as EncodedValueRecord).stored !== undefined) this.#freed(entry);
      this.#release(entry.content as EncodedValueRecord);
    }
  }

  /** For state queries: the objects that are arguments of calls which have not ended. */
  entriesInUse(): Iterable<ObjectEntry> {
    return this.#uses.keys();
  }

  #release(value: EncodedValueRecord): void {
    if (value.stored !== undefined) this.#store.release(value.stored);
  }
}
