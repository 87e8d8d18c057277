/** What became of one chunk. */
export type ChunkOutcome<R> = { readonly results: readonly R[] } | { readonly error: unknown };

export interface PoolIteratorOptions<V, R> {
  readonly source: Iterable<V> | AsyncIterable<V>;
  readonly chunkSize: number;
  readonly isOrdered: boolean;
  /** Chunks that may be on their way or wait to be taken. */
  readonly chunksAheadMax: () => Promise<number>;
  /** Starts the work; returns how to take it back, as far as it has not begun. */
  submit(chunk: readonly V[], settled: (outcome: ChunkOutcome<R>) => void): () => void;
  /** The source is used up, or nobody wants its results. */
  fed?(): void;
}

/**
 * Results of a source that is read only as far ahead as the bound allows. A chunk that fails makes one `next()` reject, at its
 * place; the next ones go on after it.
 */
export class PoolIterator<V, R> implements AsyncIterableIterator<R> {
  readonly #options: PoolIteratorOptions<V, R>;
  readonly #source: Iterator<V> | AsyncIterator<V>;
  /** Of chunks that are on their way. */
  readonly #takeBacks = new Map<number, () => void>();
  /** By number, in the order of their coming, until they are taken. */
  readonly #outcomes = new Map<number, ChunkOutcome<R>>();
  readonly #wanted: { resolve(result: IteratorResult<R>): void; reject(error: unknown): void }[] = [];
  #current: Iterator<R> = [].values();
  #submitted = 0;
  #taken = 0;
  #isFeeding = false;
  #isReading = false;
  /** The source is used up, has thrown, or was left. */
  #isFed = false;
  #isLeft = false;
  #isBounded = true;
  #onRoom: (() => void) | null = null;

  constructor(options: PoolIteratorOptions<V, R>) {
    this.#options = options;
    const { source } = options;
    this.#source = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<R>> {
    const result = new Promise<IteratorResult<R>>((resolve, reject) => { this.#wanted.push({ resolve, reject }); });
    this.#feed();
    this.#serve();
    return result;
  }

  /** What has not begun is not done any more. */
  async return(): Promise<IteratorResult<R>> {
    if (!this.#isLeft) {
      this.#isLeft = true;
      for (const takeBack of this.#takeBacks.values()) takeBack();
      this.#takeBacks.clear();
      this.#outcomes.clear();
      const isUsedUp = this.#isFed;
      this.#endFeeding();
      // A source that is at work on its next value hears of the end, but may never finish that.
      const returned = isUsedUp ? undefined : this.#source.return?.();
      if (!this.#isReading) await returned;
      else if (returned instanceof Promise) returned.catch(() => undefined);
    }
    return DONE;
  }

  /** Nothing more is read, and this comes after the results that are there. */
  fail(error: unknown): void {
    if (this.#isFed) return;
    this.#outcomes.set(this.#submitted++, { error });
    this.#endFeeding();
  }

  /** The rest of the source is read at once, whether anybody takes the results or not. */
  readToTheEnd(): void {
    this.#isBounded = false;
    this.#makeRoom();
    this.#feed();
  }

  #feed(): void {
    if (this.#isFeeding || this.#isFed) return;
    this.#isFeeding = true;
    void this.#readSource().then(() => this.#endFeeding(), (error: unknown) => this.fail(error));
  }

  #endFeeding(): void {
    if (!this.#isFed) this.#options.fed?.();
    this.#isFed = true;
    this.#makeRoom();
    this.#serve();
  }

  async #readSource(): Promise<void> {
    const aheadMax = await this.#options.chunksAheadMax();
    while (!this.#isFed) {
      if (this.#isBounded && this.#submitted - this.#taken >= aheadMax) {
        await new Promise<void>((resolve) => { this.#onRoom = resolve; });
        continue;
      }
      const chunk: V[] = [];
      let isUsedUp = false;
      this.#isReading = true;
      try {
        while (!isUsedUp && chunk.length < this.#options.chunkSize) {
          const step = await this.#source.next();
          if (step.done === true) isUsedUp = true;
          else chunk.push(step.value);
        }
      } finally {
        this.#isReading = false;
      }
      if (chunk.length > 0 && !this.#isFed) this.#submit(chunk);
      if (isUsedUp) return;
    }
  }

  #submit(chunk: readonly V[]): void {
    const number = this.#submitted++;
    this.#takeBacks.set(number, this.#options.submit(chunk, (outcome) => {
      if (this.#isLeft) return;
      this.#takeBacks.delete(number);
      this.#outcomes.set(number, outcome);
      this.#serve();
    }));
  }

  #serve(): void {
    while (this.#wanted.length > 0) {
      const item = this.#isLeft ? DONE : this.#current.next();
      if (item.done !== true) {
        this.#wanted.shift()?.resolve(item);
        continue;
      }
      const outcome = this.#takeOutcome();
      if (outcome !== undefined && "results" in outcome) this.#current = outcome.results.values();
      else if (outcome !== undefined) this.#wanted.shift()?.reject(outcome.error);
      else if (this.#isLeft || (this.#isFed && this.#taken === this.#submitted)) this.#wanted.shift()?.resolve(DONE);
      else return;
    }
  }

  #takeOutcome(): ChunkOutcome<R> | undefined {
    const [first] = this.#options.isOrdered ? [this.#taken] : this.#outcomes.keys();
    const outcome = first === undefined ? undefined : this.#outcomes.get(first);
    if (outcome === undefined) return undefined;
    this.#outcomes.delete(first as number);
    this.#taken++;
    this.#makeRoom();
    return outcome;
  }

  #makeRoom(): void {
    this.#onRoom?.();
    this.#onRoom = null;
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
