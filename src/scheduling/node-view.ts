import type { NodeId, NodeKey, ResourceAmounts } from "../base/mod.ts";

/** What is seen of a node when one is chosen. May be a little old: the node itself decides what it takes. */
export interface NodeView {
  readonly key: NodeKey;
  readonly nodeId: NodeId;
  readonly totals: ResourceAmounts;
  /** Below zero where tasks went on after waiting. A resource that is absent counts as zero. */
  readonly available: ResourceAmounts;
  readonly labels: Readonly<Record<string, string>>;
  /** False of a node that has ended and is remembered: it is only named in reasons. */
  readonly isAlive: boolean;
  /** It is about to end: what runs there goes on, nothing new comes. */
  readonly isDraining: boolean;
  /** Actors there that take no resources, which `available` does not show: the next one of the kind counts them. */
  readonly weightless: number;
}

export function takesWork({ isAlive, isDraining }: NodeView): boolean {
  return isAlive && !isDraining;
}
