import type { LogRecord } from "../protocol/mod.ts";

/** A line that the same function or class prints again within this time, in whichever worker, counts as a repeat. */
const FOLD_WINDOW_MS = 5_000;
/** Texts remembered for folding; the oldest goes first. */
const TEXTS_MAX = 1_000;

export interface PrintedLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

interface Seen {
  readonly source: string;
  readonly stream: "stdout" | "stderr";
  readonly text: string;
  readonly firstMs: number;
  repeats: number;
}

/**
 * Folds what many workers print alike: the first line is shown at once, the repeats of it as one line with their number
 * when the window ends. Pure: time comes in as an argument.
 */
export class LogFolding {
  readonly #seen = new Map<string, Seen>();

  /** The lines to print now. */
  add(record: LogRecord, nowMs: number): PrintedLine[] {
    const out = this.flush(nowMs);
    const source = `(${record.source ?? "worker"} pid=${record.pid}${record.nodeAddress === undefined ? "" : `, node=${record.nodeAddress}`})`;
    for (const text of record.lines) {
      const key = `${record.stream}\u0000${record.source ?? ""}\u0000${text}`;
      const seen = this.#seen.get(key);
      if (seen !== undefined) {
        seen.repeats++;
        continue;
      }
      if (this.#seen.size >= TEXTS_MAX) out.push(...this.#forgetOldest());
      this.#seen.set(key, { source, stream: record.stream, text, firstMs: nowMs, repeats: 0 });
      out.push({ stream: record.stream, text: `${source} ${text}` });
    }
    return out;
  }

  /** The repeats whose window has ended; all with `nowMs` Infinity. */
  flush(nowMs: number): PrintedLine[] {
    const out: PrintedLine[] = [];
    for (const [key, seen] of this.#seen) {
      if (nowMs - seen.firstMs < FOLD_WINDOW_MS) break; // In order of their first line.
      this.#seen.delete(key);
      if (seen.repeats > 0) out.push(folded(seen));
    }
    return out;
  }

  /** Whether repeats wait to be shown. */
  get isHolding(): boolean {
    for (const seen of this.#seen.values()) if (seen.repeats > 0) return true;
    return false;
  }

  #forgetOldest(): PrintedLine[] {
    const [key, seen] = this.#seen.entries().next().value as [string, Seen];
    this.#seen.delete(key);
    return seen.repeats > 0 ? [folded(seen)] : [];
  }
}

function folded(seen: Seen): PrintedLine {
  return { stream: seen.stream, text: `${seen.source} ${seen.text} [repeated ${seen.repeats}x]` };
}
