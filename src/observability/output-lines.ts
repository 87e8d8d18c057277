import { StringDecoder } from "node:string_decoder";

/** A line longer than this is sent in pieces. */
const LINE_CHARACTERS_MAX = 16_384;

/** Cuts what is written to a stream into lines, wherever a write, or a chunk of a pipe, begins and ends. */
export class OutputLines {
  readonly #sink: (lines: readonly string[]) => void;
  /** Of bytes, the beginning of a character may come before its end. */
  readonly #decoder = new StringDecoder("utf8");
  #partial = "";

  constructor(sink: (lines: readonly string[]) => void) {
    this.#sink = sink;
  }

  /** What it completes goes on at once: the source of a line is the task that runs now, and the worker may die with the next statement. */
  write(chunk: Uint8Array | string): void {
    const text = typeof chunk === "string" ? this.#decoder.end() + chunk : this.#decoder.write(chunk as Buffer);
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() as string;
    if (this.#partial.length > LINE_CHARACTERS_MAX) {
      lines.push(this.#partial);
      this.#partial = "";
    }
    if (lines.length > 0) this.#sink(lines);
  }

  /** A line without an end, if there is one: nothing may follow it. */
  flush(): void {
    const partial = this.#partial + this.#decoder.end();
    this.#partial = "";
    if (partial !== "") this.#sink([partial]);
  }
}
