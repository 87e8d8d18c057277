import type { WriteStream } from "node:tty";

const BAR_WIDTH = 30;
/** Without a terminal, a line for each of these parts. */
const LINES = 4;

/** A bar that redraws itself on a terminal; a few plain lines where the output goes to a file or a pipe. */
export class ProgressBar {
  readonly #total: number;
  readonly #output: WriteStream;
  #linesPrinted = 0;

  constructor(total: number, output: WriteStream = process.stdout) {
    this.#total = Math.max(1, total);
    this.#output = output;
  }

  update(done: number, note: string): void {
    const fraction = Math.min(1, done / this.#total);
    const percent = `${Math.floor(fraction * 100)} %`.padStart(5);
    if (this.#output.isTTY) {
      const filled = Math.round(fraction * BAR_WIDTH);
      const bar = "#".repeat(filled) + "-".repeat(BAR_WIDTH - filled);
      this.#output.write(`\r[${bar}] ${percent}  ${note}\x1b[K`);
      return;
    }
    const lines = Math.floor(fraction * LINES);
    if (lines > this.#linesPrinted) {
      this.#linesPrinted = lines;
      this.#output.write(`${percent}  ${note}\n`);
    }
  }

  /** Leaves the terminal's line to what is printed next. */
  finish(): void {
    if (this.#output.isTTY) this.#output.write("\r\x1b[K");
  }
}
