/** Errors that runs were cancelled with: code that nobody awaits any more may be rejected with one, and that is no accident. */
const cancelReasons = new WeakSet<Error>();

/** Whether this is what a cancelled run was told, by itself or as the cause of an error of Node's (`AbortError`). */
export function isCancelReason(error: unknown): boolean {
  return error instanceof Error && (cancelReasons.has(error) || (error.cause instanceof Error && cancelReasons.has(error.cause)));
}

/** What a run awaits of the runtime. */
export interface Awaited {
  /** Refs' entries, and streams. */
  readonly things: readonly object[];
  /** How many of them are enough, those included that were there. */
  readonly needed: number;
  /** It has a time limit, or a signal. */
  readonly endsByItself: boolean;
}

/** How one run of a task or call is told to stop. Made when somebody asks for it: most runs have none. */
export class RunScope {
  /** How long it may take; null without limit. */
  timeoutMs: number | null = null;
  #reason: Error | null = null;
  #controller: AbortController | null = null;
  /** What it awaits of the runtime, each by a way to reject that; null for what is no object. */
  #awaited: Map<(reason: Error) => void, Awaited | null> | null = null;
  /** It awaited nothing when it was cancelled: what it awaits next is rejected instead. */
  #isRejectionDue = false;

  /** Null until it is cancelled. */
  get reason(): Error | null {
    return this.#reason;
  }

  get isCancelled(): boolean {
    return this.#reason !== null;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /**
   * It awaits something until the result is called; `reject` is called at most once. A run learns in this way once that it is
   * cancelled, as from an exception: what it awaits afterwards, to clean up, is left alone.
   */
  awaits(reject: (reason: Error) => void, what: Awaited | null): () => void {
    if (this.#isRejectionDue) {
      this.#isRejectionDue = false;
      const reason = this.#reason as Error;
      queueMicrotask(() => reject(reason));
      return nothing;
    }
    const awaited = (this.#awaited ??= new Map<(reason: Error) => void, Awaited | null>());
    awaited.set(reject, what);
    return () => void awaited.delete(reject);
  }

  /** What it awaits right now. */
  get awaited(): Iterable<Awaited | null> {
    return this.#awaited?.values() ?? [];
  }

  /** False when it was cancelled before. */
  cancel(reason: Error): boolean {
    if (this.#reason !== null) return false;
    this.#reason = reason;
    cancelReasons.add(reason);
    this.#controller?.abort(reason);
    const awaited = this.#awaited;
    this.#awaited = null;
    this.#isRejectionDue = awaited === null || awaited.size === 0;
    if (awaited !== null) for (const reject of awaited.keys()) reject(reason);
    return true;
  }
}

const nothing = (): void => undefined;
