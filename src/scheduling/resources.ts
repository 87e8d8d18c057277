import { FREED_WHILE_WAITING, type AcceleratorIds, type ResourceAmounts, UNITS_PER_RESOURCE } from "../base/mod.ts";
import { AcceleratorSlots } from "./accelerator-slots.ts";

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

/** What a machine has and what of it is free. Free processors go below zero while unblocked tasks take back what they gave. */
export class ResourceLedger {
  readonly totals: ResourceAmounts;
  readonly #available: Record<string, number>;
  /** Of resources whose parts have ids. */
  readonly #slots: ReadonlyMap<string, AcceleratorSlots>;

  constructor(totals: ResourceAmounts, acceleratorIds: AcceleratorIds = {}, slots?: ReadonlyMap<string, AcceleratorSlots>) {
    this.totals = totals;
    this.#available = { ...totals };
    this.#slots = slots ?? new Map(Object.entries(acceleratorIds).map(([name, ids]) => [name, new AcceleratorSlots(ids)]));
  }

  get available(): ResourceAmounts {
    return this.#available;
  }

  /** What is free now, to try on it what would fit. */
  free(): ResourceLedger {
    return new ResourceLedger(this.#available, {}, new Map([...this.#slots].map(([name, slots]) => [name, slots.copy()])));
  }

  hasRoomFor(wanted: ResourceAmounts): boolean {
    if (!fits(wanted, this.#available)) return false;
    for (const [name, slots] of this.#slots) if (wanted[name] !== undefined && !slots.hasRoomFor(wanted[name])) return false;
    return true;
  }

  canEverHold(wanted: ResourceAmounts): boolean {
    return fits(wanted, this.totals);
  }

  /** The ids of what was taken, or null where nothing of it has one. */
  take(amounts: ResourceAmounts): AcceleratorIds | null {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) - (amounts[name] as number);
    let ids: Record<string, readonly string[]> | null = null;
    for (const [name, slots] of this.#slots) if (amounts[name] !== undefined) (ids ??= {})[name] = slots.take(amounts[name]);
    return ids;
  }

  /** `ids`: what `take` returned. */
  give(amounts: ResourceAmounts, ids: AcceleratorIds | null = null): void {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) + (amounts[name] as number);
    for (const name in ids) this.#slots.get(name)?.give(ids[name] as readonly string[], amounts[name] as number);
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
