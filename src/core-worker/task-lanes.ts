import { Deque } from "../base/mod.ts";

interface Prioritized {
  readonly template: { readonly priority: number };
}
/** A task that is not in the plain lane, and its place among those of equal priority. */
interface Placed<T> {
  readonly task: T;
  readonly order: number;
}

/**
 * Tasks that wait for the same resources: those of larger priority first, in order within equal ones. Pure. Priority 0 is
 * a plain queue; the others are in a heap.
 */
export class TaskLanes<T extends Prioritized> {
  readonly #plain: Deque<T>;
  readonly #heap: Placed<T>[] = [];
  #nextOrder = 0;
  #nextOrderInFront = -1;

  /** `plain`: tasks without a priority; it belongs to this from now on. */
  constructor(plain: Deque<T> = new Deque<T>()) {
    this.#plain = plain;
  }

  get length(): number {
    return this.#plain.length + this.#heap.length;
  }

  push(task: T): void {
    if (task.template.priority === 0) this.#plain.push(task);
    else this.#insert({ task, order: this.#nextOrder++ });
  }

  /** Puts a task back in front of those of its priority. */
  unshift(task: T): void {
    if (task.template.priority === 0) this.#plain.unshift(task);
    else this.#insert({ task, order: this.#nextOrderInFront-- });
  }

  peek(): T | undefined {
    return this.#isPlainNext() ? this.#plain.peek() : this.#heap[0]?.task;
  }

  shift(): T | undefined {
    return this.#isPlainNext() ? this.#plain.shift() : this.#takeTop();
  }

  #isPlainNext(): boolean {
    const top = this.#heap[0];
    return top === undefined || (top.task.template.priority < 0 && this.#plain.length > 0);
  }

  /** Takes out every task for which `matches` is true, in the order in which they would have come. */
  removeWhere(matches: (task: T) => boolean): T[] {
    const removed: T[] = [];
    const kept: Placed<T>[] = [];
    for (const placed of this.#heap.splice(0).sort(inOrder)) {
      if (matches(placed.task)) removed.push(placed.task);
      else kept.push(placed);
    }
    this.#heap.push(...kept); // What is sorted is a heap.
    const plain = this.#plain.removeWhere(matches);
    const firstAfter = removed.findIndex(({ template }) => template.priority < 0);
    removed.splice(firstAfter < 0 ? removed.length : firstAfter, 0, ...plain);
    return removed;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    const placed = [...this.#heap].sort(inOrder).map(({ task }) => task);
    for (const task of placed) if (task.template.priority > 0) yield task;
    yield* this.#plain;
    for (const task of placed) if (task.template.priority < 0) yield task;
  }

  #insert(placed: Placed<T>): void {
    const heap = this.#heap;
    let index = heap.length;
    for (; index > 0; ) {
      const parent = (index - 1) >> 1;
      if (inOrder(heap[parent] as Placed<T>, placed) < 0) break;
      heap[index] = heap[parent] as Placed<T>;
      index = parent;
    }
    heap[index] = placed;
  }

  #takeTop(): T | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const moved = heap.pop();
    if (top === undefined || moved === undefined || heap.length === 0) return top?.task;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && inOrder(heap[child + 1] as Placed<T>, heap[child] as Placed<T>) < 0) child++;
      if (inOrder(moved, heap[child] as Placed<T>) < 0) break;
      heap[index] = heap[child] as Placed<T>;
      index = child;
    }
    heap[index] = moved;
    return top.task;
  }
}

/** Negative when `a` comes before `b`; never 0, since orders differ. */
function inOrder<T extends Prioritized>(a: Placed<T>, b: Placed<T>): number {
  return b.task.template.priority - a.task.template.priority || a.order - b.order;
}
