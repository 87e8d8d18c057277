/** Copies of other nodes' objects where there is no shared memory: in the memory of the node's process, within a limit. */
export class HeapCopies {
  readonly #bytesMax: number;
  readonly #dropped: (id: number) => void;
  /** The one that was used last is last. */
  readonly #copies = new Map<number, { readonly bytes: Uint8Array; isComplete: boolean; pins: number }>();
  #bytes = 0;
  #nextId = 0;

  constructor(bytesMax: number, dropped: (id: number) => void) {
    this.#bytesMax = bytesMax;
    this.#dropped = dropped;
  }

  /** Null if there is no room even without copies that nobody uses. */
  add(byteLength: number): number | null {
    for (const [id, { isComplete, pins }] of this.#copies) {
      if (this.#bytes + byteLength <= this.#bytesMax) break;
      if (!isComplete || pins > 0) continue;
      this.drop(id);
      this.#dropped(id);
    }
    if (this.#bytes + byteLength > this.#bytesMax) return null;
    const id = this.#nextId++;
    this.#copies.set(id, { bytes: new Uint8Array(byteLength), isComplete: false, pins: 0 });
    this.#bytes += byteLength;
    return id;
  }

  bytes(id: number): Uint8Array | undefined {
    const copy = this.#copies.get(id);
    if (copy === undefined) return undefined;
    this.#copies.delete(id);
    this.#copies.set(id, copy);
    return copy.bytes;
  }

  complete(id: number): void {
    const copy = this.#copies.get(id);
    if (copy !== undefined) copy.isComplete = true;
  }

  pin(id: number, by: 1 | -1): void {
    const copy = this.#copies.get(id);
    if (copy !== undefined) copy.pins += by;
  }

  drop(id: number): void {
    this.#bytes -= this.#copies.get(id)?.bytes.byteLength ?? 0;
    this.#copies.delete(id);
  }
}
