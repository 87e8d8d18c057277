import { hostname } from "node:os";
import { nodeKeyOf, type Clock } from "../base/mod.ts";
import { GcsService } from "../gcs/mod.ts";
import type { NodeManager } from "../node-manager/mod.ts";
import { withoutGroups } from "../scheduling/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";

/** The GCS of a runtime that has one node, in the same thread. */
export function createLocalGcs(config: SessionConfig, nodeManager: NodeManager, clock: Clock): GcsService {
  const key = nodeKeyOf(config.nodeId);
  const gcs: GcsService = new GcsService({
    place: (spec) => nodeManager.placeActor(spec, spec.isDetached ? null : nodeManager.rootOf(spec.ownerId)),
    cancelPlacement: (actorId) => nodeManager.cancelPlacement(actorId),
    start: (workerId, spec, number, wasRestarted) => nodeManager.startActor(workerId, spec, number, wasRestarted),
    endShared: (workerId, actorId, graceful, mayRestart, reason, endReason) => nodeManager.shared.end(workerId, { type: "endSharedActor", actorId, graceful, mayRestart, reason, endReason }),
    endWorker: (workerId, graceful, reason) => nodeManager.endActorWorker(workerId, graceful, reason),
    move: (workerId, actorId) => nodeManager.send(workerId, { type: "moveActor", actorId }),
    askOwner: (ownerId, actorId) => {
      if (nodeManager.isConnected(ownerId)) nodeManager.send(ownerId, { type: "whereIsActor", actorId });
      else gcs.ownerEnded(actorId, ownerId);
    },
    publish: (workerId, state) => nodeManager.publish(workerId, state),
    send: (workerId, message) => nodeManager.send(workerId, message),
    sendSoon: (workerId, message) => nodeManager.sendSoon(workerId, message),
    isConnected: (workerId) => nodeManager.isConnected(workerId),
    bundleNodes: () => [{ key, totals: config.totals, available: nodeManager.available }],
    nodeIdOf: () => config.nodeId,
    orderBundles: (_node, order) => nodeManager.groups.ordered(order),
    ended: () => undefined,
    keepModules: () => undefined,
    dropModules: () => undefined,
    awaitJobEnd: (jobId, staying, done) => nodeManager.jobEnds.ask(jobId, staying(), done),
    clusterState: () => {
      const { nodeId, address, totals, labels } = config;
      return { nodes: [{ nodeId, name: null, isAlive: true, isDraining: false, address, hostname: hostname(), totals, available: withoutGroups(nodeManager.available), labels }] };
    },
  }, clock);
  return gcs;
}
