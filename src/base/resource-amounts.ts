/** Amounts in units of 0.0001, so that fractions add up exactly. A resource that is absent counts as zero. */
export type ResourceAmounts = Readonly<Record<string, number>>;

/** The precision of amounts is 0.0001. */
export const UNITS_PER_RESOURCE = 10_000;

export function toAmounts(quantities: Readonly<Record<string, number>>): ResourceAmounts {
  const amounts: Record<string, number> = {};
  for (const [name, quantity] of Object.entries(quantities)) {
    const units = Math.round(quantity * UNITS_PER_RESOURCE);
    if (units > 0) amounts[name] = units;
  }
  return amounts;
}

export function toQuantities(amounts: ResourceAmounts): Record<string, number> {
  return Object.fromEntries(Object.entries(amounts).map(([name, units]) => [name, units / UNITS_PER_RESOURCE]));
}

export function isZero(amounts: ResourceAmounts): boolean {
  for (const _ in amounts) return false;
  return true;
}
