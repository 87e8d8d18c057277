import type { LogRecord } from "../protocol/mod.ts";

/** What the same function or class prints again within this time, in whichever worker, counts as a repeat. */
const FOLD_WINDOW_MS = 5_000;
/** Texts remembered for folding; the oldest goes first. */
const TEXTS_MAX = 1_000;
/** Longer ones are shown each time. */
const TEXT_CHARACTERS_MAX = 16_384;

export interface PrintedLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

interface Seen {
  readonly source: string;
  readonly record: LogRecord;
  readonly firstMs: number;
  repeats: number;
}

/**
 * Folds what many workers print alike: the first is shown at once, the repeats of it once more with their number when the window
 * ends. What was written at once is one text, however many lines it has: of tables and objects no line is missing because another has the same.
 * Pure: time comes in as an argument.
 */
export class LogFolding {
  readonly #seen = new Map<string, Seen>();

  /** The lines to print now. */
  add(record: LogRecord, nowMs: number): PrintedLine[] {
    const out = this.flush(nowMs);
    const source = `(${record.source ?? "worker"} pid=${record.pid}${record.nodeAddress === undefined ? "" : `, node=${record.nodeAddress}`})`;
    const text = record.lines.join("\n");
    // Empty lines are there for the look of what is around them.
    if (text.trim() !== "" && text.length <= TEXT_CHARACTERS_MAX) {
      const key = `${record.stream}\u0000${record.source ?? ""}\u0000${text}`;
      const seen = this.#seen.get(key);
      if (seen !== undefined) {
        seen.repeats++;
        return out;
      }
      if (this.#seen.size >= TEXTS_MAX) out.push(...this.#forgetOldest());
      this.#seen.set(key, { source, record, firstMs: nowMs, repeats: 0 });
    }
    out.push(...printed(source, record, ""));
    return out;
  }

  /** The repeats whose window has ended; all with `nowMs` Infinity. */
  flush(nowMs: number): PrintedLine[] {
    const out: PrintedLine[] = [];
    for (const [key, seen] of this.#seen) {
      if (nowMs - seen.firstMs < FOLD_WINDOW_MS) break; // In the order in which they came first.
      this.#seen.delete(key);
      out.push(...folded(seen));
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
    return folded(seen);
  }
}

function folded({ source, record, repeats }: Seen): PrintedLine[] {
  return repeats === 0 ? [] : printed(source, record, ` [repeated ${repeats}x]`);
}

function printed(source: string, { stream, lines }: LogRecord, ending: string): PrintedLine[] {
  return lines.map((line, index) => ({ stream, text: `${source} ${line}${index === lines.length - 1 ? ending : ""}` }));
}
