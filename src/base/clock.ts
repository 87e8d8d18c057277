/** Time as the runtime sees it. Real ones are made in `main/`, simulated ones in `testing/`. */
export interface Clock {
  /** Milliseconds since an arbitrary origin, never going back. */
  nowMs(): number;
  /** Runs `callback` once after `delayMs`; the timer alone never keeps a process alive. */
  after(delayMs: number, callback: () => void): Timer;
}

export interface Timer {
  cancel(): void;
}
