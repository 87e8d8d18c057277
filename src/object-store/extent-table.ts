import { invariant } from "../base/mod.ts";

/**
 * The part of shared memory that says what every extent of the arena holds and who may touch it. All processes and threads of
 * a machine change it by single atomic operations, so that whoever dies in the middle of something blocks nobody.
 *
 * A row has sixteen words, one cache line:
 *
 *   0 state and slot   4 bytes used        8…15 pins: one bit for each slot
 *   1 segment          5 tick of last use
 *   2 first page       6 object id, low
 *   3 pages            7 object id, high
 *
 * ```
 *   FREE ──(1) granted──▶ CACHED ──(2) taken──▶ WRITING ──(3)──▶ SEALED ◀──────────────┐
 *    ▲                      │ ▲                                   │  │                 │ (6) pinned meanwhile
 *    │◀─(4) taken back──────┘ │                                   │  └──(5) spill──▶ EVICTING
 *    │                        └──────(8) freed by its owner───────┤                    │
 *    │                                                            ▼ (7)                │ (7)
 *    └──────────────(9) no pin left──────────────────────────── DOOMED ◀───────────────┘
 * ```
 *
 * Who asked for memory gets it as WRITING at once, and more as CACHED. (2, 3, 8) are a worker's; (1, 4, 5, 6, 9) the service's; (7) either's. A reader first sets its pin, then looks whether the row
 * still holds its object; who wants the memory first makes the row DOOMED, then looks for pins. So one of them sees the other.
 */
export const FREE = 0;
export const CACHED = 1;
export const WRITING = 2;
export const SEALED = 3;
export const EVICTING = 4;
export const DOOMED = 5;
export type ExtentState = typeof FREE | typeof CACHED | typeof WRITING | typeof SEALED | typeof EVICTING | typeof DOOMED;

/** Workers of one machine that can have extents and views at once; others read copies. */
export const SLOTS_MAX = 256;
const ROW_WORDS = 16;
const SEGMENT_WORD = 1;
const OFFSET_WORD = 2;
const PAGES_WORD = 3;
const BYTES_WORD = 4;
const TICK_WORD = 5;
const ID_LOW_WORD = 6;
const ID_HIGH_WORD = 7;
const PINS_WORD = 8;
const PIN_WORDS = SLOTS_MAX / 32;
const STATE_BITS = 3;
const STATE_MASK = (1 << STATE_BITS) - 1;
const TWO_32 = 2 ** 32;

export interface ExtentPlace {
  readonly segment: number;
  /** In pages. */
  readonly offset: number;
  readonly size: number;
}

export class ExtentTable {
  readonly #words: Int32Array;
  readonly rowsMax: number;

  /** `words` may lie in shared memory; zeroes are an empty table. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.rowsMax = Math.floor(words.length / ROW_WORDS);
  }

  static bytesFor(rows: number): number {
    return rows * ROW_WORDS * Int32Array.BYTES_PER_ELEMENT;
  }

  // ------------------------------------------------------------------ state

  state(row: number): ExtentState {
    return (Atomics.load(this.#words, row * ROW_WORDS) & STATE_MASK) as ExtentState;
  }

  /** Whose the extent is while CACHED or WRITING. */
  slot(row: number): number {
    return Atomics.load(this.#words, row * ROW_WORDS) >>> STATE_BITS;
  }

  /** One atomic step; false if the row was not in `from` any more. */
  change(row: number, from: ExtentState, fromSlot: number, to: ExtentState, toSlot: number): boolean {
    const expected = from | (fromSlot << STATE_BITS);
    return Atomics.compareExchange(this.#words, row * ROW_WORDS, expected, to | (toSlot << STATE_BITS)) === expected;
  }

  /** The same, whoever's it is. */
  changeState(row: number, from: ExtentState, to: ExtentState): boolean {
    const word = Atomics.load(this.#words, row * ROW_WORDS);
    if ((word & STATE_MASK) !== from) return false;
    return Atomics.compareExchange(this.#words, row * ROW_WORDS, word, (word & ~STATE_MASK) | to) === word;
  }

  // ------------------------------------------------------------------ contents

  /** (1) For the service: a free row gets memory. */
  grant(row: number, place: ExtentPlace, slot: number): void {
    const at = row * ROW_WORDS;
    this.#words[at + SEGMENT_WORD] = place.segment;
    this.#words[at + OFFSET_WORD] = place.offset;
    this.#words[at + PAGES_WORD] = place.size;
    const isDone = this.change(row, FREE, 0, CACHED, slot);
    invariant(isDone, "memory was granted in a row that is in use");
  }

  place(row: number): ExtentPlace {
    const at = row * ROW_WORDS;
    return { segment: this.#words[at + SEGMENT_WORD] as number, offset: this.#words[at + OFFSET_WORD] as number, size: this.#words[at + PAGES_WORD] as number };
  }

  pages(row: number): number {
    return this.#words[row * ROW_WORDS + PAGES_WORD] as number;
  }

  /** While WRITING: what it will hold. */
  describe(row: number, id: number, byteLength: number): void {
    const at = row * ROW_WORDS;
    this.#words[at + BYTES_WORD] = byteLength | 0;
    this.#words[at + ID_LOW_WORD] = id % TWO_32 | 0;
    this.#words[at + ID_HIGH_WORD] = Math.floor(id / TWO_32) | 0;
  }

  id(row: number): number {
    const at = row * ROW_WORDS;
    return (Atomics.load(this.#words, at + ID_HIGH_WORD) >>> 0) * TWO_32 + (Atomics.load(this.#words, at + ID_LOW_WORD) >>> 0);
  }

  byteLength(row: number): number {
    return (this.#words[row * ROW_WORDS + BYTES_WORD] as number) >>> 0;
  }

  touch(row: number, tick: number): void {
    this.#words[row * ROW_WORDS + TICK_WORD] = tick;
  }
  lastUse(row: number): number {
    return this.#words[row * ROW_WORDS + TICK_WORD] as number;
  }

  // ------------------------------------------------------------------ pins

  /** True if the row holds the object `id` and cannot be taken away from this slot now. */
  tryPin(row: number, slot: number, id: number): boolean {
    if (row < 0 || row >= this.rowsMax) return false;
    this.setPin(row, slot);
    const state = this.state(row);
    return (state === SEALED || state === EVICTING) && this.id(row) === id;
  }

  /** The same with the help of a slot that has no pin there: this one may have, which must not go with an attempt that fails. */
  tryPinFor(row: number, slot: number, id: number, helper: number): boolean {
    const isPinned = this.tryPin(row, helper, id);
    if (isPinned) this.setPin(row, slot);
    this.clearPin(row, helper);
    return isPinned;
  }

  setPin(row: number, slot: number): void {
    Atomics.or(this.#words, row * ROW_WORDS + PINS_WORD + (slot >>> 5), 1 << (slot & 31));
  }

  /** True if somebody waits for this row to be let go. */
  clearPin(row: number, slot: number): boolean {
    Atomics.and(this.#words, row * ROW_WORDS + PINS_WORD + (slot >>> 5), ~(1 << (slot & 31)));
    return this.state(row) === DOOMED;
  }

  isPinned(row: number): boolean {
    const first = row * ROW_WORDS + PINS_WORD;
    for (let word = first; word < first + PIN_WORDS; word++) if (Atomics.load(this.#words, word) !== 0) return true;
    return false;
  }

  isPinnedByOthers(row: number, slot: number): boolean {
    const first = row * ROW_WORDS + PINS_WORD;
    for (let word = 0; word < PIN_WORDS; word++) {
      const own = word === slot >>> 5 ? 1 << (slot & 31) : 0;
      if ((Atomics.load(this.#words, first + word) & ~own) !== 0) return true;
    }
    return false;
  }

  isPinnedBy(row: number, slot: number): boolean {
    return (Atomics.load(this.#words, row * ROW_WORDS + PINS_WORD + (slot >>> 5)) & (1 << (slot & 31))) !== 0;
  }

  pinnedBy(row: number): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < SLOTS_MAX; slot++) if (this.isPinnedBy(row, slot)) slots.push(slot);
    return slots;
  }
}
