import { hydratedScript } from "../closure/hydrated-scripts.ts";
import { OWN_PACKAGE_URL } from "../own-package.ts";
import { displayName, mappedLocation } from "../closure/source-positions.ts";

/**
 * Makes the stacks of this thread's errors show where code was written: functions that came from elsewhere at their
 * place in the source file, and modules that a loader compiled by their source maps. To be called once per worker.
 * Node's own mapping (which tsx switches on) is replaced by this one, as V8 asks only one.
 */
export function installStackMapping(): void {
  Error.prepareStackTrace = (error, callSites) => {
    const lines = callSites.flatMap((callSite) => {
      const line = frameLine(placeOf(callSite));
      return line === undefined ? [] : [`\n    at ${line}`];
    });
    return headOf(error) + lines.join("");
  };
}

/** Removes the frames that are no business of the user's: this package's own, and the turns of Node's queues. */
export function cleanStack(stack: string): string {
  return stack
    .split("\n")
    .filter((line) => !isOwnFrame(line))
    .join("\n");
}

/** `ErrorClass: message`, as V8 begins a stack. */
function headOf(error: unknown): string {
  try {
    return Error.prototype.toString.call(error);
  } catch {
    return "Error";
  }
}

/** One frame of a stack as it is loaded, not mapped to its source yet. Keeps nothing alive, which a stack does. */
export interface StackPlace {
  readonly text: string;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
}

function placeOf(callSite: NodeJS.CallSite): StackPlace {
  return { text: String(callSite), file: callSite.getFileName() ?? null, line: callSite.getLineNumber(), column: callSite.getColumnNumber() };
}

/**
 * The frames of a stack that was captured and not looked at yet, without this package's own: to be kept for long, and mapped only
 * when somebody asks.
 */
export function placesOf(captured: { readonly stack?: string }): readonly StackPlace[] {
  const { prepareStackTrace } = Error;
  let places: readonly StackPlace[] = [];
  Error.prepareStackTrace = (_error, callSites) => {
    // Describing a frame is most of the work.
    places = callSites.filter((callSite) => !isOwnFrame(`    at ${callSite.getFileName() ?? ""}:`)).map((callSite) => placeOf(callSite));
    return "";
  };
  try {
    void captured.stack;
  } finally {
    if (prepareStackTrace === undefined) Reflect.deleteProperty(Error, "prepareStackTrace");
    else Error.prepareStackTrace = prepareStackTrace;
  }
  return places;
}

/** The places of the user's program among them, as a stack shows them. */
export function programPlaces(places: readonly StackPlace[]): string[] {
  return places.flatMap((place) => {
    const line = frameLine(place);
    return line === undefined || isOwnFrame(`    at ${line}`) ? [] : [line];
  });
}

/** Undefined for the code that stands around functions in hydrated scripts. */
function frameLine({ text, file, line, column }: StackPlace): string | undefined {
  if (file === null || file === "" || line === null || column === null || file.startsWith("node:")) return text;
  const position = { line: line - 1, column: column - 1 };
  const script = hydratedScript(file);
  const location = script === undefined ? mappedLocation(file, position) : script.writtenLocation(position);
  if (location === undefined) return script === undefined ? text : undefined;
  const written = `${location.file}:${location.line + 1}:${location.column + 1}`;
  const shown = [`${file}:${line}:${column}`, `${displayName(file)}:${line}:${column}`].find((place) => text.includes(place));
  return shown === undefined ? text : text.replace(shown, () => written);
}

const OWN_ROOT = displayName(OWN_PACKAGE_URL);

/** Parts of Node between one function of the user's and the next. */
const NODE_FRAMES =
  /node:(?:internal\/(?:process\/(?:task_queues|promises)|timers|worker|modules|event_target|per_context|main)|events:|vm:|net:|diagnostics_channel:|async_hooks:|internal\/async_local_storage)/;

function isOwnFrame(line: string): boolean {
  if (!/^\s+at /.test(line)) return false;
  if (NODE_FRAMES.test(line)) return true;
  return (line.includes(OWN_ROOT) || line.includes(OWN_PACKAGE_URL)) && !/\.test\.[cm]?[jt]s|\/fixtures\//.test(line);
}
