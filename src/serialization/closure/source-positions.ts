import { findSourceMap } from "node:module";
import { fileURLToPath } from "node:url";

/** 0-based. */
export interface SourcePosition {
  readonly line: number;
  readonly column: number;
}

/** Numbers per entry of a position table: loaded line and column, written line and column. */
const ENTRY_LENGTH = 4;

/** Where the functions of a compiled script were written: the script's source map, one written file at a time. */
export interface ScriptPositions {
  /** The entries from one position to another, for a function to carry along. */
  slice(start: SourcePosition, end: SourcePosition): { file: string; table: Int32Array } | undefined;
}

const positionsByScript = new Map<string, ScriptPositions | undefined>();

/** Undefined where the loaded source is the written one. */
export function scriptPositions(rawUrl: string): ScriptPositions | undefined {
  if (!positionsByScript.has(rawUrl)) positionsByScript.set(rawUrl, readPositions(rawUrl));
  return positionsByScript.get(rawUrl);
}

function readPositions(rawUrl: string): ScriptPositions | undefined {
  const map = sourceMapOf(rawUrl);
  if (map === undefined) return undefined;
  const { mappings, sources } = map.payload;
  const decoded = decodeMappings(mappings);
  return {
    slice(start, end) {
      const first = lastEntryAt(decoded.entries, start, MAP_ENTRY_LENGTH);
      const table: number[] = [];
      let source = -1;
      for (let index = Math.max(first, 0); index < decoded.count; index++) {
        const at = index * MAP_ENTRY_LENGTH;
        const [line, column, sourceIndex, writtenLine, writtenColumn] = decoded.entries.subarray(at, at + MAP_ENTRY_LENGTH);
        if (line! > end.line || (line === end.line && column! > end.column)) break;
        // Helpers that the compiler adds come from sources of their own.
        if (source === -1 || isInvented(sources[source])) {
          if (source !== sourceIndex!) table.length = 0;
          source = sourceIndex!;
        }
        if (sourceIndex === source) table.push(line!, column!, writtenLine!, writtenColumn!);
      }
      if (table.length === 0) return undefined;
      return { file: displayName(sources[source] ?? rawUrl), table: Int32Array.from(table) };
    },
  };
}

/** The written position of a loaded one, by a table as `slice` gives it. */
export function writtenPosition(table: Int32Array, position: SourcePosition): SourcePosition {
  const index = Math.max(lastEntryAt(table, position, ENTRY_LENGTH), 0) * ENTRY_LENGTH;
  return { line: table[index + 2] ?? position.line, column: table[index + 3] ?? position.column };
}

/** The part of a table from one position to another. */
export function slicePositions(table: Int32Array, start: SourcePosition, end: SourcePosition): Int32Array {
  const first = Math.max(lastEntryAt(table, start, ENTRY_LENGTH), 0);
  const last = Math.max(lastEntryAt(table, end, ENTRY_LENGTH), first);
  return table.slice(first * ENTRY_LENGTH, (last + 1) * ENTRY_LENGTH);
}

/** Of a frame in a module that was loaded as usual: by the source map that Node keeps, if there is one. */
export function mappedLocation(rawUrl: string, position: SourcePosition): (SourcePosition & { file: string }) | undefined {
  const entry = sourceMapOf(rawUrl)?.findEntry(position.line, position.column);
  // Text that a compiler adds has an entry and no source.
  if (entry === undefined || !("originalSource" in entry) || entry.originalSource === undefined) return undefined;
  return { file: displayName(entry.originalSource), line: entry.originalLine, column: entry.originalColumn };
}

/** Where a text ends that begins at `start`. */
export function endOfText(start: SourcePosition, text: string): SourcePosition {
  const lines = text.split("\n");
  const last = lines.at(-1) as string;
  return lines.length === 1
    ? { line: start.line, column: start.column + last.length }
    : { line: start.line + lines.length - 1, column: last.length };
}

/** As stack traces show files: a path where there is one. */
export function displayName(url: string): string {
  if (!url.startsWith("file:")) return url;
  try {
    return fileURLToPath(url.replace(/[?#].*$/, ""));
  } catch {
    return url;
  }
}

function sourceMapOf(rawUrl: string): ReturnType<typeof findSourceMap> {
  if (rawUrl === "" || rawUrl.startsWith("node:")) return undefined;
  return findSourceMap(rawUrl) ?? (rawUrl.startsWith("file:") ? findSourceMap(displayName(rawUrl)) : undefined);
}

/** Names such as "<define:import.meta>" stand for code that nobody wrote. */
function isInvented(source: string | undefined): boolean {
  return source === undefined || /(?:<|%3C)[^/]*(?:>|%3E)$/.test(source);
}

const MAP_ENTRY_LENGTH = 5;
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Source map format 3: base64 variable-length differences; ";" ends a line, "," a segment. */
function decodeMappings(mappings: string): { entries: Int32Array; count: number } {
  const entries: number[] = [];
  let line = 0;
  const state = [0, 0, 0, 0];
  let field = 0;
  let value = 0;
  let shift = 0;
  const endSegment = (): void => {
    if (field >= 4) entries.push(line, state[0]!, state[1]!, state[2]!, state[3]!);
    field = 0;
  };
  for (const character of mappings) {
    if (character === "," || character === ";") {
      endSegment();
      if (character === ";") {
        line++;
        state[0] = 0;
      }
      continue;
    }
    const digit = BASE64.indexOf(character);
    value += (digit & 31) << shift;
    if (digit & 32) {
      shift += 5;
      continue;
    }
    const difference = value & 1 ? -(value >> 1) : value >> 1;
    if (field < 4) state[field]! += difference;
    field++;
    value = 0;
    shift = 0;
  }
  endSegment();
  return { entries: Int32Array.from(entries), count: entries.length / MAP_ENTRY_LENGTH };
}

/** Index of the last entry at or before a position, or -1. */
function lastEntryAt(entries: Int32Array, position: SourcePosition, entryLength: number): number {
  let low = 0;
  let high = entries.length / entryLength;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const line = entries[middle * entryLength] as number;
    const column = entries[middle * entryLength + 1] as number;
    if (line < position.line || (line === position.line && column <= position.column)) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
