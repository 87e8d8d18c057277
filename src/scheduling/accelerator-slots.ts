import { invariant, UNITS_PER_RESOURCE } from "../base/mod.ts";

/**
 * The accelerators of one kind on one machine, each with an id. Parts of one accelerator share it with other parts, and lie where
 * least is left, so that whole ones stay free; a whole one is shared with nobody.
 */
export class AcceleratorSlots {
  readonly #ids: readonly string[];
  readonly #freeUnits: number[];

  /** `freeUnits`: of each, in the order of the ids; all free by default. */
  constructor(ids: readonly string[], freeUnits: readonly number[] = ids.map(() => UNITS_PER_RESOURCE)) {
    this.#ids = ids;
    this.#freeUnits = [...freeUnits];
  }

  /** Of `units` that were taken, with these ids. */
  static ofPart(ids: readonly string[], units: number): AcceleratorSlots {
    return new AcceleratorSlots(ids, ids.map(() => unitsOnEach(units, ids.length)));
  }

  /** Nobody has any of these `units`. */
  isUnused(units: number): boolean {
    return this.#freeUnits.every((free) => free === unitsOnEach(units, this.#ids.length));
  }

  copy(): AcceleratorSlots {
    return new AcceleratorSlots(this.#ids, this.#freeUnits);
  }

  hasRoomFor(units: number): boolean {
    return this.#find(units) !== null;
  }

  /** The ids that were taken. Only after `hasRoomFor`. */
  take(units: number): string[] {
    const found = this.#find(units);
    invariant(found !== null, () => `no accelerator is free for ${units} units`);
    for (const index of found) this.#freeUnits[index] = (this.#freeUnits[index] as number) - unitsOnEach(units, found.length);
    return found.map((index) => this.#ids[index] as string);
  }

  give(ids: readonly string[], units: number): void {
    for (const id of ids) {
      const index = this.#ids.indexOf(id);
      this.#freeUnits[index] = (this.#freeUnits[index] as number) + unitsOnEach(units, ids.length);
    }
  }

  #find(units: number): number[] | null {
    if (units < UNITS_PER_RESOURCE) {
      let best = -1;
      for (const [index, free] of this.#freeUnits.entries()) if (free >= units && (best < 0 || free < (this.#freeUnits[best] as number))) best = index;
      return best < 0 ? null : [best];
    }
    const count = Math.ceil(units / UNITS_PER_RESOURCE);
    const whole: number[] = [];
    for (const [index, free] of this.#freeUnits.entries()) if (free === UNITS_PER_RESOURCE && whole.length < count) whole.push(index);
    return whole.length < count ? null : whole;
  }
}

/** Whole ones are taken whole. */
function unitsOnEach(units: number, count: number): number {
  return count > 1 || units > UNITS_PER_RESOURCE ? UNITS_PER_RESOURCE : units;
}
