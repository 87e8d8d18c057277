import { readFileSync } from "node:fs";
import { Finalizer, forgetOldest, megabytes, type NodeKey, ObjectStoreFullError, OutOfDiskError, type RandomSource, type WorkerId } from "../base/mod.ts";
import type { ObjectOrigin, OwnedObject, StoreClient, Waiting } from "../clients/mod.ts";
import type { EncodedValueRecord, PrimaryRecord, PulledObject, RoomOrigin, StoredRecord, ToStore } from "../protocol/mod.ts";
import { classPages, PAGE_BYTES } from "./arena-state.ts";
import { runGarbageCollector } from "./garbage-collector.ts";
import { FarObjects } from "./far-objects.ts";
import { CACHED, DOOMED, type ExtentTable, SEALED, WRITING } from "./extent-table.ts";
import { mapFile, mapSegments, type Segment } from "./mapped-segments.ts";
import { MemoryStore } from "./memory-store.ts";
import { loadNativeMemory, type NativeMemory } from "./native-memory.ts";
import { copiedParts, layoutBytes, writeLayout } from "./object-layout.ts";
import { ObjectViews } from "./object-views.ts";
import { RoomPatience } from "./room-patience.ts";
import { describeFullStore, roomWanted } from "./room-waits.ts";
import { controlPath, type StoreConfig } from "./store-config.ts";
import { ANSWER_AWAITED, ANSWER_DISK_FULL, ANSWER_GRANTED, STATUS_READY, STATUS_UNAVAILABLE, StoreControl } from "./store-control.ts";
import { StoreDoor } from "./store-door.ts";

/** Smaller values travel inside messages and live in their owner's memory. */
export const INLINE_BYTES_MAX = 100 * 1024;
/** A producer waits so long for memory, asleep, while none comes free and none is being made (RoomPatience); then it gets ObjectStoreFullError. */
const FULL_WAIT_MS_MAX = 5_000;
/** The service answers a first contact within this time, or objects are copied. */
const ATTACH_MS_MAX = 10_000;
const ATTACH_POLL_MS = 1;
/** Extents that are kept for this worker's next objects. */
const CACHE_BYTES_MAX = 64 * 1024 ** 2;
const CACHE_CAPACITY_DIVISOR = 8;
/** Objects up to this size are given memory for several at once. */
const PREFETCH_PAGES_MAX = 256;
const PREFETCH_COUNT = 4;
/** Freed objects whose origin is kept, for when views of them take up memory. */
const FREED_REMEMBERED_MAX = 1_000;
/** The header of an object of one buffer travels beside its place if it is no longer: who reads the object then need not look for it in shared memory. */
const CARRIED_HEADER_BYTES_MAX = 64;
const NONCE_BYTES = 4;
const NONCES = 2 ** 30;
const IDS_PER_ATTACHMENT = 2 ** 32;

export interface SharedStoreEnvironment {
  readonly workerId: WorkerId;
  /** Where this worker lives. */
  readonly node: NodeKey;
  /** Null on another machine than the service: objects are copied. */
  readonly config: StoreConfig | null;
  /** In the process of the service; null in others. */
  readonly door: SharedArrayBuffer | null;
  readonly random: RandomSource;
  /** How long a producer sleeps for want of memory until it is said why; 0: it is not. Asked when one does. */
  waitWarningMs(): number;
  /** What the running code is, asked when it has to wait. */
  origin(): RoomOrigin;
  /** Says it at once: the thread sleeps again in a moment. */
  warnAsleep(text: string): void;
  send(message: ToStore): void;
  /** Makes what was sent leave this thread at once; false if it could not. */
  flush(): boolean;
  ask<T>(build: (requestId: number) => ToStore): Promise<T>;
}

interface Attachment {
  readonly native: NativeMemory;
  readonly controlAddress: bigint;
  readonly controlBytes: number;
  readonly control: StoreControl;
  readonly table: ExtentTable;
  readonly slot: number;
  readonly segments: readonly Segment[];
  readonly segmentPagesMax: number;
}

/** An object of this worker's, for as long as the record that stands for it is reachable. */
interface Owned {
  readonly id: number;
  readonly row: number;
  readonly byteLength: number;
  readonly weak: WeakRef<StoredRecord>;
  origin: ObjectOrigin | null;
}

const EMPTY = new Uint8Array();

/** The object store as one worker uses it: large values in memory that all workers of the machine share, small ones here. */
export class SharedStore implements StoreClient {
  readonly #env: SharedStoreEnvironment;
  readonly #small = new MemoryStore();
  readonly #far: FarObjects;
  /** Undefined until the first large value; null where there is no shared memory. */
  #attached: Attachment | null | undefined = undefined;
  readonly #owned = new Map<number, Owned>();
  readonly #dropped = new Finalizer<Owned>((owned) => { if (this.#owned.get(owned.id) === owned) this.#free(owned.id); });
  /** Those whose memory was not free at once. */
  readonly #freed = new Map<number, OwnedObject>();
  readonly #views = new ObjectViews((row) => this.#unseen(row));
  /** By size: rows of extents that are this worker's to fill. */
  readonly #cache = new Map<number, number[]>();
  #cachePages = 0;
  #nextId = 0;
  #nextSequence = 1;
  #isDetached = false;

  constructor(environment: SharedStoreEnvironment) {
    this.#env = environment;
    this.#far = new FarObjects((message) => { if (!this.#isDetached) environment.send(message); });
  }

  // ------------------------------------------------------------------ making objects

  create(value: EncodedValueRecord, ownerId: WorkerId): EncodedValueRecord {
    const byteLength = layoutBytes(value);
    if (byteLength <= INLINE_BYTES_MAX) return this.#small.create(value);
    const attached = this.#attach();
    if (attached === null) return this.#small.create(value);
    const row = this.#allocate(attached, byteLength);
    if (row === null) return this.#small.create(value);
    const { table, control, slot } = attached;
    const id = this.#nextId++;
    table.describe(row, id, byteLength);
    writeLayout(this.#bytesOf(attached, row, byteLength), value);
    table.touch(row, control.nextTick());
    table.change(row, WRITING, slot, SEALED, slot);
    this.#env.send({ type: "storeSealed", row, id, byteLength, ownerId });
    const stored: StoredRecord = { node: this.#env.node, id, row, byteLength };
    if (ownerId === this.#env.workerId) this.#own(stored);
    return { format: value.format, header: carriedHeader(value), buffers: [], descriptors: value.descriptors, code: value.code, stored };
  }

  /** A row in WRITING; null if the service cannot be asked now. */
  #allocate(attached: Attachment, byteLength: number): number | null {
    const pages = classPages(byteLength, attached.segmentPagesMax);
    if (pages === null) {
      throw new ObjectStoreFullError(`an object of ${megabytes(byteLength)} is larger than one can be here, ${megabytes(Math.max(0, attached.segmentPagesMax) * PAGE_BYTES)}: put it in parts, or raise objectStoreMemory (up to 2 GB for one object)`);
    }
    for (const mayWait of [false, true]) {
      const row = this.#takeCached(attached, pages) ?? this.#request(attached, pages, mayWait);
      if (row === null) return null;
      if (row !== undefined) return row;
      // What this program holds no longer is better given back than written to disk.
      if (!mayWait) this.#freeGarbage();
    }
    const used = attached.control.usedPages * PAGE_BYTES;
    const capacity = attached.control.capacityPages * PAGE_BYTES;
    throw new ObjectStoreFullError(`no room for an object of ${megabytes(byteLength)} within ${FULL_WAIT_MS_MAX / 1000} s, in which none came free: ${megabytes(used)} of ${megabytes(capacity)} are in use, and what is in use is being looked at. Drop views of objects, release refs, or raise objectStoreMemory`);
  }

  #takeCached({ table, slot }: Attachment, pages: number): number | undefined {
    const rows = this.#cache.get(pages);
    for (let row = rows?.pop(); row !== undefined; row = rows?.pop()) {
      this.#cachePages -= pages;
      // The service takes unused extents back when it needs memory.
      if (!table.change(row, CACHED, slot, WRITING, slot)) continue;
      if (table.pages(row) === pages) return row;
      // It may have given the row to this worker again since then, with other memory.
      table.change(row, WRITING, slot, CACHED, slot);
    }
    return undefined;
  }

  /** New extents, in place of those that the service has taken back. */
  #replenish({ table, slot }: Attachment, granted: readonly number[]): void {
    const kept = [...this.#cache].flatMap(([pages, rows]) => rows.filter((row) => table.state(row) === CACHED && table.slot(row) === slot && table.pages(row) === pages));
    this.#cache.clear();
    this.#cachePages = 0;
    for (const row of new Set([...kept, ...granted])) this.#keepForReuse(row, table.pages(row));
  }

  #keepForReuse(row: number, pages: number): void {
    const rows = this.#cache.get(pages);
    if (rows === undefined) this.#cache.set(pages, [row]);
    else rows.push(row);
    this.#cachePages += pages;
  }

  /** Undefined: full. */
  #request(attached: Attachment, pages: number, mayWait: boolean): number | null | undefined {
    const { native, control, controlAddress, slot } = attached;
    const sequence = this.#nextSequence++;
    const origin = mayWait ? this.#env.origin() : null;
    let warnAtMs = this.#warnAtMs(mayWait);
    let deadlineMs = performance.now() + FULL_WAIT_MS_MAX;
    const patience = new RoomPatience(control.progress);
    const awaitedWord = control.awaitAnswer(slot, sequence);
    this.#env.send({ type: "storeRequest", sequence, pages, count: pages <= PREFETCH_PAGES_MAX ? PREFETCH_COUNT : 1, mayWait, origin });
    if (!this.#env.flush()) {
      control.stopAwaiting(slot, sequence);
      this.#env.send({ type: "storeRequestCancelled", sequence });
      return null;
    }
    const answerAddress = controlAddress + BigInt(StoreControl.answerWordOffset(slot));
    let answer = control.answer(slot);
    for (; answer === ANSWER_AWAITED; answer = control.answer(slot)) {
      const nowMs = performance.now();
      if (nowMs >= warnAtMs) {
        warnAtMs = Infinity;
        this.#warnAsleep(attached, pages, origin);
      }
      const leftMs = deadlineMs - nowMs;
      if (leftMs > 0) native.waitWhile(answerAddress, awaitedWord, Math.min(leftMs, warnAtMs - nowMs));
      else if (patience.goesOn(control.progress, control.isSpilling)) deadlineMs = performance.now() + FULL_WAIT_MS_MAX;
      else if (control.stopAwaiting(slot, sequence)) break;
    }
    if (answer === ANSWER_DISK_FULL) throw new OutOfDiskError("the object store is full, and so is the disk that it spills to: free disk space, set objectSpillingDirectory, or release objects");
    if (answer === ANSWER_AWAITED) {
      this.#env.send({ type: "storeRequestCancelled", sequence });
      return undefined;
    }
    if (answer !== ANSWER_GRANTED) return undefined;
    const [row, ...more] = control.grantedRows(slot);
    this.#replenish(attached, more);
    return row;
  }

  #warnAtMs(mayWait: boolean): number {
    const afterMs = mayWait ? this.#env.waitWarningMs() : 0;
    return afterMs === 0 ? Infinity : performance.now() + afterMs;
  }

  /** The node cannot say it: who is to hear of it may be this thread, and sleeps. */
  #warnAsleep({ table, control, slot }: Attachment, pages: number, origin: RoomOrigin | null): void {
    const what = roomWanted(pages * PAGE_BYTES, origin);
    this.#env.warnAsleep(`${what} has waited ${this.#env.waitWarningMs() / 1000} s for room in the object store: ${describeFullStore(table, slot, control.capacityPages)}. This thread sleeps until some comes free; drop views of objects, release refs, or raise objectStoreMemory (memorySummary() tells who holds what)`);
    this.#env.flush();
  }

  // ------------------------------------------------------------------ owning objects

  adopt(stored: StoredRecord): void {
    if (stored.node !== this.#env.node) return this.#far.adopt(stored);
    this.#env.send({ type: "storeAdopted", node: stored.node, id: stored.id });
    this.#own(stored);
  }

  #own(stored: StoredRecord): void {
    const owned: Owned = { id: stored.id, row: stored.row, byteLength: stored.byteLength, weak: new WeakRef(stored), origin: null };
    this.#owned.set(stored.id, owned);
    this.#dropped.register(stored, owned, stored);
  }

  release(stored: StoredRecord): void {
    if (stored.node !== this.#env.node) return this.#far.release(stored);
    this.#dropped.unregister(stored);
    this.#free(stored.id);
  }

  #free(id: number): void {
    const owned = this.#owned.get(id);
    if (owned === undefined || this.#isDetached) return;
    this.#owned.delete(id);
    const isReused = this.#attached != null && this.#tryReuse(this.#attached, id, owned.row);
    if (!isReused) this.#rememberFreed(owned);
    this.#env.send({ type: "storeFreed", node: this.#env.node, id, isReused });
  }

  #rememberFreed({ id, byteLength, origin }: Owned): void {
    this.#freed.set(id, { node: this.#env.node, id, byteLength, origin, isFreed: true });
    forgetOldest(this.#freed, FREED_REMEMBERED_MAX);
  }

  describe(stored: StoredRecord, origin: ObjectOrigin): void {
    if (stored.node !== this.#env.node) return this.#far.describe(stored, origin);
    const owned = this.#owned.get(stored.id);
    if (owned !== undefined) owned.origin = origin;
  }

  originOf(place: PrimaryRecord): ObjectOrigin | null { return this.#far.originOf(place); }

  owned(): OwnedObject[] {
    for (const [id, { weak }] of this.#owned) if (weak.deref() === undefined) this.#free(id);
    const live = Array.from(this.#owned.values(), ({ id, byteLength, origin }): OwnedObject => ({ node: this.#env.node, id, byteLength, origin, isFreed: false }));
    return [...live, ...this.#far.list(), ...this.#freed.values()];
  }

  /** Takes the extent for this worker's next object, if it can be had without asking anybody. */
  #tryReuse(attached: Attachment, id: number, row: number): boolean {
    const { table, slot, control } = attached;
    // The pin keeps the service from giving the row to another object between these steps.
    const isReused = table.tryPin(row, slot, id) && table.changeState(row, SEALED, DOOMED) && !this.#views.keepsPinned(row) && !table.isPinnedByOthers(row, slot)
      && this.#hasCacheRoom(control, table.pages(row)) && table.change(row, DOOMED, table.slot(row), CACHED, slot);
    this.#unpin(attached, row);
    if (isReused) this.#keepForReuse(row, table.pages(row));
    return isReused;
  }

  #hasCacheRoom(control: StoreControl, pages: number): boolean {
    return !control.isPressed && this.#cachePages + pages <= Math.min(CACHE_BYTES_MAX / PAGE_BYTES, control.capacityPages / CACHE_CAPACITY_DIVISOR);
  }

  /** Objects whose refs or views the program has dropped, without waiting for the collector to find time. */
  #freeGarbage(): void {
    runGarbageCollector();
    this.#views.dropCollected();
    for (const [id, { weak }] of this.#owned) if (weak.deref() === undefined) this.#free(id);
    this.#far.freeGarbage();
  }

  /** The service is short of memory. */
  collectGarbage(): void {
    if (this.#isDetached) return;
    this.#freeGarbage();
    // What was registered for collected views is called in a turn of its own.
    setImmediate(() => setImmediate(() => this.#env.send({ type: "storeCollected" })));
  }

  // ------------------------------------------------------------------ reading objects

  open(value: EncodedValueRecord, waiting?: Waiting): EncodedValueRecord | Promise<EncodedValueRecord> {
    const { stored } = value;
    if (stored === undefined) return value;
    const attached = this.#attach();
    if (stored.node !== this.#env.node) return this.#openFar(attached, value, stored, waiting);
    if (attached === null) return this.#env.ask<Uint8Array>((requestId) => ({ type: "storeRead", requestId, id: stored.id })).then((bytes) => copiedParts(value, bytes));
    const row = this.#views.rowOf(stored.id) ?? stored.row;
    return this.#isPinned(attached, stored.id, row) ? this.#viewed(attached, value, stored.id, row) : this.#fetched(attached, value, stored.id);
  }

  /** The node has a copy, or gets one. */
  #openFar(attached: Attachment | null, value: EncodedValueRecord, stored: StoredRecord, waiting: Waiting | undefined): EncodedValueRecord | Promise<EncodedValueRecord> {
    const known = this.#far.copyOf(stored);
    if (attached !== null && known !== undefined && this.#isPinned(attached, known.id, known.row)) return this.#viewed(attached, value, known.id, known.row);
    return this.#pulled(value, stored, waiting);
  }

  async #pulled(value: EncodedValueRecord, stored: StoredRecord, waiting: Waiting | undefined): Promise<EncodedValueRecord> {
    const { node, id, byteLength } = stored;
    let isHere = false;
    const pulled = await this.#env.ask<PulledObject>((requestId) => {
      waiting?.whenOver(() => { if (!isHere) this.#env.send({ type: "storePullCancelled", requestId }); });
      return { type: "storePull", requestId, node, id, byteLength };
    }).finally(() => { isHere = true; });
    if (pulled instanceof Uint8Array) return copiedParts(value, pulled);
    this.#far.remember(stored, pulled);
    return this.open(value, waiting);
  }

  prefetch(stored: StoredRecord): void {
    if (stored.node !== this.#env.node) this.#far.prefetch(stored);
  }

  /** The service brings it back into memory, or says where it is. */
  async #fetched(attached: Attachment, value: EncodedValueRecord, id: number): Promise<EncodedValueRecord> {
    const row = await this.#env.ask<number>((requestId) => ({ type: "storeFetch", requestId, id }));
    // The runtime has ended meanwhile, and the memory may be gone.
    if (this.#attached !== attached) return this.open(value);
    // The service has pinned it, but views that were collected since then may have taken that pin with them.
    return this.#isPinned(attached, id, row) ? this.#viewed(attached, value, id, row) : this.#fetched(attached, value, id);
  }

  #isPinned(attached: Attachment, id: number, row: number): boolean {
    if (attached.table.tryPin(row, attached.slot, id)) return true;
    this.#unpin(attached, row);
    return false;
  }

  /** The row is pinned; it stays so until the last of these buffers is collected. */
  #viewed(attached: Attachment, value: EncodedValueRecord, id: number, row: number): EncodedValueRecord {
    const { table, native, control } = attached;
    table.touch(row, control.nextTick());
    const { segment, offset } = table.place(row);
    const address = (attached.segments[segment] as Segment).address + BigInt(offset * PAGE_BYTES);
    const object = { id, row, address, byteLength: table.byteLength(row) };
    const { header, buffers } = value.header.byteLength > 0 ? this.#views.openOnlyBuffer(native, object, value.header) : this.#views.open(native, object);
    this.#unpin(attached, row);
    return { format: value.format, descriptors: value.descriptors, code: value.code, header, buffers };
  }

  #unseen(row: number): void {
    if (this.#attached == null) return;
    if (!this.#isDetached) this.#unpin(this.#attached, row);
    else if (this.#views.isEmpty) this.#leave(this.#attached);
  }

  /** Unless somebody looks at it. */
  #unpin({ table, slot, control }: Attachment, row: number): void {
    if (this.#views.keepsPinned(row)) return;
    if (table.clearPin(row, slot) || control.isPressed) this.#env.send({ type: "storeUnpinned", row });
  }

  #bytesOf(attached: Attachment, row: number, byteLength: number): Uint8Array {
    const { segment, offset } = attached.table.place(row);
    const mapped = attached.segments[segment] as Segment;
    mapped.bytes ??= new Uint8Array(attached.native.view(mapped.address, mapped.byteLength));
    return mapped.bytes.subarray(offset * PAGE_BYTES, offset * PAGE_BYTES + byteLength);
  }

  // ------------------------------------------------------------------ attaching

  #attach(): Attachment | null {
    if (this.#attached === undefined) this.#attached = this.#isDetached ? null : this.#tryAttach();
    return this.#attached ?? null;
  }

  /** Undefined: the service cannot be asked yet. */
  #tryAttach(): Attachment | null | undefined {
    const { config } = this.#env;
    const { memory: native } = loadNativeMemory();
    if (native === null || config === null) {
      // The service finds the same, and says so once for all.
      this.#env.send({ type: "storeAttach", nonce: null });
      return null;
    }
    const nonce = (Number.parseInt(this.#env.random.hex(NONCE_BYTES), 16) % NONCES) + 1;
    const deadlineMs = performance.now() + ATTACH_MS_MAX;
    if (!this.#env.flush()) return undefined;
    this.#env.send({ type: "storeAttach", nonce });
    if (!this.#env.flush()) return null;
    const mapped = this.#env.door === null ? this.#openControlFile(native, config, deadlineMs) : new StoreDoor(this.#env.door).wait(ATTACH_MS_MAX);
    if (mapped === null || mapped === undefined) return null;
    const control = new StoreControl(native.view(mapped.address, mapped.byteLength));
    const slot = this.#awaitSlot(native, control, mapped.address, nonce, deadlineMs);
    if (slot === null) {
      if (this.#env.door === null) native.unmap(mapped.address, mapped.byteLength);
      return null;
    }
    const segments = mapSegments(native, control, this.#env.door !== null);
    if (segments === null) {
      // As if there were no shared memory here at all.
      this.#env.send({ type: "storeAttach", nonce: null });
      native.unmap(mapped.address, mapped.byteLength);
      return null;
    }
    this.#nextId = control.attachNumber(slot) * IDS_PER_ATTACHMENT;
    return { native, controlAddress: mapped.address, controlBytes: mapped.byteLength, control, table: control.table, slot, segments, segmentPagesMax: Math.max(...control.description().segmentPages) };
  }

  /** Null if there is none for this worker, or not in time. */
  #awaitSlot(native: NativeMemory, control: StoreControl, controlAddress: bigint, nonce: number, deadlineMs: number): number | null {
    for (;;) {
      const seen = control.attachCount;
      const slot = control.slotOf(nonce);
      if (slot !== undefined) return slot;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || control.isRefused(nonce)) return null;
      native.waitWhile(controlAddress + BigInt(StoreControl.attachWordOffset), seen, leftMs);
    }
  }

  /** In another process than the service's: waits for the file. */
  #openControlFile(native: NativeMemory, config: StoreConfig, deadlineMs: number): { address: bigint; byteLength: number } | null {
    const path = controlPath(config);
    const idle = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    for (;;) {
      try {
        const { byteLength, buffer, byteOffset } = readFileSync(path);
        const { status } = new StoreControl(buffer.slice(byteOffset, byteOffset + byteLength));
        if (status === STATUS_READY) return { address: mapFile(native, path, byteLength), byteLength };
        if (status === STATUS_UNAVAILABLE) return null;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOENT") return null;
      }
      if (performance.now() > deadlineMs) return null;
      Atomics.wait(idle, 0, 0, ATTACH_POLL_MS);
    }
  }

  // ------------------------------------------------------------------ end

  /** The runtime ends. Views that the program still has stay readable; the last one unmaps the memory. */
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.#owned.clear();
    this.#far.forget();
    if (this.#attached != null && this.#views.isEmpty) this.#leave(this.#attached);
  }

  #leave({ native, control, segments, controlAddress, controlBytes }: Attachment): void {
    this.#attached = null;
    // Beside the service, the mapping is its own too.
    if (this.#env.door !== null && !control.leave()) return;
    for (const { address, byteLength } of segments) native.unmap(address, byteLength);
    native.unmap(controlAddress, controlBytes);
  }
}

function carriedHeader({ header, buffers }: EncodedValueRecord): Uint8Array {
  return buffers.length === 1 && header.byteLength <= CARRIED_HEADER_BYTES_MAX ? new Uint8Array(header) : EMPTY;
}
