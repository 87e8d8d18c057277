import type { NodeId } from "../base/mod.ts";

/** What one label of a node must be. Plain data. */
export interface LabelCondition {
  readonly key: string;
  /** The label is one of these. Null: the node has the label, whatever it says. */
  readonly values: readonly string[] | null;
  /** It must not be so: a node without the label is right, too. */
  readonly isNegated: boolean;
}

/** Which of the nodes that may be is taken. */
export type NodePreference =
  /** The node of whoever asks, else those that are in use already. */
  | { readonly type: "pack" }
  /** One node after the other. */
  | { readonly type: "spread" }
  /** This one. Soft: another, if this one is gone or could never hold it. */
  | { readonly type: "node"; readonly nodeId: NodeId; readonly isSoft: boolean }
  /** One that meets all of these, if one with room does. */
  | { readonly type: "labels"; readonly preferred: readonly LabelCondition[] };

/** Where a task or actor may run. Null in place of it: anywhere, and packed. Plain data. */
export interface StrategyRecord {
  /** All must hold of its node. */
  readonly required: readonly LabelCondition[];
  readonly preference: NodePreference;
}

/** The same for equal records, as their fields and conditions always have the same order. */
export function strategyKeyOf(strategy: StrategyRecord): string {
  return JSON.stringify(strategy);
}
