import { invariant } from "../base/mod.ts";

/**
 * How many threads of a process may spin at once, and which do. A slot holds the time at which its permit lapses (0: free),
 * so that a thread that is terminated while it spins gives its permit back without anybody's help.
 */

/** Long against a spin, short against what a dead thread's permit is missed for. */
const LEASE_MS = 50;
const RENEW_BELOW_MS = 25;
const FREE = 0;

/**
 * Room for `limit` spinning threads; to be handed to every thread of the process. Sensible limits: the number of
 * processors, 0 where there is only one (there spinning would keep the awaited thread from running).
 */
export function createSpinPermitMemory(limit: number): SharedArrayBuffer {
  invariant(Number.isInteger(limit) && limit >= 0, `a number of spinning threads was expected, not ${limit}`);
  return new SharedArrayBuffer(limit * Int32Array.BYTES_PER_ELEMENT);
}

export class SpinPermits {
  readonly #slots: Int32Array;
  readonly #sharedNowMs: () => number;
  #slot = -1;
  #lapsesAtMs = FREE;

  /** `sharedNowMs`: a monotonic clock with one origin for all threads (`process.hrtime`; not `performance.now`). */
  constructor(memory: SharedArrayBuffer, sharedNowMs: () => number) {
    this.#slots = new Int32Array(memory);
    this.#sharedNowMs = sharedNowMs;
  }

  /** Takes or renews this thread's permit. */
  tryAcquire(): boolean {
    if (this.#slots.length === 0) return false;
    const nowMs = Math.floor(this.#sharedNowMs()) | 0;
    const lapsesAtMs = (nowMs + LEASE_MS) | 0 || 1;
    if (this.#slot >= 0) {
      if (((this.#lapsesAtMs - nowMs) | 0) > RENEW_BELOW_MS) return true;
      if (Atomics.compareExchange(this.#slots, this.#slot, this.#lapsesAtMs, lapsesAtMs) === this.#lapsesAtMs) {
        this.#lapsesAtMs = lapsesAtMs;
        return true;
      }
      this.#slot = -1;
    }
    for (let slot = 0; slot < this.#slots.length; slot++) {
      const held = Atomics.load(this.#slots, slot);
      if (held !== FREE && ((held - nowMs) | 0) > 0) continue;
      if (Atomics.compareExchange(this.#slots, slot, held, lapsesAtMs) !== held) continue;
      this.#slot = slot;
      this.#lapsesAtMs = lapsesAtMs;
      return true;
    }
    return false;
  }

  release(): void {
    if (this.#slot < 0) return;
    Atomics.compareExchange(this.#slots, this.#slot, this.#lapsesAtMs, FREE);
    this.#slot = -1;
  }
}
