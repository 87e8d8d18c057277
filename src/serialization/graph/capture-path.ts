import { SerializationError } from "../../base/mod.ts";
import { ERROR_PATH_STEPS_MAX } from "../limits.ts";

/** How one object was reached from another: a property's key, an index, or words of our own. */
export type Step = string | symbol | number | { readonly words: string };

/** How every object of a graph was reached first, kept as cheaply as possible: it is read only when something is refused. */
export class CapturePath {
  readonly #rootLabel: string;
  readonly #parents: number[] = [];
  readonly #steps: Step[] = [];
  readonly #descriptions = new Map<number, string>();

  constructor(rootLabel: string) {
    this.#rootLabel = rootLabel;
  }

  /** Ids are counted up from 0. A root has the parent -1. */
  add(parent: number, step: Step): void {
    this.#parents.push(parent);
    this.#steps.push(step);
  }

  /** Names an object in paths that lead through it. */
  describe(id: number, description: string): void {
    this.#descriptions.set(id, description);
  }

  error(id: number, reason: string, cause?: unknown): SerializationError {
    const path = this.#pathTo(id);
    const message = `${reason}\n  path: ${path.join(" -> ")}`;
    return new SerializationError(message, cause === undefined ? undefined : { cause });
  }

  #pathTo(id: number): string[] {
    const path: string[] = [];
    for (let current = id; current >= 0; current = this.#parents[current] as number) {
      const description = this.#descriptions.get(current);
      if (description !== undefined) path.push(description);
      const parent = this.#parents[current] as number;
      if (parent >= 0) path.push(stepName(this.#steps[current] as Step));
    }
    if (this.#rootLabel !== "") path.push(this.#rootLabel);
    path.reverse();
    if (path.length <= ERROR_PATH_STEPS_MAX) return path;
    const half = ERROR_PATH_STEPS_MAX / 2;
    return [...path.slice(0, half), `… ${path.length - 2 * half} more …`, ...path.slice(-half)];
  }
}

function stepName(step: Step): string {
  if (typeof step === "number") return `[${step}]`;
  if (typeof step === "object") return step.words;
  return `property '${String(step)}'`;
}
