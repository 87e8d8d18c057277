import { RuntimeStateError, toQuantities } from "../base/mod.ts";
import type { ClusterStateRecord } from "../protocol/mod.ts";
import type { InitInfo, InitOptions, NodeInfo } from "./lifecycle-types.ts";
import { checkInitOptions } from "./options.ts";
import { currentRuntime, runningRuntime, setRuntime, startRuntime, type Runtime } from "./runtime.ts";

/**
 * Starts a runtime in this process, or with `address` joins that of another program, and resolves when it is ready. Optional:
 * the first remote call, put, get… does the same by itself.
 *
 * @throws RuntimeStateError when one is running already (see `ignoreReinitError`), or when that of another program cannot be
 * joined; InvalidArgumentError for wrong options.
 */
export async function init(options: InitOptions = {}): Promise<InitInfo> {
  checkInitOptions(options);
  const running = runningRuntime();
  if (running !== null) {
    if (options.ignoreReinitError === true) return infoOf(running);
    throw new RuntimeStateError("init() was called although a runtime is running already (an earlier init(), or the first remote call, started it); call shutdown() first, or pass ignoreReinitError: true");
  }
  const runtime = startRuntime(options);
  try {
    return await infoOf(runtime);
  } catch (error) {
    await shutdown();
    throw error;
  }
}

async function infoOf(runtime: Runtime): Promise<InitInfo> {
  const { nodeId, jobId, sessionDir } = await runtime.ready;
  const disconnect = async (): Promise<void> => {
    if (runningRuntime() === runtime) await shutdown();
  };
  return { address: runtime.address, dashboardUrl: undefined, nodeId, jobId, namespace: runtime.namespace, sessionDir, disconnect, [Symbol.asyncDispose]: disconnect };
}

/**
 * Ends the runtime: running tasks and actors end, pending gets fail. Resolves when nothing of it is left; of a runtime that was joined, when
 * nothing of this program is left on any node but its detached actors, or after 5 s. Idempotent.
 */
export async function shutdown(): Promise<void> {
  const runtime = runningRuntime();
  if (runtime === null) return;
  await runtime.stop();
  if (runningRuntime() === runtime) setRuntime(null);
}

/** Whether a runtime is running: started by `init`, or by the first call. */
export function isInitialized(): boolean {
  return runningRuntime() !== null;
}

async function clusterState(): Promise<ClusterStateRecord> {
  return currentRuntime().core.requests.ask<ClusterStateRecord>((requestId) => ({ type: "clusterState", requestId }));
}

/** The machines of the cluster. */
export async function nodes(): Promise<NodeInfo[]> {
  const { nodes: records } = await clusterState();
  return records.map((node) => ({ nodeId: node.nodeId, name: node.name, alive: node.isAlive, draining: node.isAlive && node.isDraining, address: node.address, hostname: node.hostname, resources: toQuantities(node.totals), labels: { ...node.labels } }));
}

/** What the cluster has in total, by resource. */
export async function clusterResources(): Promise<Record<string, number>> {
  return sum((await clusterState()).nodes.filter(({ isAlive }) => isAlive).map((node) => toQuantities(node.totals)));
}

/** What of it is free now. */
export async function availableResources(): Promise<Record<string, number>> {
  return sum((await clusterState()).nodes.map((node) => toQuantities(node.available)));
}

function sum(quantities: readonly Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const quantity of quantities) for (const [name, amount] of Object.entries(quantity)) total[name] = (total[name] ?? 0) + amount;
  return total;
}
