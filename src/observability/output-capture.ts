import { OutputLines } from "./output-lines.ts";

export type OutputSink = (stream: "stdout" | "stderr", lines: readonly string[]) => void;

/**
 * Takes over what code of this worker writes to stdout and stderr (console included), line by line. `flush` gives away lines that have no
 * end yet.
 */
export function captureOutput(sink: OutputSink): { flush(): void } {
  const outputs = (["stdout", "stderr"] as const).map((name) => {
    const output = new OutputLines((lines) => sink(name, lines));
    const stream = process[name];
    stream.write = ((chunk: Uint8Array | string, encodingOrDone?: BufferEncoding | (() => void), done?: () => void): boolean => {
      output.write(typeof chunk === "string" && typeof encodingOrDone === "string" ? Buffer.from(chunk, encodingOrDone) : chunk);
      const callback = typeof encodingOrDone === "function" ? encodingOrDone : done;
      if (callback !== undefined) queueMicrotask(callback);
      return true;
    }) as typeof stream.write;
    return output;
  });
  return { flush: () => { for (const output of outputs) output.flush(); } };
}
