/**
 * Clusters for tests: several nodes on one machine, each a process of its own.
 *
 * @packageDocumentation
 */
export { startCluster } from "./test-cluster.ts";
export type { TestCluster, TestClusterOptions, TestNode, TestNodeOptions } from "./test-cluster.ts";
