/** So often somebody waits once more while objects are written to disk and none gets there: the disk is slow, or hangs. */
const IDLE_PERIODS_MAX = 12;

/**
 * How often somebody who waits for memory waits once more when a period is over: as long as others who were before get some, or objects
 * get to disk. Pure.
 */
export class RoomPatience {
  #progress: number;
  #idlePeriods = 0;

  /** `progress`: any number that changes when memory was found for somebody, or an object got to disk. */
  constructor(progress: number) {
    this.#progress = progress;
  }

  /** At the end of a period. */
  goesOn(progress: number, isSpilling: boolean): boolean {
    if (progress === this.#progress) return isSpilling && ++this.#idlePeriods < IDLE_PERIODS_MAX;
    this.#progress = progress;
    this.#idlePeriods = 0;
    return true;
  }
}
