/** An item and who gets it. */
export interface Handover<T, Reader> {
  readonly reader: Reader;
  readonly item: T;
}
/** Items that were taken out, and who waited to put and now has. */
export interface Taken<T, Writer> {
  readonly items: T[];
  readonly admitted: readonly Writer[];
}

const NOBODY: readonly never[] = [];

/**
 * A queue with those who wait at its two ends. Pure: whoever calls answers those whose waiting is over.
 *
 *   readers wait ◀── get, nothing there ── items ── put, no room ──▶ writers wait
 *
 * Readers wait only while there are no items, writers only while there is no room; so whoever comes later can overtake
 * nobody. Readers and writers are served in the order of their coming.
 */
export class QueueState<T, Reader, Writer> {
  readonly #sizeMax: number;
  /** By number, without gaps: the oldest is at `#head`. */
  readonly #items = new Map<number, T>();
  #head = 0;
  readonly #readers = new Set<Reader>();
  readonly #writers = new Map<Writer, T>();

  /** `sizeMax` may be Infinity. */
  constructor(sizeMax: number) {
    this.#sizeMax = sizeMax;
  }

  get size(): number {
    return this.#items.size;
  }
  get isFull(): boolean {
    return this.#items.size >= this.#sizeMax;
  }

  /** All of them or, when there is no room for all, none: then null. */
  put(items: readonly T[]): readonly Handover<T, Reader>[] | null {
    if (items.length > this.#sizeMax - this.#items.size) return null;
    let handovers: Handover<T, Reader>[] | null = null;
    for (const item of items) {
      const reader = this.#readers.size === 0 ? undefined : firstOf(this.#readers);
      if (reader === undefined) {
        this.#items.set(this.#head + this.#items.size, item);
        continue;
      }
      this.#readers.delete(reader);
      (handovers ??= []).push({ reader, item });
    }
    return handovers ?? NOBODY;
  }

  /** Items that were handed out to somebody who did not take them, oldest first: before all others, also beyond the size. */
  putBack(items: readonly T[]): readonly Handover<T, Reader>[] {
    const handovers: Handover<T, Reader>[] = [];
    for (const reader of this.#readers) {
      if (handovers.length === items.length) break;
      this.#readers.delete(reader);
      handovers.push({ reader, item: items[handovers.length] as T });
    }
    for (let index = items.length - 1; index >= handovers.length; index--) this.#items.set(--this.#head, items[index] as T);
    return handovers;
  }

  /** Null: the writer waits until there is room. */
  putOrWait(item: T, writer: Writer): readonly Handover<T, Reader>[] | null {
    const handovers = this.put([item]);
    if (handovers === null) this.#writers.set(writer, item);
    return handovers;
  }

  /** So many or, when fewer are there, none: then null. */
  get(count: number): Taken<T, Writer> | null {
    if (count > this.#items.size) return null;
    const items: T[] = [];
    for (; items.length < count; this.#head++) {
      items.push(this.#items.get(this.#head) as T);
      this.#items.delete(this.#head);
    }
    return { items, admitted: this.#writers.size === 0 ? NOBODY : this.#admit() };
  }

  /** Null: the reader waits for an item. */
  getOrWait(reader: Reader): Taken<T, Writer> | null {
    const taken = this.get(1);
    if (taken === null) this.#readers.add(reader);
    return taken;
  }

  #admit(): Writer[] {
    const admitted: Writer[] = [];
    for (const [writer, item] of this.#writers) {
      if (this.isFull) break;
      this.#writers.delete(writer);
      this.#items.set(this.#head + this.#items.size, item);
      admitted.push(writer);
    }
    return admitted;
  }

  /** False when it does not wait: it was served before. */
  giveUpReading(reader: Reader): boolean {
    return this.#readers.delete(reader);
  }

  /** The item goes with its writer. */
  giveUpWriting(writer: Writer): boolean {
    return this.#writers.delete(writer);
  }
}

function firstOf<V>(values: Set<V>): V | undefined {
  for (const value of values) return value;
  return undefined;
}
