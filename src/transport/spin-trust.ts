/** The longest row of quick arrivals to be seen before the next try. */
const QUICK_ARRIVALS_NEEDED_MAX = 64;

/**
 * Whether to wait by spinning has paid lately. Each spin in vain doubles how many quick arrivals, those that a spin would have caught,
 * must be seen before the next try; one that caught many in a short time makes good for all.
 */
export class SpinTrust {
  readonly #afterGood: number;
  #quickArrivalsNeeded: number;
  #quickArrivalsNeededNext: number;

  /** `quickArrivalsFirst`: to be seen before the first try. */
  constructor(quickArrivalsFirst: number) {
    this.#afterGood = Math.max(1, quickArrivalsFirst);
    this.#quickArrivalsNeeded = quickArrivalsFirst;
    this.#quickArrivalsNeededNext = Math.max(1, 2 * quickArrivalsFirst);
  }

  get mayTry(): boolean {
    return this.#quickArrivalsNeeded === 0;
  }

  quickArrival(): void {
    if (this.#quickArrivalsNeeded > 0) this.#quickArrivalsNeeded--;
  }

  /** Nothing came within the window. */
  spinEnded(wasGood: boolean): void {
    if (wasGood) this.#quickArrivalsNeededNext = this.#afterGood;
    this.#quickArrivalsNeeded = this.#quickArrivalsNeededNext;
    this.#quickArrivalsNeededNext = Math.min(2 * this.#quickArrivalsNeededNext, QUICK_ARRIVALS_NEEDED_MAX);
  }
}
