import { AsyncLocalStorage } from "node:async_hooks";
import type { Execution } from "./execution.ts";

/** One for the thread: each that exists costs every promise of it something. */
let storage: AsyncLocalStorage<Execution> | null = null;

/**
 * Which task the running code belongs to. Synchronous code is told by a plain variable. Only asynchronous functions pay
 * for AsyncLocalStorage, which slows every promise of a thread on Node 20 from its first use on.
 */
export class ExecutionContext {
  #current: Execution | null = null;
  /** Tasks that run or wait in this worker. With exactly one, code that lost its context can only be its. */
  readonly running = new Set<Execution>();
  #isOutside = false;

  current(): Execution | undefined {
    if (this.#isOutside) return undefined;
    if (this.#current !== null) return this.#current;
    const stored = storage?.getStore();
    if (stored !== undefined) return stored;
    if (this.running.size !== 1) return undefined;
    // Several actors of one worker have timers and callbacks besides their calls.
    for (const only of this.running) return only.actor?.spec.isShared === true ? undefined : only;
    return undefined;
  }

  /** Calls `body` as no task's: what it submits is not cancelled with the one that happens to run. What it starts asynchronously is that one's again. */
  outside<T>(body: () => T): T {
    const wasOutside = this.#isOutside;
    this.#isOutside = true;
    try {
      return body();
    } finally {
      this.#isOutside = wasOutside;
    }
  }

  /** Calls `body`; what it starts asynchronously keeps the context if `isAsync`. */
  run<T>(execution: Execution, isAsync: boolean, body: () => T): T {
    const outer = this.#current;
    this.#current = isAsync ? null : execution;
    try {
      return isAsync ? (storage ??= new AsyncLocalStorage()).run(execution, body) : body();
    } finally {
      this.#current = outer;
    }
  }
}
