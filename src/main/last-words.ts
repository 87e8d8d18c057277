import type { Clock, WorkerId } from "../base/mod.ts";
import type { WorkerLink } from "../clients/mod.ts";

/** A link that stays open so long after its worker has ended says no more. */
const WAIT_MS_MAX = 1_000;

/**
 * That a worker has ended is heard from whoever started it, and what it said before, why for example, comes by its own link: the end is
 * told when that has been read to its end, too.
 */
export class LastWords {
  readonly #clock: Clock;
  /** Links that are open, each with what is to be told when it closes. */
  readonly #open = new Map<WorkerId, (() => void) | null>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  linked(workerId: WorkerId, link: Pick<WorkerLink, "onClose">): void {
    this.#open.set(workerId, null);
    link.onClose(() => this.#closed(workerId));
  }

  /** It has ended. */
  after(workerId: WorkerId, tell: () => void): void {
    if (!this.#open.has(workerId)) return tell();
    const timer = this.#clock.after(WAIT_MS_MAX, () => this.#closed(workerId));
    this.#open.set(workerId, () => {
      timer.cancel();
      tell();
    });
  }

  #closed(workerId: WorkerId): void {
    const tell = this.#open.get(workerId);
    this.#open.delete(workerId);
    tell?.();
  }
}
