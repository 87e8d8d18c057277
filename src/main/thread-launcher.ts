import { type TransferListItem, Worker } from "node:worker_threads";
import type { WorkerId } from "../base/mod.ts";
import type { LaunchedWorker } from "../clients/mod.ts";
import type { PreparedEnvironment, WorkerDeath } from "../protocol/mod.ts";
import type { HostedThreadData, PeerEnd, SessionConfig, ThreadLink, WorkerThreadData } from "./bootstrap.ts";
import { createMemoryGauge, limitsOfFreeThread, threadLimits, threadProbe, type MemoryProbe } from "./memory-limit.ts";
import { linkTransferList, peerTransferList } from "./thread-links.ts";
import { ExitStory } from "./worker-exit.ts";

const ENTRY = new URL("./worker-thread.js", import.meta.url);

export interface ThreadLaunch {
  readonly workerId: WorkerId;
  readonly config: SessionConfig;
  readonly node: ThreadLink;
  readonly spinPermits: SharedArrayBuffer;
  readonly storeDoor: SharedArrayBuffer;
  readonly environment: PreparedEnvironment | null;
  readonly memoryLimitBytes: number | null;
  readonly driver: PeerEnd | null;
}

export interface ProbedWorker extends LaunchedWorker {
  /** Null where it has no limit. */
  readonly memoryProbe: MemoryProbe | null;
}

/** Starts a worker thread in the process of the caller; it never keeps that process alive. */
export function launchThread(launch: ThreadLaunch, onExit: (death: WorkerDeath) => void): ProbedWorker {
  const { workerId, config, node, spinPermits, storeDoor, environment, memoryLimitBytes, driver } = launch;
  const memoryGauge = memoryLimitBytes === null ? null : createMemoryGauge();
  const workerData: WorkerThreadData = { kind: "mantaray-worker", config, workerId, node, spinPermits, storeDoor, environment, memoryLimitBytes, memoryGauge, driver };
  const transferList = [...linkTransferList(node), ...(driver === null ? [] : peerTransferList(driver))];
  return startThread(ENTRY, { workerId, workerData, environment, memoryLimitBytes, memoryGauge, transferList }, onExit);
}

export interface ThreadStart {
  readonly workerId: WorkerId;
  readonly workerData: WorkerThreadData | HostedThreadData;
  readonly environment: PreparedEnvironment | null;
  readonly memoryLimitBytes: number | null;
  readonly memoryGauge: SharedArrayBuffer | null;
  readonly transferList: TransferListItem[];
}

/** As above, of any entry. */
export function startThread(entry: URL, { workerId, workerData, environment, memoryLimitBytes, memoryGauge, transferList }: ThreadStart, onExit: (death: WorkerDeath) => void): ProbedWorker {
  const story = new ExitStory();
  const worker = new Worker(entry, {
    workerData,
    // Loaders of the driver (tsx) are expensive and seldom needed in a worker: they are loaded with the first TypeScript module.
    execArgv: [],
    resourceLimits: memoryLimitBytes === null ? limitsOfFreeThread() : threadLimits(memoryLimitBytes),
    ...(environment === null ? {} : { env: { ...process.env, ...environment.record.envVars } }),
    transferList,
    name: `mantaray-${workerId.slice(8)}`,
  });
  worker.unref();
  worker.on("error", (error) => story.noteError(error));
  worker.on("exit", (code) => onExit(story.tell(process.pid, code, null)));
  return { terminate: () => void worker.terminate(), noteReason: (reason) => story.note(reason), memoryProbe: memoryGauge === null ? null : threadProbe(worker, memoryGauge) };
}
