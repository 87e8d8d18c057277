import type { RandomSource } from "../../../src/base/mod.ts";

/** The same seed gives the same numbers. */
export class SeededRandom implements RandomSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    return Math.floor(this.#next() * limit);
  }

  hex(byteCount: number): string {
    let text = "";
    for (let byte = 0; byte < byteCount; byte++) text += this.below(256).toString(16).padStart(2, "0");
    return text;
  }

  /** A number from `from` up to `to`. */
  between(from: number, to: number): number {
    return from + this.#next() * (to - from);
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Another source, so that what one part draws does not change what the others do. */
  branch(): SeededRandom {
    return new SeededRandom(this.below(2 ** 32));
  }

  /** Mulberry32: from 0 up to 1. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    const more = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return ((more ^ (more >>> 14)) >>> 0) / 2 ** 32;
  }
}
