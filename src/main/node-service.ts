import { hostname } from "node:os";
import type { Clock, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import { GcsService } from "../gcs/mod.ts";
import type { WorkerLink } from "../clients/mod.ts";
import type { ClusterStateRecord, FromNode, ToNode, WorkerDeath } from "../protocol/mod.ts";
import type { NodeManager } from "../node-manager/mod.ts";
import type { StoreService } from "../object-store/mod.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { OutputDrain } from "./output-drain.ts";

/** One machine's control: its node manager, and in an embedded runtime the GCS beside it. Routes what workers send. */
export class NodeService {
  readonly nodeManager: NodeManager;
  readonly gcs: GcsService;
  readonly store: StoreService;
  readonly #config: SessionConfig;
  readonly #onShutdown: () => void;
  readonly addresses = new Map<WorkerId, string>();
  readonly #drain: OutputDrain;

  constructor(config: SessionConfig, nodeManager: NodeManager, clock: Clock, store: StoreService, onShutdown: () => void) {
    this.store = store;
    this.#drain = new OutputDrain(clock, (workerId, drainId) => nodeManager.send(workerId, { type: "drainOutput", drainId }));
    this.#config = config;
    this.nodeManager = nodeManager;
    this.#onShutdown = onShutdown;
    this.gcs = new GcsService({
      place: (spec) => nodeManager.placeActor(spec),
      cancelPlacement: (actorId) => nodeManager.cancelPlacement(actorId),
      start: (workerId, spec, wasRestarted) => nodeManager.startActor(workerId, spec, wasRestarted),
      endWorker: (workerId, graceful, reason) => nodeManager.endActorWorker(workerId, graceful, reason),
      askOwner: (ownerId, actorId) => {
        if (nodeManager.isConnected(ownerId)) nodeManager.send(ownerId, { type: "whereIsActor", actorId });
        else this.gcs.actorNotCreated(actorId, { message: `its owner (worker ${ownerId}) has ended`, creation: null, isUnschedulable: false });
      },
      publish: (workerId, state) => nodeManager.publish(workerId, state),
    });
  }

  /** Serves one core worker over its link. */
  serve(workerId: WorkerId, link: WorkerLink): void {
    link.onMessage((message) => this.#onMessage(workerId, link, message));
  }

  #onMessage(senderId: WorkerId, link: WorkerLink, message: ToNode): void {
    switch (message.type) {
      case "register":
        if (message.listenAddress !== null) this.addresses.set(senderId, message.listenAddress);
        if (this.nodeManager.isExpected(senderId)) this.nodeManager.workerRegistered(senderId, link);
        return link.send({ type: "registered", nodeId: this.#config.nodeId, totals: this.#config.totals, labels: this.#config.labels });
      case "leaseDemand":
        return this.nodeManager.demandLeases(senderId, message.key, message.shape, message.target, message.priority);
      case "leaseEvents":
        return this.nodeManager.leaseEvents(senderId, message.events);
      case "connectPeer":
        return this.nodeManager.connectPeers(senderId, message.workerId);
      case "createActor": {
        const error = this.gcs.createActor(message.spec);
        return reply(link, message.requestId, null, error);
      }
      case "watchActor":
        return this.gcs.watchActor(senderId, message.actorId, message.ownerId);
      case "actorNotCreated":
        return this.gcs.actorNotCreated(message.actorId, message.death);
      case "findActor":
        return reply(link, message.requestId, this.gcs.findActor(message.name, message.namespace), null);
      case "listNamedActors":
        return reply(link, message.requestId, this.gcs.listNamedActors(message.namespace), null);
      case "killActor":
        this.gcs.killActor(message.actorId, message.noRestart);
        return reply(link, message.requestId, null, null);
      case "actorOutOfScope":
        return this.gcs.actorOutOfScope(message.actorId);
      case "actorStarted":
        return this.gcs.actorStarted(message.actorId, message.error);
      case "actorExiting":
        return this.gcs.actorExiting(message.actorId, message.reason);
      case "getCode":
        return reply(link, message.requestId, this.gcs.getCode(message.unitIds), null);
      case "clusterState":
        return reply(link, message.requestId, this.#clusterState(), null);
      case "storeAttach":
      case "storeRequest":
      case "storeRequestCancelled":
      case "storeSealed":
      case "storeAdopted":
      case "storeFreed":
      case "storeUnpinned":
      case "storeFetch":
      case "storeRead":
      case "storeCollected":
      case "storeList":
        return this.store.onMessage(senderId, message);
      case "log":
        return this.toDrivers({ type: "log", record: message.record });
      case "drainOutput":
        return this.#drain.start(this.nodeManager.liveWorkers(), () => reply(link, message.requestId, null, null));
      case "outputDrained":
        return this.#drain.drained(senderId, message.drainId);
      case "exiting":
        return this.nodeManager.noteReason(senderId, message.reason);
      case "retireRefused":
        return this.nodeManager.retireRefused(senderId);
      case "workerExited":
        // Its own last words are in another channel, which is read in this turn.
        return void setImmediate(() => this.nodeManager.workerExited(message.workerId, message.death));
      case "shutdown":
        return this.#onShutdown();
    }
  }

  toDrivers(message: FromNode): void {
    for (const driverId of this.nodeManager.drivers()) this.nodeManager.send(driverId, message);
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): void {
    this.#drain.workerLost(workerId);
    this.store.workerLost(workerId);
    this.addresses.delete(workerId);
    this.gcs.workerLost(workerId, death);
  }

  #clusterState(): ClusterStateRecord {
    const { nodeId, totals, labels } = this.#config;
    return { nodes: [{ nodeId, isAlive: true, address: "local", hostname: hostname(), totals, available: this.nodeManager.available, labels }] };
  }
}

function reply(link: WorkerLink, requestId: number, result: unknown, error: SystemErrorRecord | null): void {
  link.send({ type: "reply", requestId, result, error });
}
