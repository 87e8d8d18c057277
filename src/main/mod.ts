export { isMultipleOfUnit } from "../base/mod.ts";
export { checkNodeLabels, whyNoResourceName } from "../scheduling/mod.ts";
export { availableResources, clusterResources, explain, init, memorySummary, type NodeInfo, nodes, shutdown, timeline } from "./index.ts";
export { networkAddressOf } from "./network-address.ts";
export { type DrainOutcome, drainNode } from "./node-drainer.ts";
export { launchNode } from "./node-launcher.ts";
export { startNode, type NodeOptions, type NodeReport } from "./node-process.ts";
export { stopNode } from "./node-stopper.ts";
export { findNodes, findRuntime } from "./runtime-address.ts";
