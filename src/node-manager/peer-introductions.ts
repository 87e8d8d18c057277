import { nodeKeyOf, type NodeKey, type WorkerId } from "../base/mod.ts";
import type { FromNode, WorkerDeath } from "../protocol/mod.ts";
import type { ClusterSide } from "./cluster-side.ts";
import type { ConnectedWorker } from "./connected-worker.ts";

const UNKNOWN_HERE: WorkerDeath = { reason: "is not known here: it ended before", pid: 0, isRetryable: true };

export interface PeerIntroductionsEnvironment {
  readonly node: NodeKey;
  /** Of this node. */
  readonly workers: ReadonlyMap<WorkerId, ConnectedWorker>;
  /** Null for a node that is alone. */
  readonly cluster: ClusterSide | null;
  /** Makes a channel between two workers of this node and hands each its end. */
  connect(a: WorkerId, b: WorkerId): void;
  /** Also to a worker of another node. */
  send(workerId: WorkerId, message: FromNode): void;
}

/** Brings workers together that want to talk to each other. */
export class PeerIntroductions {
  readonly #env: PeerIntroductionsEnvironment;

  constructor(environment: PeerIntroductionsEnvironment) {
    this.#env = environment;
  }

  asked(askerId: WorkerId, targetId: WorkerId): void {
    const { workers, cluster } = this.#env;
    const asker = workers.get(askerId);
    const target = workers.get(targetId);
    if (asker === undefined) return this.#askedFromFar(askerId, targetId, target);
    if (asker.connectedTo.has(targetId)) return;
    if (target === undefined && this.#isFar(targetId) && cluster?.fromWorker(nodeKeyOf(targetId), askerId, { type: "connectPeer", workerId: targetId }) === true) {
      asker.connectedTo.add(targetId);
      return;
    }
    if (target === undefined) {
      asker.link?.send({ type: "workerDied", workerId: targetId, cause: UNKNOWN_HERE });
      return;
    }
    asker.connectedTo.add(targetId);
    target.connectedTo.add(askerId);
    this.#env.connect(askerId, targetId);
  }

  /** It lives on another node, and connects to the worker of this one. */
  #askedFromFar(askerId: WorkerId, targetId: WorkerId, target: ConnectedWorker | undefined): void {
    if (!this.#isFar(askerId)) return;
    if (target === undefined) return this.#env.send(askerId, { type: "workerDied", workerId: targetId, cause: UNKNOWN_HERE });
    // Both have asked, each at its own node: one of the two ways is enough.
    if (target.connectedTo.has(askerId) && askerId > targetId) return;
    target.connectedTo.add(askerId);
    target.link?.send({ type: "listenForPeers", askerId });
  }

  #isFar(workerId: WorkerId): boolean {
    return this.#env.cluster !== null && nodeKeyOf(workerId) !== this.#env.node;
  }
}
