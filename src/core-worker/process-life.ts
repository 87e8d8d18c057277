/** Whether something is awaited that must keep the process alive: counted here, told to the event loop without flapping. */
export class ProcessLife {
  readonly #keepAlive: (isNeeded: boolean) => void;
  #holds = 0;
  /** All holds ever: a change shows that something was done. */
  holdsMade = 0;
  #isKeptAlive = false;
  #isLettingGo = false;

  constructor(keepAlive: (isNeeded: boolean) => void) {
    this.#keepAlive = keepAlive;
  }

  get isHeld(): boolean {
    return this.#holds > 0;
  }

  /** Keeps the process alive until the result is called; calling it again does nothing. */
  hold(): () => void {
    this.holdsMade++;
    if (this.#holds++ === 0 && !this.#isKeptAlive) {
      this.#isKeptAlive = true;
      this.#keepAlive(true);
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holds === 0) this.#letGoSoon();
    };
  }

  /** Not at once: in a program that makes one call after the other, the next one comes within the turn. */
  #letGoSoon(): void {
    if (this.#isLettingGo) return;
    this.#isLettingGo = true;
    setImmediate(() => {
      this.#isLettingGo = false;
      if (this.#holds > 0 || !this.#isKeptAlive) return;
      this.#isKeptAlive = false;
      this.#keepAlive(false);
    });
  }
}
