/** Amounts in units of 0.0001, so that fractions add up exactly. A resource that is absent counts as zero. */
export type ResourceAmounts = Readonly<Record<string, number>>;

/** By resource: which of the accelerators were given, as their driver names them ("0", "GPU-8f2…"). */
export type AcceleratorIds = Readonly<Record<string, readonly string[]>>;

/** What goes back to the machine while a task waits for an object. All else stays with it: its memory, its place on an accelerator, its licence. */
export const FREED_WHILE_WAITING = "CPU";

/** The precision of amounts is 0.0001. */
export const UNITS_PER_RESOURCE = 10_000;

/** As far as the arithmetic of fractions can tell. */
export function isMultipleOfUnit(quantity: number): boolean {
  return Math.abs(quantity * UNITS_PER_RESOURCE - Math.round(quantity * UNITS_PER_RESOURCE)) < 1e-6;
}

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
