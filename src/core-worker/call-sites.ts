import { placesOf, programPlaces, type StackPlace } from "../serialization/mod.ts";
import type { CallSite } from "./object-entry.ts";

/** Those of this package that may lie above the program's included. */
const CURRENT_FRAMES_MAX = 20;
/** Shown of the way to a call. */
const PLACES_SHOWN_MAX = 3;

/** Not the site itself is kept: a stack that was captured keeps alive what its functions can see. */
export function takenFrom(site: CallSite): readonly StackPlace[] {
  return (site.places ??= placesOf(site));
}

/** Where in the program the code is that now runs, as far as its frames are on the stack. */
export function currentCallSite(): string | null {
  const captured: { readonly stack?: string } = {};
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = CURRENT_FRAMES_MAX;
  Error.captureStackTrace(captured, currentCallSite);
  Error.stackTraceLimit = stackTraceLimit;
  return programPlaces(placesOf(captured))[0] ?? null;
}

/** Many objects are made at few places: each is mapped once. */
export function callSiteOf(places: readonly StackPlace[], known: Map<string, string | null>): string | null {
  const key = places.map(({ text }) => text).join("\n");
  let callSite = known.get(key);
  if (callSite === undefined) {
    const shown = programPlaces(places).slice(0, PLACES_SHOWN_MAX);
    known.set(key, (callSite = shown.length === 0 ? null : shown.join(" | ")));
  }
  return callSite;
}
