/** As a Map or a Set. */
interface Remembered<K> {
  readonly size: number;
  keys(): Iterable<K>;
  delete(key: K): boolean;
}

/** Of what is remembered, so large a part is forgotten at once: the holes that it leaves are walked over again at each time. */
const PART = 1 / 16;

/** Keeps what is remembered within a bound: drops what was added first when there are more than `entriesMax`. */
export function forgetOldest<K>(collection: Remembered<K>, entriesMax: number): void {
  if (collection.size <= entriesMax) return;
  const kept = entriesMax - Math.floor(entriesMax * PART);
  for (const oldest of collection.keys()) {
    collection.delete(oldest);
    if (collection.size <= kept) return;
  }
}
