import type { NodeKey, ResourceAmounts } from "../base/mod.ts";
import type { StrategyRecord } from "../protocol/mod.ts";

/** What is to be placed. */
export interface PlacementRequest {
  readonly resources: ResourceAmounts;
  readonly strategy: StrategyRecord | null;
  /** Where whoever asks lives: taken while it has room. Null when that is nowhere. */
  readonly ownNode: NodeKey | null;
  /** How much of its arguments lies where, in bytes: whoever holds more of them comes first, before the own node too. */
  readonly argumentBytes: ReadonlyMap<NodeKey, number> | null;
  /** For SPREAD: the node that came last, also if it is gone since. Null: it begins with the first. */
  readonly spreadAfter: NodeKey | null;
}
