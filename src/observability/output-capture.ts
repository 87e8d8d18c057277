/** A line longer than this is sent in pieces. */
const LINE_CHARACTERS_MAX = 16_384;

export type OutputSink = (stream: "stdout" | "stderr", lines: readonly string[]) => void;

/**
 * Takes over what code of this worker writes to stdout and stderr (console included), line by line.
 */
export function captureOutput(sink: OutputSink): { flush(): void } {
  const streams = (["stdout", "stderr"] as const).map((name) => new LineBuffer(name, sink));
  for (const buffer of streams) {
    const stream = process[buffer.name];
    stream.write = ((chunk: Uint8Array | string, encodingOrDone?: BufferEncoding | (() => void), done?: () => void): boolean => {
      const encoding = typeof encodingOrDone === "string" ? encodingOrDone : "utf8";
      buffer.write(typeof chunk === "string" ? chunk : Buffer.from(chunk).toString(encoding));
      const callback = typeof encodingOrDone === "function" ? encodingOrDone : done;
      if (callback !== undefined) queueMicrotask(callback);
      return true;
    }) as typeof stream.write;
  }
  return { flush: () => { for (const buffer of streams) buffer.flush(true); } };
}

class LineBuffer {
  readonly name: "stdout" | "stderr";
  readonly #sink: OutputSink;
  #partial = "";
  #lines: string[] = [];

  constructor(name: "stdout" | "stderr", sink: OutputSink) {
    this.name = name;
    this.#sink = sink;
  }

  write(text: string): void {
    const parts = (this.#partial + text).split("\n");
    this.#partial = parts.pop() as string;
    for (const line of parts) this.#lines.push(line);
    if (this.#partial.length > LINE_CHARACTERS_MAX) {
      this.#lines.push(this.#partial);
      this.#partial = "";
    }
    // At once: the source of a line is the task that runs now, and the worker may die with the next statement.
    this.flush(false);
  }

  flush(withPartial: boolean): void {
    if (withPartial && this.#partial !== "") {
      this.#lines.push(this.#partial);
      this.#partial = "";
    }
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length > 0) this.#sink(this.name, lines);
  }
}
