import type { AcceleratorIds, Clock, JobId, NodeId, NodeKey, RandomSource, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { BundleListener, PlacementListener, WorkerLauncher } from "../clients/mod.ts";
import type { WorkerDeath, WorkerKind } from "../protocol/mod.ts";
import type { ArgumentFetcher } from "./argument-pulls.ts";
import type { ClusterSide } from "./cluster-side.ts";

/** What a node manager is given by whoever composes the node. */
export interface NodeManagerEnvironment {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly nodeId: NodeId;
  readonly labels: Readonly<Record<string, string>>;
  readonly totals: ResourceAmounts;
  readonly acceleratorIds: AcceleratorIds;
  /** Of workers that are kept warm. */
  readonly defaultKind: WorkerKind;
  readonly warmWorkersMin: number;
  /** Threads live in other processes, each of one job. */
  readonly areThreadsOfJobs: boolean;
  /** Of the program that this node was started by. */
  readonly firstJobId: JobId;
  readonly launcher: WorkerLauncher;
  /** Makes a channel between two workers and hands each its end. */
  connect(a: WorkerId, b: WorkerId): void;
  placements(): PlacementListener & BundleListener;
  /** Where a worker of this process writes the number of the shared actor that it is in; null for another process. */
  watchRunning(workerId: WorkerId): Int32Array | null;
  /** For the program that the worker works for. */
  warn(workerId: WorkerId, text: string): void;
  /** A worker may run something from now on. */
  somebodyWorks(): void;
  /** A worker has ended, and nobody has been told: whoever hears of it can read none of its objects any more. */
  endObjects(workerId: WorkerId): void;
  /** As above, of all workers of a node that is gone. */
  endObjectsOfNode(node: NodeKey): void;
  /** Every worker that ended, after all here have been told. */
  workerLost(workerId: WorkerId, death: WorkerDeath): void;
  /** Workers fail to start, one after another: why. */
  startFailed(reason: string): void;
  /** Null for a node that is alone. */
  readonly cluster: ClusterSide | null;
  /** As above. */
  readonly argumentFetcher: ArgumentFetcher | null;
}
