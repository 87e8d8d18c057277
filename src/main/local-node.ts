import { unlink } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { nodeKeyOf, UNITS_PER_RESOURCE, type JobId, type WorkerId } from "../base/mod.ts";
import { openMessageLink, type LaunchedWorker, type LaunchListener } from "../clients/mod.ts";
import { MemoryGuard, NodeManager } from "../node-manager/mod.ts";
import { makeOwnedFolder, type ObjectManager, type ObjectManagerEnvironment, StoreService } from "../object-store/mod.ts";
import { type PreparedEnvironment, type WorkerDeath, workerKindOf } from "../protocol/mod.ts";
import { ModuleTrees } from "../program-modules/mod.ts";
import { EnvironmentAgent } from "../runtime-env/mod.ts";
import { listenSocket, type SocketListener } from "../transport/mod.ts";
import { REGISTRATION_MS_MAX, type SessionConfig } from "./bootstrap.ts";
import { withBegunTasks } from "./begun-tables.ts";
import { cacheFolder } from "./cache-folder.ts";
import type { Caretaker } from "./caretaker.ts";
import { launchInEnvironment, type LaunchInTurn } from "./environment-launcher.ts";
import { createLocalGcs } from "./local-gcs.ts";
import { KeptModules } from "./kept-modules.ts";
import { processMemory, readMemory } from "./machine-memory.ts";
import { MemoryWatch } from "./memory-limit.ts";
import type { NodeCluster } from "./node-cluster.ts";
import { NodeService } from "./node-service.ts";
import { PackageExchange } from "./package-exchange.ts";
import type { ProcessLauncher } from "./process-launcher.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { socketPathOf, workerSocketPath } from "./runtime-address.ts";
import type { ProbedWorker } from "./thread-launcher.ts";
import { WorkerStarts } from "./worker-starts.ts";

/** Workers kept warm at most; more are started when there is work for them. */
const WARM_WORKERS_MAX = 16;

/** Of workers, also on a machine with one processor: there is some waiting in each. */
const STARTS_AT_ONCE_MIN = 2;

/** What is known when a worker starts. */
export interface WorkerStart {
  readonly workerId: WorkerId;
  /** That it is started for; null: of the first that uses it. */
  readonly jobId: JobId | null;
  readonly memoryLimitBytes: number | null;
  readonly environment: PreparedEnvironment | null;
  readonly onExit: (death: WorkerDeath) => void;
}

/** Where worker threads live: in the process of the node, or in others. */
export interface ThreadHosting {
  /** Each is in a process of its job's, from its start. */
  readonly areOfJobs: boolean;
  launch(start: WorkerStart): ProbedWorker;
  /** Makes a channel between two threads and hands each its end; false if these two have none but sockets. */
  connect(askerId: WorkerId, targetId: WorkerId): boolean;
  /** Where the thread writes which shared actor it is in; null if its memory cannot be seen from here. */
  watchRunning(workerId: WorkerId): Int32Array | null;
  /** It has ended. */
  remove(workerId: WorkerId): void;
}

export interface LocalNodeSetting {
  readonly config: SessionConfig;
  /** Where the threads of this process find the object store. */
  readonly storeDoor: SharedArrayBuffer;
  /** The driver in this process. */
  readonly driverId: WorkerId | null;
  readonly threads: ThreadHosting;
  readonly caretaker: Caretaker;
  /** The program that started the runtime asks for its end. */
  readonly onShutdown: () => void;
  /** The nodes that this one is together with; null for one that is alone. */
  readonly cluster: NodeCluster | null;
  /** Makes what brings their objects here, and gives them those of this one; null for one that is alone. */
  readonly createObjects: ((store: StoreService, send: ObjectManagerEnvironment["send"]) => ObjectManager) | null;
}

/**
 * One machine's part of the runtime, composed of its services: node manager, object store, environments, the processes that it has
 * started and the socket on which these and other programs come in. The same on a thread of the user's program and in a process of its own.
 */
export class LocalNode {
  readonly nodeManager: NodeManager;
  readonly service: NodeService;
  readonly #setting: LocalNodeSetting;
  readonly #store: StoreService;
  readonly #objects: ObjectManager | null;
  readonly #environments: EnvironmentAgent;
  readonly #memoryWatch: MemoryWatch;
  readonly #memoryGuard: MemoryGuard;
  readonly #moduleTrees: ModuleTrees;
  readonly #starts = new WorkerStarts(realClock, Math.max(STARTS_AT_ONCE_MIN, availableParallelism()));
  /** Workers started here that have not ended. */
  readonly #running = new Map<WorkerId, Promise<void>>();
  #processes: Promise<ProcessLauncher> | null = null;
  #door: Promise<SocketListener> | null = null;

  constructor(setting: LocalNodeSetting) {
    const { config, threads, cluster } = setting;
    this.#setting = setting;
    this.#environments = new EnvironmentAgent({ sessionDir: config.sessionDir, cacheFolder: cacheFolder(), clock: realClock, wallClockMs: () => Date.now(), packages: cluster === null ? null : new PackageExchange(cluster) });
    this.nodeManager = new NodeManager({
      clock: realClock, random: realRandom, nodeId: config.nodeId, labels: config.labels, totals: config.totals, acceleratorIds: config.acceleratorIds, defaultKind: workerKindOf(config.isolation, config.runtimeEnv), warmWorkersMin: warmWorkers(config), areThreadsOfJobs: threads.areOfJobs, firstJobId: config.jobId,
      launcher: {
        launch: (workerId, { isolation, runtimeEnv, memoryLimitBytes, jobId }, listener) => {
          const tracked = this.#trackedUntilEnd(workerId, listener);
          const launch: LaunchInTurn = (environment, onExit, failed) => {
            const exited = (death: WorkerDeath): void => {
              this.#starts.ended(workerId);
              onExit(withBegunTasks(config.sessionDir, workerId, death));
            };
            const start: WorkerStart = { workerId, jobId, memoryLimitBytes, environment, onExit: exited };
            return this.#starts.begin({ workerId, exited, failed, start: () => (isolation === "thread" ? this.#watched(start, threads.launch(start)) : this.#launchProcess(start)) });
          };
          if (runtimeEnv === null) return launch(null, tracked.exited, (error) => tracked.exited({ reason: `could not be started: ${error.message}`, pid: 0, isRetryable: false }));
          return launchInEnvironment(this.#environments, runtimeEnv, tracked, launch);
        },
      },
      connect: (askerId, targetId) => this.#connect(askerId, targetId),
      placements: () => this.service.gcs,
      somebodyWorks: () => this.#memoryGuard.somebodyWorks(),
      endObjects: (workerId) => {
        this.#store.workerLost(workerId);
        this.#objects?.workerLost(workerId);
      },
      endObjectsOfNode: (node) => {
        this.#store.ownersLost((ownerId) => nodeKeyOf(ownerId) === node);
        this.#objects?.nodeLost(node, "it is no part of the cluster any more");
      },
      cluster: cluster?.side ?? null,
      argumentFetcher: setting.createObjects === null ? null : { capacityBytes: config.store.capacityBytes, pull: async (object, signal) => this.#objects?.pull(object, "argument", signal) },
      workerLost: (workerId, death) => {
        this.#memoryWatch.remove(workerId);
        this.#memoryGuard.workerLost(workerId);
        this.#moduleTrees.workerEnded();
        threads.remove(workerId);
        // One that was killed could not.
        if (threads.areOfJobs || this.#processes !== null || this.service.addresses.has(workerId)) unlink(workerSocketPath(config.sessionDir, workerId)).catch(() => undefined);
        this.service.workerLost(workerId, death);
      },
      watchRunning: (workerId) => threads.watchRunning(workerId),
      warn: (workerId, text) => this.service.toDriversOf(workerId, { type: "warning", text }),
      startFailed: (reason) => this.service.toDrivers({ type: "startupFailed", reason }),
    });
    this.#moduleTrees = new ModuleTrees({ sessionDir: config.sessionDir, clock: realClock, driversInUse: () => this.#driversInUse() });
    this.#memoryWatch = new MemoryWatch(realClock, (workerId, usedBytes) => this.nodeManager.memoryExceeded(workerId, usedBytes));
    const { threshold, everyMs } = config.memoryGuard;
    this.#memoryGuard = new MemoryGuard({
      clock: realClock, threshold, everyMs, read: (pids) => readMemory(config.memoryGuard, pids), readProcess: processMemory,
      own: { pid: process.pid, what: setting.driverId === null ? "the node" : "the program" }, working: () => this.nodeManager.working(),
      end: (workerId, reason) => this.nodeManager.terminate(workerId, reason, { isOutOfMemory: true, isMemoryShort: true }),
      warn: (workerId, text) => this.service.toDriversOf(workerId, { type: "warning", text }),
    });
    this.#store = new StoreService({
      clock: realClock, config: config.store, door: setting.storeDoor, pid: process.pid, node: nodeKeyOf(config.nodeId), driverId: setting.driverId,
      send: (workerId, message) => this.nodeManager.send(workerId, message),
      warn: (text) => this.service.toDrivers({ type: "warning", text }),
    });
    this.#objects = setting.createObjects?.(this.#store, (workerId, message) => this.nodeManager.send(workerId, message)) ?? null;
    this.service = new NodeService({ config, nodeManager: this.nodeManager, gcs: cluster?.gcs ?? createLocalGcs(config, this.nodeManager, realClock), cluster, environments: this.#environments, modules: new KeptModules({ sessionDir: config.sessionDir, environments: this.#environments }), clock: realClock, store: this.#store, objects: this.#objects, onWorkerStarted: (workerId) => this.#starts.ended(workerId), onShutdown: setting.onShutdown });
  }

  #driversInUse(): Set<WorkerId> {
    const { nodeManager } = this;
    return new Set(Array.from(nodeManager.liveWorkers(), (workerId) => nodeManager.job(nodeManager.jobOf(workerId))?.driverId).filter((driverId) => driverId != null));
  }

  #watched(start: WorkerStart, launched: ProbedWorker): LaunchedWorker {
    const { workerId, memoryLimitBytes } = start;
    if (memoryLimitBytes !== null && launched.memoryProbe !== null) this.#memoryWatch.add(workerId, memoryLimitBytes, launched.memoryProbe);
    return launched;
  }

  #launchProcess(start: WorkerStart): LaunchedWorker {
    let launched: LaunchedWorker | null = null;
    let isCancelled = false;
    this.#processes ??= this.#prepareProcesses();
    this.#processes.then(
      (launcher) => {
        if (isCancelled) start.onExit({ reason: "was not needed any more", pid: 0, isRetryable: true });
        else launched = this.#watched(start, launcher.launch(start.workerId, start.environment, start.memoryLimitBytes, start.onExit));
      },
      (error: Error) => start.onExit({ reason: `could not be started: ${error.message}`, pid: 0, isRetryable: false }),
    );
    return {
      terminate: () => {
        isCancelled = true;
        launched?.terminate();
      },
      noteReason: (reason) => launched?.noteReason(reason),
    };
  }

  /** Where worker processes and programs that join connect to. */
  openDoor(): Promise<SocketListener> {
    const { config } = this.#setting;
    return (this.#door ??= listenSocket({ path: socketPathOf(config.address) }, { workerId: config.nodeId, token: config.token, timeoutMs: REGISTRATION_MS_MAX, onChannel: (channel) => this.service.serve(channel.peerId, openMessageLink(channel)) }));
  }

  async #prepareProcesses(): Promise<ProcessLauncher> {
    const { config } = this.#setting;
    this.#setting.caretaker.start();
    makeOwnedFolder(config.sessionDir);
    await this.openDoor();
    // Loaded here: a runtime of threads alone starts without node:child_process.
    const launching = await import("./process-launcher.ts");
    const launcher = new launching.ProcessLauncher(config, socketPathOf(config.address), this.#setting.caretaker, (workerId, pid, stream, lines) => this.printed(workerId, pid, stream, lines));
    process.on("exit", () => launcher.killAll());
    return launcher;
  }

  /** By a worker, past JavaScript's console: it goes to its program. */
  printed(workerId: WorkerId, pid: number, stream: "stdout" | "stderr", lines: readonly string[]): void {
    this.service.toDriversOf(workerId, { type: "log", record: { pid, workerId, source: null, stream, lines } });
  }

  #trackedUntilEnd(workerId: WorkerId, listener: LaunchListener): LaunchListener {
    let resolve = (): void => undefined;
    this.#running.set(workerId, new Promise<void>((resolved) => { resolve = resolved; }));
    const ended = (): void => {
      this.#running.delete(workerId);
      resolve();
    };
    return {
      exited: (death) => this.service.whenSilent(workerId, () => { ended(); listener.exited(death); }),
      refused: (error) => { ended(); listener.refused(error); },
    };
  }

  #connect(askerId: WorkerId, targetId: WorkerId): void {
    if (this.#setting.threads.connect(askerId, targetId)) return;
    const { addresses, networked } = this.service;
    const far = [askerId, targetId].find((id) => networked.has(id));
    if (far !== undefined) return this.nodeManager.send(far === askerId ? targetId : askerId, { type: "listenForPeers", askerId: far });
    // Not all threads have an address: whoever of the two has one is connected to.
    const [fromId, toId] = addresses.has(targetId) ? [askerId, targetId] : [targetId, askerId];
    const address = addresses.get(toId);
    if (address !== undefined) this.nodeManager.send(fromId, { type: "connectSocket", workerId: toId, address });
  }

  /** Ends all that it has started; resolves when that is gone. */
  async stop(): Promise<void> {
    this.#environments.stop();
    this.#moduleTrees.stop();
    this.#memoryGuard.stop();
    this.nodeManager.stop();
    this.#starts.stop();
    await Promise.all(this.#running.values());
    await this.#environments.settled();
    if (this.#processes !== null) (await this.#processes.catch(() => null))?.killAll();
    if (this.#door !== null) (await this.#door.catch(() => null))?.close();
    await this.#objects?.close();
    await this.#store.close();
  }
}

function warmWorkers({ totals }: SessionConfig): number {
  return Math.max(1, Math.min(Math.floor((totals["CPU"] ?? 0) / UNITS_PER_RESOURCE), WARM_WORKERS_MAX));
}
