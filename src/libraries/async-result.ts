import { aDurationMs, aSignal, checkOptions, clock, GetTimeoutError, RuntimeStateError, type GetOptions } from "../api/mod.ts";

const WAIT = { timeoutMs: aDurationMs, signal: aSignal };
type State<T> = { readonly status: "pending" } | { readonly status: "done"; readonly value: T } | { readonly status: "failed"; readonly error: unknown };

/** What the `…Async` methods of a `Pool` return: work that may still be going on. */
export class AsyncResult<T> {
  #state: State<T> = { status: "pending" };
  /** Never rejects: nobody has to ask. */
  readonly #settled: Promise<void>;

  /** @internal */
  constructor(work: Promise<T>) {
    this.#settled = work.then(
      (value) => { this.#state = { status: "done", value }; },
      (error: unknown) => { this.#state = { status: "failed", error }; },
    );
  }

  /**
   * The result, when it is there.
   *
   * @throws what the work failed with; GetTimeoutError after `timeoutMs`, and the signal's reason: the work goes on.
   */
  async get(options: GetOptions = {}): Promise<T> {
    if (!(await this.wait(options))) throw new GetTimeoutError(`the result was not there after ${options.timeoutMs} ms; the work goes on, get() may be called again`);
    const state = this.#state;
    if (state.status === "failed") throw state.error;
    return (state as { value: T }).value;
  }

  /** Whether the work was done, with success or without, when the waiting ended. @throws the signal's reason. */
  async wait(options: GetOptions = {}): Promise<boolean> {
    checkOptions(options, WAIT, "AsyncResult");
    const { timeoutMs, signal } = options;
    signal?.throwIfAborted();
    if (this.#state.status !== "pending") return true;
    if (timeoutMs === undefined && signal === undefined) return this.#settled.then(() => true);
    return new Promise<boolean>((resolve, reject) => {
      const end = (conclude: () => void): void => {
        timer?.cancel();
        signal?.removeEventListener("abort", onAbort);
        conclude();
      };
      const onAbort = (): void => end(() => reject(signal?.reason));
      const timer = timeoutMs === undefined ? null : clock().after(timeoutMs, () => end(() => resolve(this.ready())));
      signal?.addEventListener("abort", onAbort, { once: true });
      void this.#settled.then(() => end(() => resolve(true)));
    });
  }

  /** Whether the work is done, with success or without. */
  ready(): boolean {
    return this.#state.status !== "pending";
  }

  /** Whether it was done without an error. @throws RuntimeStateError when it is not done. */
  successful(): boolean {
    if (!this.ready()) throw new RuntimeStateError("successful() was asked before the work was done; await wait() or get() first, or ask ready()");
    return this.#state.status === "done";
  }
}
