/**
 * Which tasks of one owner a worker has begun, in memory that outlives the worker. First a number that is not 0 if the rest says all; then
 * one for each slot that the owner may use: 0, or the sequence number of the task that has begun in it last, plus 1. There is nothing to
 * take back when a task ends: its owner has its result, or it had begun.
 */
const SLOTS_MAX = 4095;
const SAYS_ALL = 0;
export const BEGUN_TABLE_BYTES = (1 + SLOTS_MAX) * Float64Array.BYTES_PER_ELEMENT;

export function noteBegun(table: Float64Array, slot: number, sequence: number): void {
  if (slot < SLOTS_MAX) table[slot + 1] = sequence + 1;
  else table[SAYS_ALL] = 0;
}

/** It waits here for its turn. An earlier run of the same task may have had the same slot. */
export function noteNotBegun(table: Float64Array, slot: number): void {
  if (slot < SLOTS_MAX) table[slot + 1] = 0;
}

/** What had begun before there was a table is noted now. */
export function noteThatThisIsAll(table: Float64Array): void {
  table[SAYS_ALL] = 1;
}

/** The sequence numbers of all that have begun, and of some that ended long ago; null if the table does not say all. */
export function begunIn(table: Float64Array): Set<number> | null {
  if (table[SAYS_ALL] === 0) return null;
  const begun = new Set<number>();
  for (const noted of table.subarray(1)) if (noted !== 0) begun.add(noted - 1);
  return begun;
}
