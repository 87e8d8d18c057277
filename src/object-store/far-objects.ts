import { Finalizer, forgetOldest } from "../base/mod.ts";
import type { ObjectOrigin, OwnedObject } from "../clients/mod.ts";
import type { PrimaryRecord, StoredRecord, ToStore } from "../protocol/mod.ts";
import { remoteKey } from "./remote-object.ts";

/** Of copies of other nodes' objects that this worker has opened, it remembers where they were. */
const COPIES_REMEMBERED_MAX = 1_000;

/** An object of this worker's, for as long as the record that stands for it is reachable. */
interface FarOwned {
  readonly key: string;
  readonly stored: Pick<StoredRecord, "node" | "id" | "byteLength">;
  readonly weak: WeakRef<StoredRecord>;
  origin: ObjectOrigin | null;
}

/** Where a copy was last seen: an id and a row of this node's store. */
export interface CopyPlace {
  readonly id: number;
  readonly row: number;
}

/** What one worker knows of objects that lie on other nodes: those that it owns, and copies of those that it has read. */
export class FarObjects {
  readonly #send: (message: ToStore) => void;
  readonly #owned = new Map<string, FarOwned>();
  readonly #dropped = new Finalizer<FarOwned>((owned) => { if (this.#owned.get(owned.key) === owned) this.#free(owned); });
  readonly #copies = new Map<string, CopyPlace>();
  /** Asked for ahead, which is not done twice. */
  readonly #prefetched = new WeakSet<StoredRecord>();

  constructor(send: (message: ToStore) => void) {
    this.#send = send;
  }

  adopt(stored: StoredRecord): void {
    const { node, id, byteLength } = stored;
    this.#send({ type: "storeAdopted", node, id });
    const owned: FarOwned = { key: remoteKey(stored), stored: { node, id, byteLength }, weak: new WeakRef(stored), origin: null };
    this.#owned.set(owned.key, owned);
    this.#dropped.register(stored, owned, stored);
  }

  release(stored: StoredRecord): void {
    this.#dropped.unregister(stored);
    const owned = this.#owned.get(remoteKey(stored));
    if (owned !== undefined) this.#free(owned);
  }

  #free({ key, stored: { node, id } }: FarOwned): void {
    this.#owned.delete(key);
    this.#copies.delete(key);
    this.#send({ type: "storeFreed", node, id, isReused: false });
  }

  describe(stored: StoredRecord, origin: ObjectOrigin): void {
    const owned = this.#owned.get(remoteKey(stored));
    if (owned !== undefined) owned.origin = origin;
  }

  originOf(place: PrimaryRecord): ObjectOrigin | null {
    return this.#owned.get(remoteKey(place))?.origin ?? null;
  }

  list(): OwnedObject[] {
    this.freeGarbage();
    return Array.from(this.#owned.values(), ({ stored: { node, id, byteLength }, origin }): OwnedObject => ({ node, id, byteLength, origin, isFreed: false }));
  }

  freeGarbage(): void {
    for (const owned of this.#owned.values()) if (owned.weak.deref() === undefined) this.#free(owned);
  }

  /** The runtime ends. */
  forget(): void {
    this.#owned.clear();
    this.#copies.clear();
  }

  prefetch(stored: StoredRecord): void {
    if (this.#prefetched.has(stored) || this.copyOf(stored) !== undefined) return;
    this.#prefetched.add(stored);
    const { node, id, byteLength } = stored;
    this.#send({ type: "storePrefetch", node, id, byteLength });
  }

  copyOf(stored: StoredRecord): CopyPlace | undefined {
    return this.#copies.get(remoteKey(stored));
  }

  remember(stored: StoredRecord, place: CopyPlace): void {
    forgetOldest(this.#copies.set(remoteKey(stored), place), COPIES_REMEMBERED_MAX);
  }
}
