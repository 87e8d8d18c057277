import { type ResourceAmounts, UNITS_PER_RESOURCE } from "../base/mod.ts";

/** The first resource of `wanted` that `offered` has too little of, or undefined when it fits. */
export function lacking(wanted: ResourceAmounts, offered: ResourceAmounts): string | undefined {
  for (const name in wanted) if ((offered[name] ?? 0) < (wanted[name] as number)) return name;
  return undefined;
}

export function fits(wanted: ResourceAmounts, offered: ResourceAmounts): boolean {
  return lacking(wanted, offered) === undefined;
}

/** What a machine has and what of it is free. Free amounts go below zero while unblocked tasks take back what they gave. */
export class ResourceLedger {
  readonly totals: ResourceAmounts;
  readonly #available: Record<string, number>;

  constructor(totals: ResourceAmounts) {
    this.totals = totals;
    this.#available = { ...totals };
  }

  get available(): ResourceAmounts {
    return this.#available;
  }

  hasRoomFor(wanted: ResourceAmounts): boolean {
    return fits(wanted, this.#available);
  }

  canEverHold(wanted: ResourceAmounts): boolean {
    return fits(wanted, this.totals);
  }

  take(amounts: ResourceAmounts): void {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) - (amounts[name] as number);
  }

  give(amounts: ResourceAmounts): void {
    for (const name in amounts) this.#available[name] = (this.#available[name] ?? 0) + (amounts[name] as number);
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
