import type { CodeOrigin, ModuleRequest } from "../protocol/mod.ts";

/** Who finds modules of a program whose files are not here, or are other files than there. */
export interface ModulePlaces {
  /** Whether paths lead to the same files here as they do there; "maybe" where that cannot be told. */
  compare(origin: CodeOrigin): "same" | "maybe" | "other";
  /** What to ask Node for instead of each request; null where nothing better is known. @throws SerializationError */
  place(origin: CodeOrigin, requests: readonly ModuleRequest[], loadsTypeScript: boolean): Promise<Placement>;
}
export interface Placement {
  readonly targets: readonly (ModuleRequest | null)[];
  /** File URL of each placed module → that of the program's file. */
  readonly sources: ReadonlyMap<string, string>;
  /** File URL, with a slash at its end: under it other files lie as on the program's machine. */
  readonly root: string;
}

const sourceOfPlaced = new Map<string, string>();
const placedSources = new Set<string>();
const roots = new Set<string>();

export function notePlaced({ sources, root }: Placement): void {
  roots.add(root);
  for (const [url, source] of sources) {
    sourceOfPlaced.set(url, source);
    placedSources.add(source);
  }
}

/** The program's file that a module was made from; the same URL for all others. */
export function sourceUrlOf(url: string): string {
  const source = sourceOfPlaced.get(url);
  if (source !== undefined) return source;
  for (const root of roots) if (url.startsWith(root)) return `file:///${url.slice(root.length)}`;
  return url;
}

/** Whether workers get this file of a program from it. */
export function isPlacedSource(url: string): boolean {
  return placedSources.has(url);
}
