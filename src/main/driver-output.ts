import type { Clock, Timer } from "../base/mod.ts";
import { LogFolding, type PrintedLine } from "../observability/mod.ts";
import type { LogRecord } from "../protocol/mod.ts";

/** How often folded repeats are looked at while there are some. */
const FLUSH_MS = 1_000;

/** Prints workers' output in the driver. */
export class DriverOutput {
  readonly #folding = new LogFolding();
  readonly #clock: Clock;
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  print(record: LogRecord): void {
    write(this.#folding.add(record, this.#clock.nowMs()));
    this.#flushLater();
  }

  #flushLater(): void {
    if (!this.#folding.isHolding) return;
    this.#timer ??= this.#clock.after(FLUSH_MS, () => {
      this.#timer = null;
      write(this.#folding.flush(this.#clock.nowMs()));
      this.#flushLater();
    });
  }

  /** What is still folded, at the end. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    write(this.#folding.flush(Number.POSITIVE_INFINITY));
  }
}

function write(lines: readonly PrintedLine[]): void {
  for (const { stream, text } of lines) process[stream].write(`${text}\n`);
}
