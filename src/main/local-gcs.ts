import { hostname } from "node:os";
import { GcsService } from "../gcs/mod.ts";
import type { NodeManager } from "../node-manager/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";

/** The GCS of a runtime that has one node, in the same thread. */
export function createLocalGcs(config: SessionConfig, nodeManager: NodeManager): GcsService {
  const gcs: GcsService = new GcsService({
    place: (spec) => nodeManager.placeActor(spec),
    cancelPlacement: (actorId) => nodeManager.cancelPlacement(actorId),
    start: (workerId, spec, number, wasRestarted) => nodeManager.startActor(workerId, spec, number, wasRestarted),
    endShared: (workerId, actorId, graceful, mayRestart, reason, endReason) => nodeManager.shared.end(workerId, { type: "endSharedActor", actorId, graceful, mayRestart, reason, endReason }),
    endWorker: (workerId, graceful, reason) => nodeManager.endActorWorker(workerId, graceful, reason),
    askOwner: (ownerId, actorId) => {
      if (nodeManager.isConnected(ownerId)) nodeManager.send(ownerId, { type: "whereIsActor", actorId });
      else gcs.ownerEnded(actorId, ownerId);
    },
    publish: (workerId, state) => nodeManager.publish(workerId, state),
    send: (workerId, message) => nodeManager.send(workerId, message),
    ended: () => undefined,
    clusterState: () => {
      const { nodeId, address, totals, labels } = config;
      return { nodes: [{ nodeId, isAlive: true, address, hostname: hostname(), totals, available: nodeManager.available, labels }] };
    },
  });
  return gcs;
}
