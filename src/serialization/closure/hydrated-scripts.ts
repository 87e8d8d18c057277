import { forgetOldest } from "../../base/mod.ts";
import type { FunctionRecord, ModuleGroup } from "../graph/graph-format.ts";
import { writtenPosition } from "./source-positions.ts";
import type { SourcePosition } from "./source-positions.ts";

/** Where a function of a hydrated script comes from. */
export interface FunctionOrigin {
  readonly record: FunctionRecord;
  readonly group: ModuleGroup;
  /** In the source as it was loaded where the function was captured. */
  readonly position: SourcePosition;
}

interface PlacedFunction {
  readonly record: FunctionRecord;
  readonly group: ModuleGroup;
  readonly startLine: number;
  readonly startColumn: number;
  readonly endLine: number;
  readonly endColumn: number;
}

/** A script made of functions that came from elsewhere, with what leads back to their sources. */
export class HydratedScript {
  readonly #functions: PlacedFunction[] = [];

  place(record: FunctionRecord, group: ModuleGroup, start: SourcePosition, end: SourcePosition): void {
    this.#functions.push({
      record,
      group,
      startLine: start.line,
      startColumn: start.column,
      endLine: end.line,
      endColumn: end.column,
    });
  }

  /** Undefined for positions in the code around the functions. */
  originAt(position: SourcePosition): FunctionOrigin | undefined {
    const placed = this.#functions.find(
      (candidate) =>
        (position.line > candidate.startLine ||
          (position.line === candidate.startLine && position.column >= candidate.startColumn)) &&
        (position.line < candidate.endLine ||
          (position.line === candidate.endLine && position.column <= candidate.endColumn)),
    );
    if (placed === undefined) return undefined;
    const { record, group } = placed;
    const lineInText = position.line - placed.startLine;
    const columnInText = lineInText === 0 ? position.column - placed.startColumn : position.column;
    const written = undoEdits(record, lineInText, columnInText);
    return {
      record,
      group,
      position: {
        line: record.line + lineInText,
        column: lineInText === 0 ? record.column + written : written,
      },
    };
  }

  /** File, line and column as its author knows them. */
  writtenLocation(position: SourcePosition): (SourcePosition & { readonly file: string }) | undefined {
    const origin = this.originAt(position);
    if (origin === undefined) return undefined;
    const { record } = origin;
    const written = record.positions === null ? origin.position : writtenPosition(record.positions, origin.position);
    return { file: record.displayFile, ...written };
  }
}

/** The column in the text before its edits. Edits keep the number of lines, so only those of the same line count. */
function undoEdits(record: FunctionRecord, line: number, column: number): number {
  if (record.edits.length === 0) return column;
  const lineStart = startOfLine(record.text, line);
  let shift = 0;
  for (const edit of record.edits) {
    const editLineStart = record.text.lastIndexOf("\n", edit.start - 1) + 1;
    if (editLineStart !== lineStart || edit.text.includes("\n")) continue;
    const editColumn = edit.start - lineStart;
    if (editColumn + shift + edit.text.length > column) continue;
    shift += edit.text.length - (edit.end - edit.start);
  }
  return column - shift;
}

function startOfLine(text: string, line: number): number {
  let start = 0;
  for (let index = 0; index < line; index++) start = text.indexOf("\n", start) + 1;
  return start;
}

const scriptsByUrl = new Map<string, HydratedScript>();
/** Marks the URL of a hydrated script; `import()` inside still resolves from the file that the URL names. */
const URL_MARK = "?mantaray-";
let nextScript = 0;
/** A worker that is sent ever new closures forgets where the oldest came from; their stacks then show the copies. */
const HYDRATED_SCRIPTS_MAX = 10_000;

export function registerHydratedScript(sourceUrl: string): { url: string; script: HydratedScript } {
  const script = new HydratedScript();
  const url = `${sourceUrl === "" ? "anonymous" : sourceUrl}${URL_MARK}${nextScript++}`;
  scriptsByUrl.set(url, script);
  forgetOldest(scriptsByUrl, HYDRATED_SCRIPTS_MAX);
  return { url, script };
}

export function hydratedScript(rawUrl: string): HydratedScript | undefined {
  return rawUrl.includes(URL_MARK) ? scriptsByUrl.get(rawUrl) : undefined;
}
