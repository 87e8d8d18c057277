/**
 * How far a generator may go, as the worker that runs it knows: pure arithmetic on counts since the stream's beginning, so
 * that a message which comes twice, or late, changes nothing.
 */
export class StreamProducer {
  /** Values that may be yielded and not consumed; beyond it the generator pauses. */
  readonly #unconsumedMax: number;
  /** Values that the owner has from an earlier run, whose worker died. */
  readonly #received: number;
  #yielded = 0;
  #consumed: number;
  #isClosed: boolean;
  #whenRoom: (() => void) | null = null;

  constructor(unconsumedMax: number | null, received = 0, consumed = 0, isClosed = false) {
    this.#unconsumedMax = unconsumedMax ?? Number.POSITIVE_INFINITY;
    this.#received = received;
    this.#consumed = consumed;
    this.#isClosed = isClosed;
  }

  /** Nobody wants its values any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Whether there is no reason to pause: a generator that is to end does not wait for room first. */
  get hasRoom(): boolean {
    return this.#isClosed || this.#yielded - this.#consumed < this.#unconsumedMax;
  }

  /** Counts a value that was yielded. False when its owner has it already. */
  yielded(): boolean {
    return this.#yielded++ >= this.#received;
  }

  consumed(count: number): void {
    this.#consumed = Math.max(this.#consumed, count);
    this.#wakeIfRoom();
  }

  close(): void {
    this.#isClosed = true;
    this.#wakeIfRoom();
  }

  /** Calls back once, when there is room. The caller has checked that there is none yet. */
  whenRoom(callback: () => void): void {
    this.#whenRoom = callback;
  }

  #wakeIfRoom(): void {
    if (this.#whenRoom === null || !this.hasRoom) return;
    const callback = this.#whenRoom;
    this.#whenRoom = null;
    callback();
  }
}
