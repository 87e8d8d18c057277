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
  /** Ends a worker of this node at once. */
  end(workerId: WorkerId, reason: string): void;
}

interface Broken {
  readonly askerId: WorkerId;
  readonly isAskerDriver: boolean;
}

/**
 * Brings workers together that want to talk to each other. Where they cannot, or not any more, though both live (over the network that is
 * after many attempts, see transport/lasting-channel.ts), what was on its way is lost, and nobody could say what: one of the two ends, so
 * that whoever waits for it hears of that, as of any other end of a worker.
 */
export class PeerIntroductions {
  readonly #env: PeerIntroductionsEnvironment;
  /** By the worker that is asked whether it lives: a dead one's end may not have been seen yet. */
  readonly #broken = new Map<WorkerId, Broken[]>();

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

  /** The asker has no connection with the other one any more. */
  broken(askerId: WorkerId, targetId: WorkerId, isAskerDriver: boolean): void {
    const { workers, cluster } = this.#env;
    if (workers.has(targetId)) {
      const known = this.#broken.get(targetId);
      if (known === undefined) this.#broken.set(targetId, [{ askerId, isAskerDriver }]);
      else known.push({ askerId, isAskerDriver });
      return this.#env.send(targetId, { type: "ping" });
    }
    if (this.#isFar(targetId) && cluster?.fromWorker(nodeKeyOf(targetId), askerId, { type: "peerBroken", workerId: targetId, isDriver: isAskerDriver }) === true) return;
    this.#env.send(askerId, { type: "workerDied", workerId: targetId, cause: UNKNOWN_HERE });
  }

  /** It lives. Of two workers the same one ends, whoever has noticed; a program never does. */
  answered(targetId: WorkerId): void {
    const broken = this.#broken.get(targetId);
    this.#broken.delete(targetId);
    const isDriver = this.#env.workers.get(targetId)?.kind === "driver";
    for (const { askerId, isAskerDriver } of broken ?? []) {
      if (!isDriver && (isAskerDriver || targetId > askerId)) this.#env.end(targetId, brokenWith(askerId));
      else if (!isAskerDriver) this.#env.send(askerId, { type: "leaveNow", reason: brokenWith(targetId) });
      else this.#separate(askerId, targetId);
    }
  }

  /** Two programs: each goes on without the other, which only one of them may have noticed. */
  #separate(a: WorkerId, b: WorkerId): void {
    const cause = { reason: "cannot be connected to any more", pid: 0, isRetryable: true };
    this.#env.send(a, { type: "workerDied", workerId: b, cause });
    this.#env.send(b, { type: "workerDied", workerId: a, cause });
  }

  workerLost(workerId: WorkerId): void {
    this.#broken.delete(workerId);
  }

  #isFar(workerId: WorkerId): boolean {
    return this.#env.cluster !== null && nodeKeyOf(workerId) !== this.#env.node;
  }
}

function brokenWith(workerId: WorkerId): string {
  return `was ended because its connection with worker ${workerId} broke, and with it went what was on its way`;
}
