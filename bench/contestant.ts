/** A contestant's own process: one peer, and whatever the parent asks it to do, one thing at a time. */
import { PEERS } from "./peers/registry.ts";
import type { PeerSettings } from "./peers/peer.ts";
import type { PeerId } from "./peers/registry.ts";
import { PEER_WORKLOADS } from "./workloads/peer-workloads.ts";
import type { Parameters, Workload } from "./workloads/workload.ts";

export interface WorkloadRequest {
  readonly workload: string;
  readonly parameters: Parameters;
}

export type WorkloadReply =
  | { readonly kind: "ready" }
  | { readonly kind: "figures"; readonly figures: Readonly<Record<string, number>> }
  | { readonly kind: "failure"; readonly message: string };

const RAY_PREFIX = "ray:";
const STORE_PREFIX = "store:";
const NODES_PREFIX = "nodes:";
const CLUSTER_PREFIX = "cluster:";
const SHARED_ACTORS_PREFIX = "shared-actors:";
const RECOVERY_PREFIX = "recovery:";

async function workloadNamed(name: string): Promise<Workload> {
  if (name.startsWith(STORE_PREFIX)) {
    const { STORE_WORKLOADS } = await import("./workloads/store-workloads.ts");
    return STORE_WORKLOADS[name.slice(STORE_PREFIX.length) as keyof typeof STORE_WORKLOADS];
  }
  if (name.startsWith(NODES_PREFIX)) {
    const { NODE_WORKLOADS } = await import("./workloads/node-workloads.ts");
    return NODE_WORKLOADS[name.slice(NODES_PREFIX.length) as keyof typeof NODE_WORKLOADS];
  }
  if (name.startsWith(CLUSTER_PREFIX)) {
    const { CLUSTER_WORKLOADS } = await import("./workloads/cluster-workloads.ts");
    return CLUSTER_WORKLOADS[name.slice(CLUSTER_PREFIX.length) as keyof typeof CLUSTER_WORKLOADS];
  }
  if (name.startsWith(SHARED_ACTORS_PREFIX)) {
    const { SHARED_ACTOR_WORKLOADS } = await import("./workloads/shared-actors.ts");
    return SHARED_ACTOR_WORKLOADS[name.slice(SHARED_ACTORS_PREFIX.length) as keyof typeof SHARED_ACTOR_WORKLOADS];
  }
  if (name.startsWith(RECOVERY_PREFIX)) {
    const { RECOVERY_WORKLOADS } = await import("./workloads/recovery-workloads.ts");
    return RECOVERY_WORKLOADS[name.slice(RECOVERY_PREFIX.length) as keyof typeof RECOVERY_WORKLOADS];
  }
  if (!name.startsWith(RAY_PREFIX)) return PEER_WORKLOADS[name as keyof typeof PEER_WORKLOADS];
  const { rayWorkload } = await import("./workloads/ray-workloads.ts");
  return rayWorkload(name.slice(RAY_PREFIX.length));
}

function reply(message: WorkloadReply): void {
  process.send!(message);
}

async function replying(work: () => Promise<WorkloadReply>): Promise<void> {
  try {
    reply(await work());
  } catch (error) {
    reply({ kind: "failure", message: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
}

await replying(async () => {
  const peer = await PEERS[process.argv[2] as PeerId].open(JSON.parse(process.argv[3]!) as PeerSettings);
  process.on("message", (request: WorkloadRequest) =>
    replying(async () => {
      const workload = await workloadNamed(request.workload);
      return { kind: "figures", figures: await workload(peer, request.parameters) };
    }),
  );
  // The parent lets go of the channel to end this process.
  process.once("disconnect", () => void peer.close());
  return { kind: "ready" };
});
