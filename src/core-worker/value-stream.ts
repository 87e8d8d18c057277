import type { Failure, ObjectEntry } from "./object-entry.ts";
import { FAILED, PENDING } from "./object-entry.ts";
import type { ObjectRef } from "./object-ref.ts";

export interface StreamHost {
  /** A new ref of this worker's for the next value. */
  newEntry(taskSequence: number): ObjectEntry;
  refOf(entry: ObjectEntry): ObjectRef;
  hold(): () => void;
  block(): () => void;
}

/** The values that a generator task has yielded so far, at the owner of the call. */
export class ValueStream {
  readonly end: ObjectEntry;
  readonly #host: StreamHost;
  readonly #taskSequence: number;
  readonly #entries: ObjectEntry[] = [];
  #waiting: (() => void)[] = [];

  constructor(host: StreamHost, end: ObjectEntry, taskSequence: number) {
    this.#host = host;
    this.end = end;
    this.#taskSequence = taskSequence;
  }

  /** The entry for the value that has just arrived. */
  nextEntry(): ObjectEntry {
    const entry = this.#host.newEntry(this.#taskSequence);
    this.#entries.push(entry);
    return entry;
  }

  arrived(): void {
    for (const callback of this.#waiting.splice(0)) callback();
  }

  ended(failure: Failure | null): void {
    if (failure === null) this.end.settlePrimitive(undefined);
    else this.end.settleFailed(failure);
    this.arrived();
  }

  take(): ObjectEntry | undefined {
    return this.#entries.shift();
  }

  get hasNext(): boolean {
    return this.#entries.length > 0;
  }

  whenChanged(callback: () => void): void {
    this.#waiting.push(callback);
  }

  stopWaiting(callback: () => void): void {
    this.#waiting = this.#waiting.filter((other) => other !== callback);
  }

  get host(): StreamHost {
    return this.#host;
  }
}

/** What a generator task or method returns: one ref per yielded value, available as it is yielded. */
export class RefGenerator<Y = unknown> implements AsyncIterableIterator<ObjectRef<Y>> {
  readonly #stream: ValueStream;
  #isReturned = false;

  /** @internal */
  constructor(stream: ValueStream) {
    this.#stream = stream;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next value's ref, as soon as it was yielded. After an error in the generator, one last ref that fails with it. */
  async next(): Promise<IteratorResult<ObjectRef<Y>>> {
    const stream = this.#stream;
    if (!this.#isReturned && !stream.hasNext && stream.end.status === PENDING) {
      const unblock = stream.host.block();
      const release = stream.host.hold();
      await new Promise<void>((resolve) => stream.whenChanged(resolve));
      release();
      unblock();
    }
    if (this.#isReturned) return { done: true, value: undefined };
    const entry = stream.take();
    if (entry !== undefined) return { done: false, value: stream.host.refOf(entry) as ObjectRef<Y> };
    this.#isReturned = true;
    if (stream.end.status === FAILED) return { done: false, value: stream.host.refOf(stream.end) as ObjectRef<Y> };
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<ObjectRef<Y>>> {
    this.#isReturned = true;
    return { done: true, value: undefined };
  }

  /** Resolves when the generator function has returned; rejects if it threw. */
  completed(): ObjectRef<void> {
    return this.#stream.host.refOf(this.#stream.end) as ObjectRef<void>;
  }

  isFinished(): boolean {
    return this.#isReturned || (!this.#stream.hasNext && this.#stream.end.status !== PENDING);
  }

  /** @internal For `wait`: whether `next` would answer at once. */
  isReady(): boolean {
    return this.#stream.hasNext || this.#stream.end.status !== PENDING;
  }
  /** @internal */
  whenSettled(callback: () => void): void {
    this.#stream.whenChanged(callback);
  }
  /** @internal */
  stopWaiting(callback: () => void): void {
    this.#stream.stopWaiting(callback);
  }
}
