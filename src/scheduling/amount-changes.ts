import type { ResourceAmounts } from "../base/mod.ts";
import type { ChangedAmounts } from "../protocol/mod.ts";

/** What makes `before` into `after`. */
export function changesBetween(before: ResourceAmounts, after: ResourceAmounts): ChangedAmounts {
  const changes: Record<string, number | null> = {};
  for (const name in after) if (before[name] !== after[name]) changes[name] = after[name] as number;
  for (const name in before) if (!(name in after)) changes[name] = null;
  return changes;
}

/** What a node has and has free, as it was told last. */
export interface KnownAmounts {
  readonly totals: Record<string, number>;
  readonly available: Record<string, number>;
}

/** As a node has them that was not heard of since it came. */
export function knownAtFirst(totals: ResourceAmounts): KnownAmounts {
  return { totals: { ...totals }, available: { ...totals } };
}

export function keepUp(known: KnownAmounts, change: { readonly totals: ChangedAmounts; readonly available: ChangedAmounts }): void {
  applyChanges(known.totals, change.totals);
  applyChanges(known.available, change.available);
}

export function applyChanges(amounts: Record<string, number>, changes: ChangedAmounts): void {
  for (const name in changes) {
    const amount = changes[name] as number | null;
    if (amount === null) delete amounts[name];
    else amounts[name] = amount;
  }
}

export function areAny(changes: ChangedAmounts): boolean {
  for (const _name in changes) return true;
  return false;
}
