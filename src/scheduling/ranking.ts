/** Who comes first among many, when only the first one changes, and only to a later place. A binary heap. */
export class Ranking<T> {
  readonly #items: T[];
  readonly #compare: (a: T, b: T) => number;

  /** `compare` is negative when `a` comes before `b`, and never 0. */
  constructor(items: readonly T[], compare: (a: T, b: T) => number) {
    this.#items = [...items];
    this.#compare = compare;
    for (let index = (items.length >> 1) - 1; index >= 0; index--) this.#sink(index);
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** The first one may belong behind others now. */
  firstChanged(): void {
    this.#sink(0);
  }

  dropFirst(): void {
    const last = this.#items.pop() as T;
    if (this.#items.length === 0) return;
    this.#items[0] = last;
    this.#sink(0);
  }

  #sink(from: number): void {
    const items = this.#items;
    for (let index = from; ; ) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) if (child < items.length && this.#compare(items[child] as T, items[least] as T) < 0) least = child;
      if (least === index) return;
      [items[index], items[least]] = [items[least] as T, items[index] as T];
      index = least;
    }
  }
}
