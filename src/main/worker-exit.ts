import type { WorkerDeath } from "../protocol/mod.ts";

/** Puts what is known of a worker's end into words. What the worker said itself, or who ended it, comes first. */
export class ExitStory {
  #noted: string | null = null;
  #error: Error | null = null;
  #stderr = "";
  #isHeapExhausted = false;

  note(reason: string): void {
    this.#noted ??= reason;
  }

  noteError(error: Error): void {
    this.#error = error;
  }

  /** The end of what the process wrote to stderr: V8 prints there when its heap is exhausted. */
  noteStderr(text: string): void {
    // It is followed by a long native stack, which would push it out of what is kept.
    this.#isHeapExhausted ||= /heap out of memory|Reached heap limit/.test(this.#stderr + text);
    this.#stderr = (this.#stderr + text).slice(-STDERR_CHARACTERS_MAX);
  }

  tell(pid: number, code: number | null, signal: NodeJS.Signals | null): WorkerDeath {
    const isOutOfMemory = (this.#error as { code?: string } | null)?.code === "ERR_WORKER_OUT_OF_MEMORY" || this.#isHeapExhausted;
    if (isOutOfMemory) return { reason: "ran out of heap memory (raise it with NODE_OPTIONS=--max-old-space-size, or keep less in memory)", pid, isRetryable: false, isHeapExhausted: true };
    if (this.#noted !== null) return { reason: this.#noted, pid, isRetryable: true };
    if (this.#error !== null) return { reason: `ended by an error: ${this.#error.stack ?? this.#error.message}`, pid, isRetryable: true };
    const stderr = this.#stderr.trim() === "" ? "" : `; its last words on stderr: ${this.#stderr.trim()}`;
    if (signal !== null) return { reason: `was killed by signal ${signal}${stderr}`, pid, isRetryable: true, ...(OUTSIDE_SIGNALS.has(signal) ? { wasKilled: true } : {}) };
    return { reason: `exited with code ${String(code)}${stderr}`, pid, isRetryable: true };
  }
}

/** Not those of a crash. */
const OUTSIDE_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP"]);
const STDERR_CHARACTERS_MAX = 2_000;
