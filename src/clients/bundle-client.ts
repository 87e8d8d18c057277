import type { NodeId, NodeKey, ResourceAmounts } from "../base/mod.ts";
import type { BundleOrder, BundleReport } from "../protocol/mod.ts";

/** What the GCS needs of nodes to place bundles there. */
export interface BundleClient {
  /** Those that are alive and take work, as they are seen now. May be a little old: a node refuses what it has no room for. */
  bundleNodes(): readonly { readonly key: NodeKey; readonly totals: ResourceAmounts; readonly available: ResourceAmounts }[];
  /** Null of a node that is gone. */
  nodeIdOf(node: NodeKey): NodeId | null;
  /** The answers come to `bundlesReported`. */
  orderBundles(node: NodeKey, order: BundleOrder): void;
}

/** A node's answers. */
export interface BundleListener {
  bundlesReported(node: NodeKey, report: BundleReport): void;
}
