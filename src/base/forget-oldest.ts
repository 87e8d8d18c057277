/** Keeps what is remembered within a bound: drops the entry that was added first when there are more than `entriesMax`. */
export function forgetOldest<K>(collection: Map<K, unknown> | Set<K>, entriesMax: number): void {
  if (collection.size <= entriesMax) return;
  for (const oldest of collection.keys()) {
    collection.delete(oldest);
    return;
  }
}
