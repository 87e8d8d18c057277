/**
 * A first-in-first-out queue on a growing ring: constant-time at both ends, and it gives its memory back when it drains
 * (a queue that once held a million tasks must not keep their slots for ever).
 */
export class Deque<T> {
  /** None until the first item: there may be a hundred thousand queues that are never used. */
  #slots: (T | undefined)[] = NO_SLOTS;
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
  }

  /** Puts an item back in front. */
  unshift(item: T): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = item;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    if (this.#length === 0 && this.#slots.length > SHRINK_ABOVE) this.#resize(MIN_CAPACITY);
    return item;
  }

  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#slots[this.#head];
  }

  /** Takes out every item for which `matches` is true, keeping the order of the others. */
  removeWhere(matches: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (let remaining = this.#length; remaining > 0; remaining--) {
      const item = this.shift() as T;
      if (matches(item)) removed.push(item);
      else this.push(item);
    }
    return removed;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let index = 0; index < this.#length; index++) yield this.#slots[(this.#head + index) & (this.#slots.length - 1)] as T;
  }

  #grow(): void {
    this.#resize(Math.max(MIN_CAPACITY, this.#slots.length * 2));
  }

  #resize(capacity: number): void {
    const slots = new Array<T | undefined>(capacity);
    for (let index = 0; index < this.#length; index++) slots[index] = this.#slots[(this.#head + index) & (this.#slots.length - 1)];
    this.#slots = slots;
    this.#head = 0;
  }
}

/** Powers of two, so that an index wraps with a mask. */
const MIN_CAPACITY = 16;
const NO_SLOTS: never[] = [];
const SHRINK_ABOVE = 1024;
