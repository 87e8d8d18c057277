import type { CodeUnitRecord } from "../protocol/mod.ts";

/** Code that handles refer to by id, for workers that have not seen it. Kept for as long as the cluster runs. */
export class FunctionTable {
  readonly #units = new Map<string, CodeUnitRecord>();

  put(units: readonly CodeUnitRecord[]): void {
    for (const unit of units) if (!this.#units.has(unit.id)) this.#units.set(unit.id, unit);
  }

  /** Those that are kept here, in place of copies that came later. */
  kept(units: readonly CodeUnitRecord[]): CodeUnitRecord[] {
    return units.map((unit) => this.#units.get(unit.id) ?? unit);
  }

  /** The units and all that they need, each once; ids that are not known are left out. */
  get(unitIds: readonly string[]): CodeUnitRecord[] {
    const found = new Map<string, CodeUnitRecord>();
    const wanted = [...unitIds];
    for (let id = wanted.pop(); id !== undefined; id = wanted.pop()) {
      const unit = this.#units.get(id);
      if (unit === undefined || found.has(id)) continue;
      found.set(id, unit);
      wanted.push(...unit.needs);
    }
    return [...found.values()];
  }
}
