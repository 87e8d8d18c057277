import type { Serializer } from "../serialization/mod.ts";
import { type CodeSource, FunctionCallable } from "./task.ts";

/** Functions and classes of this worker's code on their way out: their ids, and their capture. */
export class CodeExports {
  readonly #serializer: Serializer;
  readonly #toExport = new Set<Function>();
  readonly #callables = new Map<string, FunctionCallable>();

  constructor(serializer: Serializer) {
    this.#serializer = serializer;
  }

  /**
   * The id under which a function or class travels. Its capture may have to wait: two remote functions that mention each
   * other need ids before either can be captured. Whatever encodes something ends with `exportMentioned`.
   */
  unitIdOf(source: CodeSource): string {
    if (source.unitId !== null) return source.unitId;
    const fn = source.fn as Function;
    const unitId = this.#serializer.reserveUnitId(fn);
    if (this.#serializer.codeUnit(unitId) === undefined) this.#toExport.add(fn);
    return unitId;
  }

  /** Captures what was mentioned, and what that mentions. Throws SerializationError. */
  exportMentioned(): void {
    for (const fn of this.#toExport) {
      this.#toExport.delete(fn);
      this.#serializer.exportCode(fn);
    }
  }

  /** One for each unit and `maxCalls`, so that what is learned about its run time serves all its calls. Captures at the first call. */
  callableOf(source: CodeSource, maxCalls: number): FunctionCallable {
    const unitId = this.unitIdOf(source);
    const key = maxCalls === 0 ? unitId : `${unitId} ${maxCalls}`;
    let callable = this.#callables.get(key);
    if (callable === undefined) {
      this.exportMentioned();
      callable = new FunctionCallable(unitId, source.name, maxCalls);
      this.#callables.set(key, callable);
    }
    return callable;
  }
}
