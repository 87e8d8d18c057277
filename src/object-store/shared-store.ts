import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ObjectStoreFullError, OutOfDiskError, type RandomSource, type WorkerId } from "../base/mod.ts";
import type { StoreClient } from "../clients/mod.ts";
import type { EncodedValueRecord, StoredRecord, ToStore } from "../protocol/mod.ts";
import { classPages, PAGE_BYTES } from "./arena-state.ts";
import { runGarbageCollector } from "./garbage-collector.ts";
import { CACHED, DOOMED, type ExtentTable, SEALED, WRITING } from "./extent-table.ts";
import { MemoryStore } from "./memory-store.ts";
import { loadNativeMemory, type NativeMemory } from "./native-memory.ts";
import { layoutBytes, readLayout, writeLayout } from "./object-layout.ts";
import { openSegmentFile } from "./segment-files.ts";
import { controlPath, type StoreConfig } from "./store-config.ts";
import { ANSWER_AWAITED, ANSWER_DISK_FULL, ANSWER_GRANTED, STATUS_READY, STATUS_UNAVAILABLE, StoreControl, type Answer } from "./store-control.ts";
import { StoreDoor } from "./store-door.ts";

/** Smaller values travel inside messages and live in their owner's memory. */
export const INLINE_BYTES_MAX = 100 * 1024;
/** A producer waits so long for memory, asleep; then it gets ObjectStoreFullError. */
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
const NONCE_BYTES = 3;
const IDS_PER_ATTACHMENT = 2 ** 32;

export interface SharedStoreEnvironment {
  readonly workerId: WorkerId;
  readonly config: StoreConfig;
  /** In the process of the service; null in others. */
  readonly door: SharedArrayBuffer | null;
  readonly random: RandomSource;
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

interface Segment {
  readonly address: bigint;
  readonly byteLength: number;
  /** All of it; made with the first write. */
  bytes: Uint8Array | null;
}

/** An object of this worker's, for as long as the record that stands for it is reachable. */
interface Owned {
  readonly id: number;
  readonly row: number;
  readonly weak: WeakRef<StoredRecord>;
}

/** Buffers of one object that this worker looks at. */
interface Views {
  readonly row: number;
  readonly buffers: Set<WeakRef<ArrayBuffer>>;
}

interface CollectedView {
  readonly id: number;
  readonly weak: WeakRef<ArrayBuffer>;
}

const EMPTY = new Uint8Array();

/** The object store as one worker uses it: large values in memory that all workers of the machine share, small ones here. */
export class SharedStore implements StoreClient {
  readonly #env: SharedStoreEnvironment;
  readonly #small = new MemoryStore();
  /** Undefined until the first large value; null where there is no shared memory. */
  #attached: Attachment | null | undefined = undefined;
  readonly #owned = new Map<number, Owned>();
  readonly #dropped = new FinalizationRegistry<Owned>((owned) => { if (this.#owned.get(owned.id) === owned) this.#free(owned.id); });
  readonly #views = new Map<number, Views>();
  readonly #collected = new FinalizationRegistry<CollectedView>(({ id, weak }) => this.#viewCollected(id, weak));
  /** By size: rows of extents that are this worker's to fill. */
  readonly #cache = new Map<number, number[]>();
  #cachePages = 0;
  #nextId = 0;
  #nextSequence = 1;
  #isDetached = false;

  constructor(environment: SharedStoreEnvironment) {
    this.#env = environment;
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
    const stored: StoredRecord = { id, row, byteLength };
    if (ownerId === this.#env.workerId) this.#own(stored);
    return { format: value.format, header: EMPTY, buffers: [], descriptors: value.descriptors, code: value.code, stored };
  }

  /** A row in WRITING; null if the service cannot be asked now. */
  #allocate(attached: Attachment, byteLength: number): number | null {
    const pages = classPages(byteLength, attached.segmentPagesMax);
    if (pages === null) {
      throw new ObjectStoreFullError(`an object of ${megabytes(byteLength)} is larger than one can be here, ${megabytes(attached.segmentPagesMax * PAGE_BYTES)}: put it in parts, or raise objectStoreMemory (up to 2 GB for one object)`);
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
    throw new ObjectStoreFullError(`no room for an object of ${megabytes(byteLength)} within ${FULL_WAIT_MS_MAX / 1000} s: ${megabytes(used)} of ${megabytes(capacity)} are in use, and what is in use is being looked at. Drop views of objects, release refs, or raise objectStoreMemory`);
  }

  #takeCached({ table, slot }: Attachment, pages: number): number | undefined {
    const rows = this.#cache.get(pages);
    for (let row = rows?.pop(); row !== undefined; row = rows?.pop()) {
      this.#cachePages -= pages;
      // The service takes unused extents back when it needs memory.
      if (table.change(row, CACHED, slot, WRITING, slot)) return row;
    }
    return undefined;
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
    control.awaitAnswer(slot, sequence);
    this.#env.send({ type: "storeRequest", sequence, pages, count: pages <= PREFETCH_PAGES_MAX ? PREFETCH_COUNT : 1, mayWait });
    if (!this.#env.flush()) {
      control.stopAwaiting(slot);
      this.#env.send({ type: "storeRequestCancelled", sequence });
      return null;
    }
    const answer = this.#sleepUntilAnswered(native, control, controlAddress + BigInt(StoreControl.answerWordOffset(slot)), slot);
    if (answer === ANSWER_DISK_FULL) throw new OutOfDiskError("the object store is full, and so is the disk that it spills to: free disk space, set objectSpillingDirectory, or release objects");
    if (answer === ANSWER_AWAITED) {
      this.#env.send({ type: "storeRequestCancelled", sequence });
      return undefined;
    }
    if (answer !== ANSWER_GRANTED) return undefined;
    for (const row of control.grantedRows(slot)) this.#keepForReuse(row, attached.table.pages(row));
    return this.#takeCached(attached, pages);
  }

  #sleepUntilAnswered(native: NativeMemory, control: StoreControl, address: bigint, slot: number): Answer {
    const deadlineMs = performance.now() + FULL_WAIT_MS_MAX;
    for (;;) {
      const answer = control.answer(slot);
      if (answer !== ANSWER_AWAITED) return answer;
      const leftMs = deadlineMs - performance.now();
      if (leftMs > 0) native.waitWhile(address, ANSWER_AWAITED, leftMs);
      else if (control.stopAwaiting(slot)) return ANSWER_AWAITED;
    }
  }

  // ------------------------------------------------------------------ owning objects

  adopt(stored: StoredRecord): void {
    this.#env.send({ type: "storeAdopted", id: stored.id });
    this.#own(stored);
  }

  #own(stored: StoredRecord): void {
    const owned = { id: stored.id, row: stored.row, weak: new WeakRef(stored) };
    this.#owned.set(stored.id, owned);
    this.#dropped.register(stored, owned, stored);
  }

  release(stored: StoredRecord): void {
    this.#dropped.unregister(stored);
    this.#free(stored.id);
  }

  #free(id: number): void {
    const row = this.#owned.get(id)?.row;
    if (row === undefined || this.#isDetached) return;
    this.#owned.delete(id);
    this.#env.send({ type: "storeFreed", id, isReused: this.#attached != null && this.#tryReuse(this.#attached, id, row) });
  }

  /** Takes the extent for this worker's next object, if it can be had without asking anybody. */
  #tryReuse({ table, slot, control }: Attachment, id: number, row: number): boolean {
    const hasViews = this.#views.has(id);
    // The pin keeps the service from giving the row to another object between these steps.
    const isPinned = table.tryPin(row, slot, id);
    const isDoomed = isPinned && table.changeState(row, SEALED, DOOMED);
    if (!hasViews) table.clearPin(row, slot);
    if (!isDoomed || hasViews || table.isPinned(row)) return false;
    const pages = table.pages(row);
    const cachePagesMax = Math.min(CACHE_BYTES_MAX / PAGE_BYTES, control.capacityPages / CACHE_CAPACITY_DIVISOR);
    if (this.#cachePages + pages > cachePagesMax || control.isPressed) return false;
    if (!table.change(row, DOOMED, table.slot(row), CACHED, slot)) return false;
    this.#keepForReuse(row, pages);
    return true;
  }

  /** Objects whose refs or views the program has dropped, without waiting for the collector to find time. */
  #freeGarbage(): void {
    runGarbageCollector();
    for (const [id, { buffers }] of this.#views) for (const weak of buffers) if (weak.deref() === undefined) this.#viewCollected(id, weak);
    for (const [id, { weak }] of this.#owned) if (weak.deref() === undefined) this.#free(id);
  }

  /** The service is short of memory. */
  collectGarbage(): void {
    if (this.#isDetached) return;
    this.#freeGarbage();
    // What was registered for collected views is called in a turn of its own.
    setImmediate(() => setImmediate(() => this.#env.send({ type: "storeCollected" })));
  }

  // ------------------------------------------------------------------ reading objects

  open(value: EncodedValueRecord): EncodedValueRecord | Promise<EncodedValueRecord> {
    const { stored } = value;
    if (stored === undefined) return value;
    const attached = this.#attach();
    if (attached === null) return this.#env.ask<Uint8Array>((requestId) => ({ type: "storeRead", requestId, id: stored.id })).then((bytes) => copiedParts(value, bytes));
    const { table, slot } = attached;
    if (table.tryPin(stored.row, slot, stored.id)) return this.#viewed(attached, value, stored.id, stored.row);
    this.#unpin(attached, stored.id, stored.row);
    return this.#env.ask<number>((requestId) => ({ type: "storeFetch", requestId, id: stored.id })).then((row) => this.#viewed(attached, value, stored.id, row));
  }

  /** The row is pinned; it stays so until the last of these buffers is collected. */
  #viewed(attached: Attachment, value: EncodedValueRecord, id: number, row: number): EncodedValueRecord {
    const { table, native, control } = attached;
    table.touch(row, control.nextTick());
    let views = this.#views.get(id);
    if (views === undefined) this.#views.set(id, (views = { row, buffers: new Set() }));
    const { buffers } = views;
    const { segment, offset } = table.place(row);
    const address = (attached.segments[segment] as Segment).address + BigInt(offset * PAGE_BYTES);
    const window = (at: number, byteLength: number): Uint8Array => {
      if (byteLength === 0) return new Uint8Array();
      const buffer = native.view(address + BigInt(at), byteLength);
      const weak = new WeakRef(buffer);
      buffers.add(weak);
      this.#collected.register(buffer, { id, weak });
      return new Uint8Array(buffer);
    };
    const layout = readLayout(this.#bytesOf(attached, row, table.byteLength(row)));
    return {
      format: value.format, descriptors: value.descriptors, code: value.code,
      header: window(layout.header.offset, layout.header.byteLength),
      buffers: layout.buffers.map((place) => window(place.offset, place.byteLength)),
    };
  }

  #viewCollected(id: number, weak: WeakRef<ArrayBuffer>): void {
    const views = this.#views.get(id);
    if (views === undefined || !views.buffers.delete(weak) || views.buffers.size > 0) return;
    this.#views.delete(id);
    if (this.#attached == null) return;
    if (this.#isDetached) {
      if (this.#views.size === 0) this.#unmap(this.#attached);
      return;
    }
    this.#unpin(this.#attached, id, views.row);
  }

  #unpin({ table, slot, control }: Attachment, id: number, row: number): void {
    if (this.#views.has(id)) return;
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
    return this.#attached;
  }

  #tryAttach(): Attachment | null {
    const { memory: native } = loadNativeMemory();
    if (native === null) return null;
    const nonce = Number.parseInt(this.#env.random.hex(NONCE_BYTES), 16) + 1;
    const deadlineMs = performance.now() + ATTACH_MS_MAX;
    this.#env.send({ type: "storeAttach", nonce });
    if (!this.#env.flush()) return null;
    const mapped = this.#env.door === null ? this.#openControlFile(native, deadlineMs) : new StoreDoor(this.#env.door).wait(ATTACH_MS_MAX);
    if (mapped === null || mapped === undefined) return null;
    const control = new StoreControl(native.view(mapped.address, mapped.byteLength));
    let slot = control.slotOf(nonce);
    while (slot === undefined) {
      const seen = control.attachCount;
      slot = control.slotOf(nonce);
      if (slot !== undefined) break;
      if (performance.now() > deadlineMs) return null;
      native.waitWhile(mapped.address + BigInt(StoreControl.attachWordOffset), seen, deadlineMs - performance.now());
      slot = control.slotOf(nonce);
    }
    this.#nextId = control.attachNumber(slot) * IDS_PER_ATTACHMENT;
    const { segmentPages, addresses, folder } = control.description();
    const segments = segmentPages.map((pages, segment): Segment => {
      const byteLength = pages * PAGE_BYTES;
      const address = this.#env.door === null ? native.map(openSegmentFile(join(folder, `segment-${segment}`)), byteLength) : (addresses[segment] as bigint);
      return { address, byteLength, bytes: null };
    });
    return { native, controlAddress: mapped.address, controlBytes: mapped.byteLength, control, table: control.table, slot, segments, segmentPagesMax: Math.max(...segmentPages) };
  }

  /** In another process than the service's: waits for the file. */
  #openControlFile(native: NativeMemory, deadlineMs: number): { address: bigint; byteLength: number } | null {
    const path = controlPath(this.#env.config);
    const idle = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    for (;;) {
      try {
        const { byteLength, buffer, byteOffset } = readFileSync(path);
        const { status } = new StoreControl(buffer.slice(byteOffset, byteOffset + byteLength));
        if (status === STATUS_READY) return { address: native.map(openSegmentFile(path), byteLength), byteLength };
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
    this.#isDetached = true;
    this.#owned.clear();
  }

  #unmap({ native, segments, controlAddress, controlBytes }: Attachment): void {
    this.#attached = null;
    for (const { address, byteLength } of segments) native.unmap(address, byteLength);
    native.unmap(controlAddress, controlBytes);
  }
}

function copiedParts(value: EncodedValueRecord, bytes: Uint8Array): EncodedValueRecord {
  const { header, buffers } = readLayout(bytes);
  const part = ({ offset, byteLength }: { offset: number; byteLength: number }): Uint8Array => bytes.slice(offset, offset + byteLength);
  return { format: value.format, descriptors: value.descriptors, code: value.code, header: part(header), buffers: buffers.map(part) };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MB`;
}
