/**
 * Which tasks of one owner a worker has begun, in memory that outlives the worker. First a number that is not 0 if the rest says all; then
 * one for each slot that the owner may use: 0, or the sequence number of the task that has begun in it last, plus 1. There is nothing to
 * take back when a task ends: its owner has its result, or it had begun.
 */
const SLOTS_MAX = 4095;
const SAYS_ALL = 0;
export const BEGUN_TABLE_BYTES = (1 + SLOTS_MAX) * Float64Array.BYTES_PER_ELEMENT;

/** Kept in a table from the moment on in which several tasks of the owner are here at once: one that is here alone has begun. */
export class BegunTasks {
  /** Before there is a table, as in one: a result that is on its way when the worker is killed may be lost, and its task had begun. */
  #early: number[] | null = [];
  #table: Float64Array | null = null;

  get isKept(): boolean {
    return this.#early === null;
  }

  /** From now on, and what has begun before. Null: it cannot be noted, so nobody will know. */
  keepIn(table: Float64Array | null): void {
    const early = this.#early ?? [];
    this.#early = null;
    this.#table = table;
    if (table === null) return;
    table[SAYS_ALL] = 1;
    early.forEach((noted, slot) => this.begins(slot, noted - 1));
  }

  begins(slot: number, sequence: number): void {
    if (this.#early !== null) this.#early[slot] = sequence + 1;
    else if (this.#table === null) return;
    else if (slot < SLOTS_MAX) this.#table[slot + 1] = sequence + 1;
    else this.#table[SAYS_ALL] = 0;
  }

  /** It waits here for its turn. An earlier run of the same task may have had the same slot. */
  waits(slot: number): void {
    if (this.#table !== null && slot < SLOTS_MAX) this.#table[slot + 1] = 0;
  }
}

/** The sequence numbers of all that have begun, and of some that ended long ago; null if the table does not say all. */
export function begunIn(table: Float64Array): Set<number> | null {
  if (table[SAYS_ALL] === 0) return null;
  const begun = new Set<number>();
  for (const noted of table.subarray(1)) if (noted !== 0) begun.add(noted - 1);
  return begun;
}
