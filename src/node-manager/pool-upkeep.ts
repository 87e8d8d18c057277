import type { Clock, Timer } from "../base/mod.ts";

/** Between looks at the workers beyond the warm ones, of which those idle for long end. */
const IDLE_WORKER_MS = 1_000;
/** After an actor has taken a warm worker, or a worker has died: how long until another is started. */
const WARM_UP_DELAY_MS = 50;

export interface PoolUpkeepEnvironment {
  readonly clock: Clock;
  warmUp(): void;
  /** Answers whether it is to look again. */
  stopIdle(): boolean;
}

/** When the pool of workers is brought to its size: not at once, and not while nothing has changed. */
export class PoolUpkeep {
  readonly #env: PoolUpkeepEnvironment;
  #idleTimer: Timer | null = null;
  #warmTimer: Timer | null = null;

  constructor(environment: PoolUpkeepEnvironment) {
    this.#env = environment;
  }

  /** Workers may be missing. */
  warmUpSoon(): void {
    this.#warmTimer ??= this.#env.clock.after(WARM_UP_DELAY_MS, () => {
      this.#warmTimer = null;
      this.#env.warmUp();
    });
  }

  /** Workers may be idle. */
  checkIdleSoon(): void {
    this.#idleTimer ??= this.#env.clock.after(IDLE_WORKER_MS, () => {
      this.#idleTimer = null;
      if (this.#env.stopIdle()) this.checkIdleSoon();
    });
  }

  stop(): void {
    this.#idleTimer?.cancel();
    this.#warmTimer?.cancel();
  }
}
