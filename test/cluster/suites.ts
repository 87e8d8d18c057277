/** Suites of test/conformance that also run on three nodes, by the file here that runs them: `suites-of-GROUP.test.ts`. */
export const ON_THREE_NODES = {
  tasks: ["tasks", "nesting", "retry-exceptions", "worker-crashes", "max-calls"],
  scheduling: ["fair-sharing", "waiting-actors", "task-priority", "resources", "runtime-context", "placement-groups", "joined-drivers", "explain"],
  cancellation: ["cancellation", "cancelled-calls", "call-limits"],
  actors: ["actors", "actors-handles", "actors-ends", "shared-actors"],
  calls: ["actor-calls", "actor-retries", "actor-pool", "pool", "queue"],
  objects: ["objects", "references", "shared-objects", "shared-objects-full", "object-listing"],
  streams: ["streaming", "streaming-control"],
  programs: ["bad-input", "output-and-errors", "timeline", "runtime-env", "working-dir"],
} as const;

/** The others, and why. */
export const ON_ONE_NODE: Readonly<Record<string, string>> = {
  "held-up": "each node tells of what is held up there, in the same way; its programs start runtimes of their own",
  lifecycle: "is the start and the end of a runtime of one's own; those of nodes are in test/cli",
  "memory-limits": "a worker's memory is measured by its node, in the same way; its programs start runtimes of their own",
  "memory-shortage": "the memory of a machine is watched by its node, in the same way; its programs start runtimes of their own",
  "missing-files": "has files hidden from workers of a runtime of its own; of other machines: three-machines.test.ts",
  "npm-packages": "counts the installs of one machine, which all nodes here share",
  "permission-model": "is what Node allows the program",
  "program-end-memory": "is the memory of a runtime of one's own",
  "runtime-address": "is how a runtime of one's own is found; of clusters: test-cluster.test.ts, and test/cli",
  "scheduling-strategies": "is what strategies come to where there is one node; where there are three: strategies.test.ts",
};

type Group = keyof typeof ON_THREE_NODES;

/**
 * One cluster is for all suites that follow each other and want the same nodes. What differs there between the isolations is the worker's
 * concern, and is seen on one node: to save time they run with threads, unless MANTARAY_TEST_ISOLATION says otherwise.
 */
export async function runOnThreeNodes(group: Group): Promise<void> {
  process.env["MANTARAY_TEST_NODES"] = "3";
  process.env["MANTARAY_TEST_ISOLATION"] ??= "thread";
  for (const name of ON_THREE_NODES[group]) await import(`../conformance/${name}.test.ts`);
}
