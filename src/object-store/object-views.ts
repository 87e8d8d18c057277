import { markAsUntransferable } from "node:worker_threads";
import { Finalizer } from "../base/mod.ts";
import type { NativeMemory } from "./native-memory.ts";
import { type EncodedParts, frontBytes, onlyBuffer, readLayout } from "./object-layout.ts";

/** Headers that end within so many bytes are copied, which takes less than a view of them: V8 has to be told of each view, and when it ends. */
const HEAD_BYTES = 1024;
/** From Node 24 on, a thread that ends with such a buffer of native memory aborts the process. */
const CAN_FORBID_TRANSFER = Number.parseInt(process.versions.node, 10) < 24;

/** An object in memory that is mapped here. */
export interface ObjectInMemory {
  readonly id: number;
  /** Its row in the extent table, pinned for this worker. */
  readonly row: number;
  readonly address: bigint;
  readonly byteLength: number;
}

interface Views {
  readonly row: number;
  /** By the place in the object where they begin. */
  readonly buffers: Map<number, WeakRef<ArrayBuffer>>;
}

interface CollectedView {
  readonly id: number;
  readonly at: number;
  readonly weak: WeakRef<ArrayBuffer>;
}

/**
 * The objects that this worker looks at. There is one buffer of each part of an object for all who read it while one of them has it:
 * V8 counts each as so much memory of its own, and collects garbage for that.
 */
export class ObjectViews {
  readonly #unseen: (row: number) => void;
  readonly #views = new Map<number, Views>();
  /** Rows that views keep pinned: the pin of any other row says nothing, for it may come and go with an attempt. */
  readonly #rows = new Set<number>();
  readonly #collected = new Finalizer<CollectedView>((view) => this.#viewCollected(view));
  readonly #head = new Uint8Array(HEAD_BYTES);

  /** `unseen`: called when the last buffer of the object in this row was collected. */
  constructor(unseen: (row: number) => void) {
    this.#unseen = unseen;
  }

  get isEmpty(): boolean {
    return this.#views.size === 0;
  }

  /** Where the object lies that is looked at. */
  rowOf(id: number): number | undefined {
    return this.#views.get(id)?.row;
  }

  keepsPinned(row: number): boolean {
    return this.#rows.has(row);
  }

  /** The parts without a copy, but for a small header. The row must stay pinned for as long as `keepsPinned` says so. */
  open(native: NativeMemory, object: ObjectInMemory): EncodedParts {
    const { address, byteLength } = object;
    const head = this.#head.subarray(0, Math.min(HEAD_BYTES, byteLength));
    native.read(address, head);
    const front = frontBytes(head);
    const isWhole = front <= head.byteLength;
    const source = isWhole ? head : this.#window(native, object, 0, front);
    const layout = readLayout(source);
    const { offset, byteLength: headerBytes } = layout.header;
    return {
      header: isWhole ? pooledCopy(source.subarray(offset, front)) : source.subarray(offset, offset + headerBytes),
      buffers: layout.buffers.map((place) => this.#window(native, object, place.offset, place.byteLength)),
    };
  }

  /** The same for an object of one buffer with a header that is known, of which nothing has to be read: a call out of JavaScript and the code that reads a layout are seldom in the processor's cache. */
  openOnlyBuffer(native: NativeMemory, object: ObjectInMemory, header: Uint8Array): EncodedParts {
    const { offset, byteLength } = onlyBuffer(header.byteLength, object.byteLength);
    return { header: pooledCopy(header), buffers: [this.#window(native, object, offset, byteLength)] };
  }

  #window(native: NativeMemory, { id, row, address }: ObjectInMemory, at: number, byteLength: number): Uint8Array {
    if (byteLength === 0) return new Uint8Array();
    let views = this.#views.get(id);
    if (views === undefined) {
      this.#views.set(id, (views = { row, buffers: new Map() }));
      this.#rows.add(row);
    }
    const known = views.buffers.get(at)?.deref();
    // Somebody may have transferred it all the same.
    if (known?.byteLength === byteLength) return new Uint8Array(known);
    const buffer = native.view(address + BigInt(at), byteLength);
    // Nobody would know when the buffer that it becomes elsewhere is collected.
    if (CAN_FORBID_TRANSFER) markAsUntransferable(buffer);
    const weak = new WeakRef(buffer);
    views.buffers.set(at, weak);
    this.#collected.register(buffer, { id, at, weak });
    return new Uint8Array(buffer);
  }

  #viewCollected({ id, at, weak }: CollectedView): void {
    const views = this.#views.get(id);
    // There may be another one in its place by now.
    if (views?.buffers.get(at) !== weak) return;
    views.buffers.delete(at);
    if (views.buffers.size > 0) return;
    this.#views.delete(id);
    this.#rows.delete(views.row);
    this.#unseen(views.row);
  }

  /** What was collected, without waiting for word of it. */
  dropCollected(): void {
    for (const [id, { buffers }] of this.#views) for (const [at, weak] of buffers) if (weak.deref() === undefined) this.#viewCollected({ id, at, weak });
  }
}

/** Without an ArrayBuffer of its own: after a large view V8 collects garbage at each that is made. */
function pooledCopy(bytes: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = Buffer.from(bytes);
  return new Uint8Array(buffer, byteOffset, byteLength);
}
