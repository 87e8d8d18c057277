/** What is remembered of workers that have ended and of objects that are lost. */
const REMEMBERED_MAX = 10_000;

/** Adds to a set or map whose oldest entries are forgotten. */
export function remember<K>(set: Set<K>, key: K): void;
export function remember<K, V>(map: Map<K, V>, key: K, value: V): void;
export function remember<K, V>(collection: Set<K> | Map<K, V>, key: K, value?: V): void {
  if (collection instanceof Set) collection.add(key);
  else collection.set(key, value as V);
  if (collection.size <= REMEMBERED_MAX) return;
  for (const oldest of collection.keys()) {
    collection.delete(oldest);
    return;
  }
}
