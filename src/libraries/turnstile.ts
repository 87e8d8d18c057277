import { AsyncResult } from "./async-result.ts";
import type { GetOptions } from "../api/mod.ts";

/** Lets so many through at once; the others wait in the order of their coming. */
export class Turnstile {
  readonly #insideMax: number;
  #inside = 0;
  readonly #waiting = new Set<() => void>();

  constructor(insideMax: number) {
    this.#insideMax = insideMax;
  }

  get isEmpty(): boolean {
    return this.#inside === 0;
  }

  /** True: inside, at once. False: `wait` for it. */
  enter(): boolean {
    if (this.#inside >= this.#insideMax || this.#waiting.size > 0) return false;
    this.#inside++;
    return true;
  }

  /** True: inside. False after `timeoutMs`. @throws the signal's reason. */
  async wait(options: GetOptions | undefined): Promise<boolean> {
    let letIn!: () => void;
    const turn = new AsyncResult(new Promise<void>((resolve) => { letIn = resolve; }));
    this.#waiting.add(letIn);
    let isIn = false;
    try {
      isIn = await turn.wait(options);
      return isIn;
    } finally {
      // Let in by now, but too late: the next one goes.
      if (!isIn && !this.#waiting.delete(letIn)) this.leave();
    }
  }

  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#inside--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
