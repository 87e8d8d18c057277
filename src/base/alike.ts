/** What waits alike is told of once: the first, and how many there are with it. */
export interface Alike<Item> {
  readonly first: Item;
  count: number;
}

export function foldAlike<Item>(items: Iterable<Item>, keyOf: (item: Item) => string): Iterable<Alike<Item>> {
  const all = new Map<string, Alike<Item>>();
  for (const item of items) {
    const key = keyOf(item);
    const known = all.get(key);
    if (known === undefined) all.set(key, { first: item, count: 1 });
    else known.count++;
  }
  return all.values();
}

/** For the end of what is said of the first. */
export function moreWait({ count }: Alike<unknown>): string {
  return count === 1 ? "" : ` (and ${count - 1} more ${count === 2 ? "waits" : "wait"} for the same)`;
}
