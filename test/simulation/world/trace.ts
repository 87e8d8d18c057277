/**
 * What happened, event by event, as one number: two runs of a seed must have the same. Written out for people if somebody listens.
 * The bytes of messages are no part of it: V8 writes the same number in several ways.
 */
export class Trace {
  events = 0;
  readonly #listener: ((line: string) => void) | null;
  #low = 0x811c9dc5;
  #high = 0x01000193;

  constructor(listener: ((line: string) => void) | null) {
    this.#listener = listener;
  }

  get isRead(): boolean {
    return this.#listener !== null;
  }

  get hash(): string {
    return [this.#high, this.#low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
  }

  event(atMs: number, where: string, what: string): void {
    this.events++;
    this.#mix(atMs * 1_000);
    this.#mixText(where);
    this.#mixText(what);
  }

  /** For people; `text` is made only if somebody reads it. */
  note(atMs: number, where: string, text: () => string): void {
    this.#listener?.(`${atMs.toFixed(3).padStart(12)} ms  ${where.padEnd(12)} ${text()}`);
  }

  #mixText(text: string): void {
    for (let at = 0; at < text.length; at++) this.#mix(text.charCodeAt(at));
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ (value + this.#low), 0x85ebca6b);
  }
}
