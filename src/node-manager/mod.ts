export type { ClusterSide } from "./cluster-side.ts";
export { NodeManager } from "./node-manager.ts";
export { OtherNodes, type PeerNodeLink } from "./other-nodes.ts";
export { RunDeadlines } from "./run-deadlines.ts";
