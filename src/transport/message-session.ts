/**
 * What one side sends to another while connections between them break: each message arrives once, in order. Pure.
 *
 * The sender numbers its messages and keeps each until it is acknowledged; over a new connection it sends again what it keeps. The
 * receiver takes the next number only: what it has had before, it has had.
 */
export class SentMessages<Message> {
  readonly #kept: Message[] = [];
  /** Of the first one that is kept. */
  #first = 1;

  /** Its number. */
  push(message: Message): number {
    return this.#first + this.#kept.push(message) - 1;
  }

  /** The other side has all up to this number. */
  acknowledged(number: number): void {
    const count = Math.min(number - this.#first + 1, this.#kept.length);
    if (count <= 0) return;
    this.#kept.splice(0, count);
    this.#first += count;
  }

  /** Null when all has arrived. */
  get oldest(): number | null {
    return this.#kept.length === 0 ? null : this.#first;
  }

  *unacknowledged(): Iterable<readonly [number: number, message: Message]> {
    for (const [index, message] of this.#kept.entries()) yield [this.#first + index, message];
  }
}

export class ReceivedMessages {
  /** The number of the last one. */
  last = 0;

  /** True if it is to be read. */
  take(number: number): boolean {
    if (number !== this.last + 1) return false;
    this.last = number;
    return true;
  }
}
