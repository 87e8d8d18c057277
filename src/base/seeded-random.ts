import type { RandomSource } from "./random.ts";

/** Mulberry32: the same seed gives the same numbers. */
export class SeededRandom implements RandomSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    return Math.floor(this.fraction() * limit);
  }

  hex(byteCount: number): string {
    let text = "";
    for (let byte = 0; byte < byteCount; byte++) text += this.below(256).toString(16).padStart(2, "0");
    return text;
  }

  /** From 0 up to, but not including, 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    const mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    const more = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return ((more ^ (more >>> 14)) >>> 0) / 2 ** 32;
  }
}
