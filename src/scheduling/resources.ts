import { FREED_WHILE_WAITING, type AcceleratorIds, type ResourceAmounts, UNITS_PER_RESOURCE } from "../base/mod.ts";
import { AcceleratorSlots } from "./accelerator-slots.ts";
import { groupNameOf } from "./bundle-resources.ts";

/** The first resource of `wanted` that `offered` has too little of, or undefined when it fits. */
export function lacking(wanted: ResourceAmounts, offered: ResourceAmounts): string | undefined {
  for (const name in wanted) if ((offered[name] ?? 0) < (wanted[name] as number)) return name;
  return undefined;
}

export function fits(wanted: ResourceAmounts, offered: ResourceAmounts): boolean {
  return lacking(wanted, offered) === undefined;
}

/** The part of what a task holds that it keeps while it waits, or null when that is nothing. */
export function keptWhileWaiting(amounts: ResourceAmounts): ResourceAmounts | null {
  let kept: Record<string, number> | null = null;
  for (const name in amounts) if (name !== FREED_WHILE_WAITING) (kept ??= {})[name] = amounts[name] as number;
  return kept;
}

/** Of the resources, those that are not in the other list. */
export function without(amounts: ResourceAmounts, others: ResourceAmounts): ResourceAmounts {
  return Object.fromEntries(Object.entries(amounts).filter(([name]) => others[name] === undefined));
}

export function sumOf(all: readonly ResourceAmounts[]): ResourceAmounts {
  const sum: Record<string, number> = {};
  for (const amounts of all) for (const name in amounts) sum[name] = (sum[name] ?? 0) + (amounts[name] as number);
  return sum;
}

/**
 * What a machine has and what of it is free. Free processors go below zero while unblocked tasks take back what they gave.
 * The bundles of placement groups that are set aside here are resources of their own; see `bundle-resources.ts`.
 */
export class ResourceLedger {
  readonly #totals: Record<string, number>;
  readonly #available: Record<string, number>;
  /** Of resources whose parts have ids. */
  readonly #slots: Map<string, AcceleratorSlots>;
  /** The names of bundles by that of their group together, where these have ids. */
  readonly #bundlesOf: Map<string, Set<string>>;
  /** Nobody takes of these any more. */
  readonly #closed = new Set<string>();

  constructor(totals: ResourceAmounts, acceleratorIds: AcceleratorIds = {}) {
    this.#totals = { ...totals };
    this.#available = { ...totals };
    this.#slots = new Map(Object.entries(acceleratorIds).map(([name, ids]) => [name, new AcceleratorSlots(ids)]));
    this.#bundlesOf = new Map();
  }

  get totals(): ResourceAmounts {
    return this.#totals;
  }

  get available(): ResourceAmounts {
    return this.#available;
  }

  /** What is free now, to try on it what would fit. */
  free(): ResourceLedger {
    const copy = new ResourceLedger(this.#available);
    for (const [name, slots] of this.#slots) copy.#slots.set(name, slots.copy());
    for (const [name, bundles] of this.#bundlesOf) copy.#bundlesOf.set(name, bundles);
    return copy;
  }

  hasRoomFor(wanted: ResourceAmounts): boolean {
    if (!fits(wanted, this.#available)) return false;
    if (this.#closed.size > 0) for (const name in wanted) if (this.#closed.has(name)) return false;
    if (this.#slots.size === 0) return true;
    for (const name in wanted) if (this.#hasSlots(name, wanted) && this.#slotsFor(name, wanted[name] as number) === undefined) return false;
    return true;
  }

  canEverHold(wanted: ResourceAmounts): boolean {
    return fits(wanted, this.#totals);
  }

  /** The ids of what was taken, or null where nothing of it has one. */
  take(amounts: ResourceAmounts): AcceleratorIds | null {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) - (amounts[name] as number);
    if (this.#slots.size === 0) return null;
    let ids: Record<string, readonly string[]> | null = null;
    for (const name in amounts) {
      if (!this.#hasSlots(name, amounts)) continue;
      const units = amounts[name] as number;
      const slotsName = this.#slotsFor(name, units) ?? name;
      (ids ??= {})[slotsName] = (this.#slots.get(slotsName) as AcceleratorSlots).take(units);
    }
    return ids;
  }

  /** `ids`: what `take` returned. */
  give(amounts: ResourceAmounts, ids: AcceleratorIds | null = null): void {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) + (amounts[name] as number);
    for (const name in ids) this.#slots.get(name)?.give(ids[name] as readonly string[], (amounts[name] ?? amounts[groupNameOf(name)]) as number);
  }

  /** Whoever takes from a bundle has its accelerators by the bundle's name, though the group's name is taken from too. */
  #hasSlots(name: string, wanted: ResourceAmounts): boolean {
    if (this.#slots.has(name)) return true;
    const bundles = this.#bundlesOf.get(name);
    if (bundles === undefined) return false;
    for (const bundle of bundles) if (wanted[bundle] !== undefined) return false;
    return true;
  }

  /** The name of the accelerators that have room: of a group, those of one of its bundles. */
  #slotsFor(name: string, units: number): string | undefined {
    for (const one of this.#bundlesOf.get(name) ?? [name]) if (this.#slots.get(one)?.hasRoomFor(units) === true) return one;
    return undefined;
  }

  /** From now on there are these, too: a bundle that was set aside, whose accelerators have these ids. */
  add(amounts: ResourceAmounts, ids: AcceleratorIds): void {
    for (const name in amounts) {
      this.#totals[name] = (this.#totals[name] ?? 0) + (amounts[name] as number);
      this.#available[name] = (this.#available[name] ?? 0) + (amounts[name] as number);
    }
    for (const name in ids) {
      this.#slots.set(name, AcceleratorSlots.ofPart(ids[name] as readonly string[], amounts[name] as number));
      const ofGroup = this.#bundlesOf.get(groupNameOf(name));
      if (ofGroup === undefined) this.#bundlesOf.set(groupNameOf(name), new Set([name]));
      else ofGroup.add(name);
    }
  }

  /** What `add` has added is about to go: who has some of it keeps it, nobody else gets any. */
  close(amounts: ResourceAmounts): void {
    for (const name in amounts) this.#closed.add(name);
  }

  /** Takes out what `add` has added; false if somebody has some of it. */
  remove(amounts: ResourceAmounts, ids: AcceleratorIds): boolean {
    for (const name in amounts) {
      // Of all bundles of a group here, this one's part is free even if others are in use.
      const free = groupNameOf(name) === name ? (amounts[name] as number) : (this.#totals[name] ?? 0);
      if ((this.#available[name] ?? 0) < free) return false;
    }
    for (const name in ids) if (!(this.#slots.get(name)?.isUnused(amounts[name] as number) ?? true)) return false;
    for (const name in amounts) {
      const left = (this.#totals[name] as number) - (amounts[name] as number);
      this.#available[name] = (this.#available[name] as number) - (amounts[name] as number);
      if (left > 0) this.#totals[name] = left;
      else {
        delete this.#totals[name];
        delete this.#available[name];
      }
      this.#closed.delete(name);
    }
    for (const name in ids) this.#removeSlots(name);
    return true;
  }

  #removeSlots(name: string): void {
    this.#slots.delete(name);
    const ofGroup = this.#bundlesOf.get(groupNameOf(name));
    ofGroup?.delete(name);
    if (ofGroup?.size === 0) this.#bundlesOf.delete(groupNameOf(name));
  }
}

/** Names what is missing for good: "8 CPU, but this cluster has 2". */
export function describeLack(wanted: ResourceAmounts, totals: ResourceAmounts): string {
  const parts: string[] = [];
  for (const name in wanted) {
    const has = totals[name] ?? 0;
    if (has < (wanted[name] as number)) parts.push(`${(wanted[name] as number) / UNITS_PER_RESOURCE} ${name}, but the cluster has ${has === 0 ? "none" : has / UNITS_PER_RESOURCE}`);
  }
  return parts.join("; ");
}
