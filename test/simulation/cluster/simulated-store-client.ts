import { Finalizer, nodeKeyOf, ObjectStoreFullError, OutOfDiskError, type WorkerId } from "../../../src/base/mod.ts";
import { type ObjectOrigin, type StoreClient, withOwnBuffers } from "../../../src/clients/mod.ts";
import { FarObjects } from "../../../src/object-store/far-objects.ts";
import type { EncodedValueRecord, PrimaryRecord, StoredRecord, ToStore } from "../../../src/protocol/mod.ts";
import type { ObjectParts, SimulatedObjectStore } from "./simulated-object-store.ts";

/** Smaller than in the real store, so that programs need not make large values to have stored ones. */
export const INLINE_BYTES_MAX = 2_048;
const EMPTY = new Uint8Array();

export interface StoreClientSetting {
  readonly workerId: WorkerId;
  readonly store: SimulatedObjectStore;
  send(message: ToStore): void;
  ask<T>(build: (requestId: number) => ToStore): Promise<T>;
}

/** What one core worker has of the object store of its machine. */
export class SimulatedStoreClient implements StoreClient {
  readonly #setting: StoreClientSetting;
  readonly #far: FarObjects;
  readonly #owned = new Set<number>();
  readonly #dropped = new Finalizer<number>((id) => this.#free(id));

  constructor(setting: StoreClientSetting) {
    this.#setting = setting;
    this.#far = new FarObjects((message) => setting.send(message));
  }

  create(value: EncodedValueRecord, ownerId: WorkerId): EncodedValueRecord {
    const { workerId, store } = this.#setting;
    const byteLength = value.buffers.reduce((sum, buffer) => sum + buffer.byteLength, value.header.byteLength);
    if (byteLength <= INLINE_BYTES_MAX) return withOwnBuffers(value);
    const stored = store.make(workerId, ownerId, value, byteLength);
    if (stored === "memory") throw new ObjectStoreFullError("no room in the simulated object store");
    if (stored === "disk") throw new OutOfDiskError("no room in the simulated object store, nor on its disk");
    if (ownerId === workerId) this.#own(stored);
    return { format: value.format, header: EMPTY, buffers: [], descriptors: value.descriptors, code: value.code, stored };
  }

  #own(stored: StoredRecord): void {
    this.#owned.add(stored.id);
    this.#dropped.register(stored, stored.id, stored);
  }

  #isHere({ node }: StoredRecord): boolean {
    return node === nodeKeyOf(this.#setting.workerId);
  }

  adopt(stored: StoredRecord): void {
    if (!this.#isHere(stored)) return this.#far.adopt(stored);
    this.#setting.send({ type: "storeAdopted", node: stored.node, id: stored.id });
    this.#own(stored);
  }

  open(value: EncodedValueRecord): EncodedValueRecord | Promise<EncodedValueRecord> {
    const { stored } = value;
    if (stored === undefined) return value;
    const { format, descriptors, code } = value;
    const opened = ({ header, buffers }: ObjectParts): EncodedValueRecord => ({ format, descriptors, code, header: header.slice(), buffers: buffers.map((buffer) => buffer.slice()) });
    const { node, id, byteLength } = stored;
    if (!this.#isHere(stored)) return this.#setting.ask<ObjectParts>((requestId) => ({ type: "storePull", requestId, node, id, byteLength })).then(opened);
    const parts = this.#setting.store.read(id);
    return parts === undefined ? this.#setting.ask<ObjectParts>((requestId) => ({ type: "storeFetch", requestId, id })).then(opened) : opened(parts);
  }

  prefetch(): void {}

  release(stored: StoredRecord): void {
    if (!this.#isHere(stored)) return this.#far.release(stored);
    this.#dropped.unregister(stored);
    this.#free(stored.id);
  }

  #free(id: number): void {
    if (this.#owned.delete(id)) this.#setting.send({ type: "storeFreed", node: nodeKeyOf(this.#setting.workerId), id, isReused: false });
  }

  describe(stored: StoredRecord, origin: ObjectOrigin): void {
    if (!this.#isHere(stored)) this.#far.describe(stored, origin);
  }

  originOf(place: PrimaryRecord): ObjectOrigin | null {
    return this.#far.originOf(place);
  }

  owned(): [] {
    return [];
  }

  collectGarbage(): void {}
}
