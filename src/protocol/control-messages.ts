import type { NodeId } from "../base/mod.ts";

/** To the head, from whoever runs a cluster. */
export type ToHead =
  /** `node`: the beginning of its id, its address or its name. `timeLeftMs`: after which it ends whatever it does; null: when it has nothing left to do. */
  { readonly type: "drainNode"; readonly node: string; readonly timeLeftMs: number | null };

export type FromHead =
  | { readonly type: "refused"; readonly reason: string }
  /** It takes nothing new any more. */
  | { readonly type: "nodeDrains"; readonly nodeId: NodeId }
  /** `reason`: how; it follows "the node …". */
  | { readonly type: "nodeLeft"; readonly nodeId: NodeId; readonly reason: string; readonly isDrained: boolean };
