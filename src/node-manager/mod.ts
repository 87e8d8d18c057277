export type { ClusterSide } from "./cluster-side.ts";
export { HandOver } from "./hand-over.ts";
export { MemoryGuard } from "./memory-guard.ts";
export type { MemoryReading } from "./memory-pressure.ts";
export { NodeManager } from "./node-manager.ts";
export { OtherNodes, type PeerNodeLink } from "./other-nodes.ts";
export { RunDeadlines } from "./run-deadlines.ts";
