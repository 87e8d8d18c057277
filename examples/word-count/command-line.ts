import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";

export interface WordCountOptions {
  readonly paths: readonly string[];
  readonly mappers: number;
  readonly reducers: number;
  readonly top: number;
  /** undefined: as many as a measurable time needs. */
  readonly passes: number | undefined;
  readonly isolation: "thread" | "process";
}

export const USAGE = `Usage: npm start -- [FILE…] [options]

Counts the words of the files, or of the King James Bible that comes with the example.

  --mappers N      actors that read and count (as many as this machine has cores)
  --reducers N     actors that merge, each its own range of words (2)
  --top N          how many of the most frequent words to show (10)
  --passes N       count everything N times, for times that can be compared
  --isolation I    run actors in a "thread" (the default) or a "process" each
  --help           show this`;

const SHIPPED_TEXT = fileURLToPath(new URL("./data/kjv.txt", import.meta.url));

export class UsageError extends Error {}

/** Reads the command line; undefined where it only asks for help. */
export function parseCommandLine(args: readonly string[]): WordCountOptions | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  if (values.isolation !== undefined && values.isolation !== "thread" && values.isolation !== "process") {
    throw new UsageError(`--isolation is "thread" or "process", not "${values.isolation}"`);
  }
  return {
    paths: positionals.length > 0 ? positionals : [SHIPPED_TEXT],
    mappers: countOf("--mappers", values.mappers, 1, 256) ?? Math.max(2, availableParallelism()),
    reducers: countOf("--reducers", values.reducers, 1, 256) ?? 2,
    top: countOf("--top", values.top, 0, 1_000_000) ?? 10,
    passes: countOf("--passes", values.passes, 1, 1000),
    isolation: values.isolation ?? "thread",
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        mappers: { type: "string" },
        reducers: { type: "string" },
        top: { type: "string" },
        passes: { type: "string" },
        isolation: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function countOf(option: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < min || count > max) {
    throw new UsageError(`${option} is a whole number from ${min} to ${max}, not "${text}"`);
  }
  return count;
}
