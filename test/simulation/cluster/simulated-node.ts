import { nodeKeyOf, type JobId, type NodeKey, type WorkerId } from "../../../src/base/mod.ts";
import { type BundleListener, openMessageLink, type LaunchedWorker, type LaunchListener, type PlacementListener, type WorkerLink } from "../../../src/clients/mod.ts";
import type { NodeCluster } from "../../../src/main/node-cluster.ts";
import { NodeService } from "../../../src/main/node-service.ts";
import { NodeManager } from "../../../src/node-manager/mod.ts";
import { type JobRecord, type NodeRecord, plainWorkerKind, TASK_SLOTS_MAX, type WorkerIsolation } from "../../../src/protocol/mod.ts";
import type { Chance } from "../world/chance.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { SimulatedCluster } from "./simulated-cluster.ts";
import { type DiskSetting, SimulatedDisk } from "./simulated-disk.ts";
import { SimulatedObjectStore } from "./simulated-object-store.ts";
import { SimulatedWorker } from "./simulated-worker.ts";

/** How long a worker takes to start, and the system to notice that it has ended: that comes after its last words. */
const START_MS = { min: 5, max: 60 };
const EXIT_SEEN_MS = { min: 1, max: 4 };
const SIGKILL_MS_MAX = 0.1;
const WARM_WORKERS = 1;

export interface NodeSetting {
  readonly cluster: SimulatedCluster;
  readonly process: SimulatedProcess;
  readonly record: NodeRecord;
  readonly isolation: WorkerIsolation;
  readonly storeBytes: number;
  readonly disk: DiskSetting | null;
  readonly nodeCluster: NodeCluster;
}

/** A machine: its node manager with all around it, its object store, its workers. */
export class SimulatedNode {
  readonly cluster: SimulatedCluster;
  readonly process: SimulatedProcess;
  readonly record: NodeRecord;
  readonly isolation: WorkerIsolation;
  readonly store: SimulatedObjectStore;
  readonly nodeManager: NodeManager;
  readonly service: NodeService;
  readonly nodeCluster: NodeCluster;
  readonly workers = new Map<WorkerId, SimulatedWorker>();
  /** The head was asked, and its end costs nobody a retry. */
  isDraining = false;
  readonly #random: Chance;
  #pids = 0;
  /** Those that have ended, too. */
  readonly #processes = new Map<WorkerId, SimulatedProcess>();
  readonly #placements: PlacementListener & BundleListener = {
    placed: (actorId, workerId, number) => {
      this.cluster.onActorPlaced?.(actorId, this.#processes.get(workerId) as SimulatedProcess, () => this.isDraining);
      this.service.gcs.placed(actorId, workerId, number);
    },
    placementRefused: (actorId, error) => this.service.gcs.placementRefused(actorId, error),
    describeActor: (actorId) => this.service.gcs.describeActor(actorId),
    bundlesReported: (node, report) => this.service.gcs.bundlesReported(node, report),
  };

  constructor(setting: NodeSetting) {
    const { cluster, process, record, isolation, nodeCluster } = setting;
    this.cluster = cluster;
    this.process = process;
    this.record = record;
    this.isolation = isolation;
    this.nodeCluster = nodeCluster;
    this.#random = cluster.world.random.branch();
    const { clock, random } = process;
    this.store = new SimulatedObjectStore({
      process, node: this.key, capacityBytes: setting.storeBytes, disk: setting.disk === null ? null : new SimulatedDisk(cluster.world.random.branch(), setting.disk), storeOf: (node) => cluster.node(node)?.store,
      arrivalMs: (to) => cluster.network.arrivalMs(process, to), send: (workerId, message) => this.nodeManager.send(workerId, message), taken: () => { cluster.objectsMoved++; },
    });
    this.nodeManager = new NodeManager({
      clock, random, nodeId: record.nodeId, labels: record.labels, totals: record.totals, acceleratorIds: {}, defaultKind: plainWorkerKind(isolation), warmWorkersMin: WARM_WORKERS,
      areThreadsOfJobs: false, firstJobId: `node ${this.key}` as JobId,
      launcher: { launch: (workerId, _kind, listener) => this.#launch(workerId, listener) },
      connect: (askerId, targetId) => this.#connect(askerId, targetId),
      placements: () => this.#placements,
      endObjects: (workerId) => this.store.workerLost(workerId),
      endObjectsOfNode: (node) => this.store.nodeLost(node, "it is no part of the cluster any more"),
      cluster: nodeCluster.side, argumentFetcher: { capacityBytes: setting.storeBytes, pull: (object, signal) => this.store.fetch(object, signal) },
      workerLost: (workerId, death) => this.service.workerLost(workerId, death),
      somebodyWorks: () => undefined,
      watchRunning: () => null,
      warn: (workerId, text) => this.service.toDriversOf(workerId, { type: "warning", text }),
      startFailed: (reason) => this.service.toDrivers({ type: "startupFailed", reason }),
    });
    this.service = new NodeService({
      config: { jobId: `node ${this.key}` as JobId, nodeId: record.nodeId, totals: record.totals, labels: record.labels }, nodeManager: this.nodeManager, gcs: nodeCluster.gcs, cluster: nodeCluster,
      environments: { receivePackage: () => undefined, packagePiece: () => Promise.resolve(null) }, modules: { recall: () => Promise.resolve(false), pack: () => Promise.resolve(null), kept: () => Promise.resolve(), dropped: () => Promise.resolve() }, clock, store: this.store, objects: this.store, onWorkerStarted: () => undefined, onShutdown: () => undefined,
    });
    nodeCluster.attach({ nodeManager: this.nodeManager, store: this.store, objects: this.store, toDrivers: (message) => this.service.toDrivers(message), modules: this.service.modules, answer: (question) => this.service.answer(question) });
  }

  get key(): NodeKey {
    return nodeKeyOf(this.record.nodeId);
  }

  // ------------------------------------------------------------------ workers

  #launch(workerId: WorkerId, listener: LaunchListener): LaunchedWorker {
    const { world } = this.cluster;
    const pid = ++this.#pids;
    let worker: SimulatedWorker | null = null;
    let isOver = false;
    const exited = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      world.schedule(this.process, this.#random.between(EXIT_SEEN_MS.min, EXIT_SEEN_MS.max), "worker exited", () => {
        listener.exited(worker === null ? { reason, pid, isRetryable: true } : worker.withBegunTasks({ reason, pid, isRetryable: true }));
      });
    };
    world.schedule(null, this.#random.between(START_MS.min, START_MS.max), "worker starts", () => {
      if (isOver || !this.process.isAlive) return;
      worker = this.#startWorker(workerId, pid, null);
      worker.process.onEnd(() => exited("has ended"));
    });
    return {
      terminate: () => {
        if (worker === null) return exited("was not needed any more");
        // Killed a moment ago, and nobody has seen it: to all others it is the node that has ended it.
        worker.process.wasKilled &&= worker.process.isAlive;
        world.schedule(null, this.#random.between(0, SIGKILL_MS_MAX), "SIGKILL", () => worker?.process.end());
      },
      noteReason: () => undefined,
    };
  }

  #startWorker(workerId: WorkerId, pid: number, job: JobRecord | null): SimulatedWorker {
    const { world, network, entryUrl } = this.cluster;
    const process = this.cluster.startProcess(`${job === null ? "worker" : "driver"} ${workerId.slice(-4)}`, this.process.machine);
    const [forNode, forWorker] = network.connect({ process: this.process, peerId: workerId }, { process, peerId: this.key });
    world.schedule(this.process, 0, "accept", () => {
      const link: WorkerLink = openMessageLink(forNode);
      this.service.serve(workerId, link);
    });
    world.become(process);
    const worker = new SimulatedWorker({ node: this, process, workerId, pid, channel: forWorker, job, entryUrl });
    process.enter();
    this.workers.set(workerId, worker);
    this.#processes.set(workerId, process);
    process.isOnDrainingNode = () => this.isDraining;
    process.isOrphaned = () => !this.process.isAlive;
    this.cluster.workerStarted(worker);
    process.onEnd(() => this.workers.delete(workerId));
    return worker;
  }

  /** A program that runs on this machine. */
  startDriver(job: JobRecord): SimulatedWorker {
    return this.#startWorker(job.driverId as WorkerId, ++this.#pids, job);
  }

  #connect(askerId: WorkerId, targetId: WorkerId): void {
    if (this.isolation === "process") return this.nodeManager.send(askerId, { type: "connectSocket", workerId: targetId, address: targetId });
    const [asker, target] = [this.workers.get(askerId), this.workers.get(targetId)];
    if (asker === undefined || target === undefined) return;
    const [forAsker, forTarget] = this.cluster.network.connect({ process: asker.process, peerId: targetId }, { process: target.process, peerId: askerId });
    const [fromAsker, fromTarget] = [new Int32Array(TASK_SLOTS_MAX), new Int32Array(TASK_SLOTS_MAX)];
    const { world } = this.cluster;
    world.schedule(asker.process, 0.05, "peer", () => asker.core.peerConnected(targetId, forAsker, { outgoing: fromAsker, incoming: fromTarget }));
    world.schedule(target.process, 0.05, "peer", () => target.core.peerConnected(askerId, forTarget, { outgoing: fromTarget, incoming: fromAsker }));
  }

  // ------------------------------------------------------------------ the end

  /** The node process ends, and its workers with it; a program stays, and learns of it. */
  leave(): void {
    for (const { process, isDriver } of [...this.workers.values()]) if (!isDriver) this.#end(process);
    this.#end(this.process);
  }

  /** The machine is gone, with all that runs on it. `isSilent`: nobody is told, as when it has no power. */
  crash(isSilent: boolean): void {
    for (const process of [...Array.from(this.workers.values(), (worker) => worker.process), this.process]) {
      process.isSilent = isSilent;
      this.#end(process);
    }
  }

  #end(process: SimulatedProcess): void {
    if (this.isDraining) process.end();
    else process.kill();
  }
}
