export { NodeManager } from "./node-manager.ts";
export { RunDeadlines } from "./run-deadlines.ts";
