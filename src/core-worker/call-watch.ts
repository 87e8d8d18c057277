import type { Clock, WorkerId } from "../base/mod.ts";
import type { Peer } from "./peer.ts";

/** Calls of shared actors that wait so long are worth a question whether their worker is blocked. */
const CALLS_WAIT_MS_MAX = 1_000;

/**
 * Tells the node manager about workers where calls of shared actors have waited for a while: it asks them whether their event
 * loop turns. One timer for all calls, and none without calls.
 */
export class CallWatch {
  readonly #clock: Clock;
  readonly #callsWait: (workerId: WorkerId) => void;
  readonly #peers = new Set<Peer>();
  #isTimed = false;

  constructor(clock: Clock, callsWait: (workerId: WorkerId) => void) {
    this.#clock = clock;
    this.#callsWait = callsWait;
  }

  /** Calls were sent there. */
  sent(peer: Peer): void {
    if (this.#peers.has(peer)) return;
    this.#peers.add(peer);
    if (!this.#isTimed) this.#lookLater();
  }

  #lookLater(): void {
    this.#isTimed = true;
    this.#clock.after(CALLS_WAIT_MS_MAX, () => this.#look());
  }

  #look(): void {
    this.#isTimed = false;
    for (const peer of this.#peers) {
      if (peer.isLost || !peer.hasTasksInFlight) this.#peers.delete(peer);
      else this.#callsWait(peer.workerId);
    }
    if (this.#peers.size > 0) this.#lookLater();
  }
}
