import { SeededRandom } from "../../../src/base/mod.ts";

/** What happens by chance in a world: it follows from a seed. */
export class Chance extends SeededRandom {
  /** A number from `from` up to `to`. */
  between(from: number, to: number): number {
    return from + this.fraction() * (to - from);
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  /** Another source, so that what one part draws does not change what the others do. */
  branch(): Chance {
    return new Chance(this.below(2 ** 32));
  }
}
