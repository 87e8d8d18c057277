import type { ResourceAmounts } from "../base/mod.ts";
import type { BundleRecord, StrategyRecord, WantRecord } from "../protocol/mod.ts";
import { takenFromNode } from "./bundle-resources.ts";

/** Of all that wait at one place, other nodes are told so many kinds. */
const WANTS_MAX = 16;

interface Waiting {
  readonly resources: ResourceAmounts;
  readonly bundle: BundleRecord | null;
  readonly strategy: StrategyRecord | null;
}

/** What these wait for, each kind once; with each, who shares what it gets: null for an actor. */
export function distinctWants(waiting: Iterable<readonly [Waiting, sharer: string | null]>): readonly WantRecord[] {
  const wants = new Map<string, WantRecord>();
  for (const [{ resources, bundle, strategy }, sharer] of waiting) {
    const want = { resources: takenFromNode(resources, bundle), strategy };
    const kind = JSON.stringify(want);
    const known = wants.get(kind);
    if (known === undefined && wants.size === WANTS_MAX) continue;
    if (known === undefined || known.sharer !== sharer) wants.set(kind, { ...want, sharer: known === undefined ? sharer : null });
  }
  return [...wants.values()];
}
