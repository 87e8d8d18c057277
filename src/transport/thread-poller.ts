import { RingScratch } from "./ring-buffer.ts";
import type { SpinPermits } from "./spin-permits.ts";
import { SpinTrust } from "./spin-trust.ts";

/** What a poller looks after: the receiving side of one thread channel. */
export interface PolledSource {
  /** Cheap: asked up to millions of times per second. False while nobody would take what is there. */
  hasArrivals(): boolean;
  /** Delivers what is there now, within a bound. Does not throw. */
  deliverArrivals(scratch: RingScratch): void;
  /** While parked, the other side leaves a wake-up in the message port with its next send. */
  setParked(isParked: boolean): void;
}

export interface ThreadPollerOptions {
  /** Milliseconds with fractions, never going back (`performance.now`). */
  readonly nowMs: () => number;
  /** Null: never spin. */
  readonly spinPermits: SpinPermits | null;
}

/** After so long without an arrival spinning ends. A wake-up through the message port takes about 20 µs. */
const SPIN_WINDOW_MS = 0.15;
/** So many catches in one spin, this close to each other, show that there is a processor free for both sides. */
const CATCHES_OF_GOOD_SPIN = 8;
const GAP_MS_OF_GOOD_SPIN = 0.03;
/** The longest time in one go during which timers and sockets of this thread wait. */
const TURN_MS_MAX = 0.05;
/** Looks at the rings between two looks at the queue of microtasks, where the user's continuations are. */
const LOOKS_PER_MICROTASK = 8;

const RESOLVED = Promise.resolve();

/**
 * Receives for all thread channels of one thread. A message port costs two threads about 20 µs to wake each other; a
 * look at shared memory costs nothing to speak of. So a thread that expects an answer soon looks for it for a moment
 * before it parks:
 *
 * ```
 *             (1) wake-up through a port
 *   parked ──────────────────────────────▶ delivering ──(2) permit, and waiting has paid──▶ spinning
 *     ▲                                        │  ▲                                           │ │
 *     │                  (3) otherwise         │  └──────────────(4) arrival──────────────────┘ │
 *     └────────────────────────────────────────┴──────────(5) nothing within the window─────────┘
 * ```
 *
 * Spinning happens in microtasks, so that continuations of the user's code that a delivery has caused run between two
 * looks, and moves to a new turn of the event loop after a bounded time.
 *
 * Where all processors have other work, spinning keeps the awaited thread from running: measured, it makes round trips
 * three times slower than parking. `SpinTrust` learns that from spins in vain (5). Without traffic nothing is left running.
 */
export class ThreadPoller {
  readonly #nowMs: () => number;
  readonly #spinPermits: SpinPermits | null;
  readonly #scratch = new RingScratch();
  /** Replaced, never changed in place: handlers open and close channels while it is walked. */
  #sources: readonly PolledSource[] = [];
  readonly #trust = new SpinTrust(0);
  #keepAliveCount = 0;
  #isParked = true;
  #isSpinning = false;
  #isDelivering = false;
  #catchesOfSpin = 0;
  #spinBeganAtMs = 0;
  #lastArrivalAtMs = Number.NEGATIVE_INFINITY;
  #turnEndsAtMs = 0;

  constructor(options: ThreadPollerOptions) {
    this.#nowMs = options.nowMs;
    this.#spinPermits = options.spinPermits;
  }

  register(source: PolledSource): void {
    this.#sources = [...this.#sources, source];
    source.setParked(this.#isParked);
  }

  unregister(source: PolledSource): void {
    this.#sources = this.#sources.filter((other) => other !== source);
  }

  /** Counts the channels that keep the event loop alive: without one, spinning must not do so either. */
  keepAlive(difference: 1 | -1): void {
    this.#keepAliveCount += difference;
  }

  /** (1) To be called when a message port has spoken, from the event loop or a microtask. */
  wake(): void {
    if (this.#isDelivering) return; // The walk under way, or the look before the next parking, sees what this is about.
    const nowMs = this.#nowMs();
    if (this.#isParked) {
      this.#setParked(false);
      if (nowMs - this.#lastArrivalAtMs <= SPIN_WINDOW_MS) this.#trust.quickArrival();
    }
    this.#lastArrivalAtMs = nowMs;
    this.#deliver();
    if (!this.#isSpinning) this.#spinOrPark();
  }

  /** `wake`, but outside of the caller's stack. */
  wakeSoon(): void {
    queueMicrotask(() => this.wake());
  }

  #deliver(): void {
    this.#isDelivering = true;
    const sources = this.#sources;
    for (let index = 0; index < sources.length; index++) {
      const source = sources[index] as PolledSource;
      if (source.hasArrivals()) source.deliverArrivals(this.#scratch);
    }
    this.#isDelivering = false;
  }

  #hasArrivals(): boolean {
    const sources = this.#sources;
    for (let index = 0; index < sources.length; index++) {
      if ((sources[index] as PolledSource).hasArrivals()) return true;
    }
    return false;
  }

  #spinOrPark(): void {
    if (this.#trust.mayTry && this.#spinPermits !== null && this.#spinPermits.tryAcquire()) {
      this.#isSpinning = true;
      this.#catchesOfSpin = 0;
      this.#spinBeganAtMs = this.#lastArrivalAtMs;
      this.#spinTurn();
    } else {
      this.#park();
    }
  }

  readonly #spinTurn = (): void => {
    this.#turnEndsAtMs = this.#nowMs() + TURN_MS_MAX;
    RESOLVED.then(this.#spin);
  };

  readonly #spin = (): void => {
    let hasDelivered = false;
    for (let look = 0; look < LOOKS_PER_MICROTASK; look++) {
      if (!this.#hasArrivals()) continue;
      this.#deliver(); // (4)
      hasDelivered = true;
      break;
    }
    const nowMs = this.#nowMs();
    if (hasDelivered) {
      this.#lastArrivalAtMs = nowMs;
      this.#catchesOfSpin++;
    } else if (nowMs - this.#lastArrivalAtMs > SPIN_WINDOW_MS) {
      // (5)
      this.#trust.spinEnded(this.#catchesOfSpin >= CATCHES_OF_GOOD_SPIN && this.#lastArrivalAtMs - this.#spinBeganAtMs <= this.#catchesOfSpin * GAP_MS_OF_GOOD_SPIN);
      this.#endSpin();
      return;
    }
    if (nowMs < this.#turnEndsAtMs) RESOLVED.then(this.#spin);
    else if (this.#keepAliveCount > 0 && this.#spinPermits?.tryAcquire() === true) setImmediate(this.#spinTurn);
    else this.#endSpin();
  };

  #endSpin(): void {
    this.#isSpinning = false;
    this.#park();
  }

  #park(): void {
    this.#spinPermits?.release();
    this.#setParked(true);
    if (!this.#hasArrivals()) return;
    // Something came between the last look and the flag, so its sender may have seen no reason to wake us.
    this.#setParked(false);
    setImmediate(() => this.wake());
  }

  #setParked(isParked: boolean): void {
    this.#isParked = isParked;
    const sources = this.#sources;
    for (let index = 0; index < sources.length; index++) (sources[index] as PolledSource).setParked(isParked);
  }
}
