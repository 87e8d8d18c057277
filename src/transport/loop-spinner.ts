import type { SpinPermits } from "./spin-permits.ts";
import { SpinTrust } from "./spin-trust.ts";

export interface LoopSpinnerOptions {
  /** Milliseconds with fractions, never going back (`performance.now`). */
  readonly nowMs: () => number;
  readonly spinPermits: SpinPermits;
  /** Calls back after the event loop has looked at its sockets without waiting for them (`setImmediate`). */
  readonly nextTurn: (callback: () => void) => void;
}

/** After so long without an arrival spinning ends. The system takes 20 to 50 µs to wake a process that waits for a socket. */
const SPIN_WINDOW_MS = 0.15;
/** So many catches in one spin, this close to each other, show that there is a processor free for both sides. */
const CATCHES_OF_GOOD_SPIN = 8;
const GAP_MS_OF_GOOD_SPIN = 0.08;
/** After so many catches a spin that goes on is looked at: for messages that come more seldom a processor is not kept busy. */
const CATCHES_PER_REVIEW = 64;
/** An arrival so soon after the one before was worth to be waited for: without the two wake-ups it comes within the window. */
const QUICK_MS = 0.3;
/** What a worker hears as it starts is no such row. */
const QUICK_ARRIVALS_FIRST = 2;
/** A permit is good for longer, and costs a look at a clock that is not cheap. */
const RENEW_PERMIT_EVERY_MS = 10;

/**
 * Keeps the event loop of one thread turning for a moment after something has come through a socket, so that the answer finds it awake:
 *
 * ```
 *              (1) arrival, a permit, and waiting has paid
 *   waiting ─────────────────────────────────────────────▶ spinning ──(2) arrival──┐
 *      ▲                                                     │   ▲                 │
 *      └────────────(3) nothing within the window────────────┘   └─────────────────┘
 * ```
 *
 * Each turn serves timers and all other sockets as well. `ThreadPoller` does the same for looks at shared memory. By `SpinTrust` nobody
 * spins for long where answers take their time, or where other work needs the processors.
 */
export class LoopSpinner {
  /** Spinning must not keep a program alive that has nothing to wait for. */
  isNeeded = false;
  readonly #nowMs: () => number;
  readonly #spinPermits: SpinPermits;
  readonly #nextTurn: (callback: () => void) => void;
  readonly #trust = new SpinTrust(QUICK_ARRIVALS_FIRST);
  #isSpinning = false;
  #hasArrival = false;
  #catchesOfSpin = 0;
  /** Since its first turn, or its last review. */
  #spinBeganAtMs = 0;
  /** At the last review. */
  #wasGood = false;
  #lastArrivalAtMs = Number.NEGATIVE_INFINITY;
  #renewPermitAtMs = 0;

  constructor(options: LoopSpinnerOptions) {
    this.#nowMs = options.nowMs;
    this.#spinPermits = options.spinPermits;
    this.#nextTurn = options.nextTurn;
  }

  /** Something has come, of whatever size. */
  arrived(): void {
    this.#hasArrival = true;
    if (this.#isSpinning) return;
    const nowMs = this.#nowMs();
    if (nowMs - this.#lastArrivalAtMs <= QUICK_MS) this.#trust.quickArrival();
    this.#lastArrivalAtMs = nowMs;
    if (!this.#trust.mayTry || !this.isNeeded || !this.#spinPermits.tryAcquire()) return;
    this.#isSpinning = true;
    // Not this one, which the first turn sees; it also is what the window begins after, however long its message is worked at.
    this.#catchesOfSpin = -1;
    this.#wasGood = false;
    this.#renewPermitAtMs = nowMs + RENEW_PERMIT_EVERY_MS;
    this.#nextTurn(this.#turn);
  }

  readonly #turn = (): void => {
    const nowMs = this.#nowMs();
    if (this.#hasArrival) {
      this.#hasArrival = false;
      this.#lastArrivalAtMs = nowMs;
      if (++this.#catchesOfSpin === 0) this.#spinBeganAtMs = nowMs;
      if (this.#catchesOfSpin === CATCHES_PER_REVIEW) {
        this.#wasGood = this.#isGood();
        if (!this.#wasGood) return this.#end();
        this.#catchesOfSpin = 0;
        this.#spinBeganAtMs = nowMs;
      }
    } else if (nowMs - this.#lastArrivalAtMs > SPIN_WINDOW_MS) {
      return this.#end();
    }
    if (this.isNeeded && this.#mayGoOn(nowMs)) this.#nextTurn(this.#turn);
    else this.#leave();
  };

  #isGood(): boolean {
    return this.#catchesOfSpin >= CATCHES_OF_GOOD_SPIN && this.#lastArrivalAtMs - this.#spinBeganAtMs <= this.#catchesOfSpin * GAP_MS_OF_GOOD_SPIN;
  }

  #mayGoOn(nowMs: number): boolean {
    if (nowMs < this.#renewPermitAtMs) return true;
    this.#renewPermitAtMs = nowMs + RENEW_PERMIT_EVERY_MS;
    return this.#spinPermits.tryAcquire();
  }

  #end(): void {
    this.#trust.spinEnded(this.#wasGood || this.#isGood());
    this.#leave();
  }

  /** Whether it has paid is not known. */
  #leave(): void {
    this.#isSpinning = false;
    this.#spinPermits.release();
  }
}
