import { existsSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { nodeKeyOf, type WorkerId } from "../base/mod.ts";
import { openMessageLink, type LaunchedWorker, type LaunchListener, type WorkerLink } from "../clients/mod.ts";
import { NodeManager } from "../node-manager/mod.ts";
import { makeOwnedFolder, StoreService } from "../object-store/mod.ts";
import { type PreparedEnvironment, type WorkerDeath, workerKindOf } from "../protocol/mod.ts";
import { EnvironmentAgent } from "../runtime-env/mod.ts";
import { listenSocket, openThreadChannel, type Channel, type SocketListener } from "../transport/mod.ts";
import type { BrokerMessage, NodeThreadData, PeerEnd, ThreadLink } from "./bootstrap.ts";
import { launchInEnvironment } from "./environment-launcher.ts";
import { cacheFolder } from "./cache-folder.ts";
import { createLocalGcs } from "./local-gcs.ts";
import { MemoryWatch } from "./memory-limit.ts";
import { NodeService } from "./node-service.ts";
import type { ProcessLauncher } from "./process-launcher.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { launchThread, type ProbedWorker } from "./thread-launcher.ts";
import { removeDeadSessions, socketPathOf } from "./runtime-address.ts";
import { createPeerEnds, createPoller, createThreadLinkPair, peerTransferList } from "./thread-links.ts";

/**
 * The entry of the node thread of an embedded runtime: node manager and GCS, on a thread of their own so that user code
 * that blocks never stalls scheduling.
 */
const data = workerData as NodeThreadData;
/** Programs that join may have to wait so long: loading sockets would delay the first results of one that nobody joins. */
const DOOR_AFTER_MS = 300;

const { config, driverId, spinPermits, storeDoor } = data;
const poller = createPoller(spinPermits);
const brokers = new Map<WorkerId, ThreadLink["broker"]>();
/** Workers started here that have not ended. */
const running = new Map<WorkerId, Promise<void>>();
let processes: Promise<ProcessLauncher> | null = null;
let door: Promise<SocketListener> | null = null;

const environments = new EnvironmentAgent({ sessionDir: config.sessionDir, cacheFolder: cacheFolder(), clock: realClock, wallClockMs: () => Date.now() });
const nodeManager: NodeManager = new NodeManager({
  clock: realClock, random: realRandom, node: nodeKeyOf(config.nodeId), totals: config.totals, acceleratorIds: config.acceleratorIds, defaultKind: workerKindOf(config.isolation, config.runtimeEnv), warmWorkersMin: warmWorkers(), firstJobId: config.jobId,
  launcher: {
    launch: (workerId, kind, listener) => {
      const start = kind.isolation === "thread" ? launchWorkerThread : launchWorkerProcess;
      const tracked = trackedUntilEnd(workerId, listener);
      const { runtimeEnv, memoryLimitBytes } = kind;
      if (runtimeEnv === null) return start(workerId, memoryLimitBytes, null, tracked.exited);
      return launchInEnvironment(environments, runtimeEnv, tracked, (environment, exited) => start(workerId, memoryLimitBytes, environment, exited));
    },
  },
  connect,
  placements: () => service.gcs,
  endObjects: (workerId) => store.workerLost(workerId),
  workerLost: (workerId, death) => {
    memoryWatch.remove(workerId);
    brokers.get(workerId)?.close();
    brokers.delete(workerId);
    service.workerLost(workerId, death);
  },
  watchRunning,
  warn: (workerId, text) => service.toDriversOf(workerId, { type: "warning", text }),
  startFailed: (reason) => service.toDrivers({ type: "startupFailed", reason }),
});
const memoryWatch = new MemoryWatch(realClock, (workerId, usedBytes) => nodeManager.memoryExceeded(workerId, usedBytes));
const store = new StoreService({
  clock: realClock, config: config.store, door: storeDoor, pid: process.pid, driverId,
  send: (workerId, message) => nodeManager.send(workerId, message),
  warn: (text) => service.toDrivers({ type: "warning", text }),
});
const service: NodeService = new NodeService(config, nodeManager, createLocalGcs(config, nodeManager), realClock, store, () => void stop());

const driverLink: WorkerLink = openMessageLink(openThreadChannel(data.driver.channel, { peerId: driverId, poller }));
brokers.set(driverId, data.driver.broker);
nodeManager.addDriver(driverId, driverLink);
service.serve(driverId, driverLink);
// The driver's thread cannot end without this one ending too; only an orderly end says so.
driverLink.ref();
if (data.firstWorker !== null) adoptFirstWorker(data.firstWorker);
const doorTimer = realClock.after(DOOR_AFTER_MS, () => {
  // At the program's sudden end its folder goes first.
  if (existsSync(config.sessionDir)) openDoor().then(removeDeadSessions, () => undefined);
});

function warmWorkers(): number {
  const WARM_WORKERS_MAX = 16; // More are started when there is work for them.
  return Math.max(1, Math.min(Math.floor((config.totals["CPU"] ?? 0) / 10_000), WARM_WORKERS_MAX));
}

/** The driver started it while this thread was starting, and reports its end. */
function adoptFirstWorker({ workerId, channel, broker }: ThreadLink & { readonly workerId: WorkerId }): void {
  const launched: LaunchedWorker = {
    terminate: () => driverLink.send({ type: "terminateWorker", workerId }),
    noteReason: (reason) => driverLink.send({ type: "noteWorkerEnd", workerId, reason }),
  };
  nodeManager.expectWorker(workerId, workerKindOf("thread", config.runtimeEnv), launched);
  addThread(workerId, { channel, broker });
}

function addThread(workerId: WorkerId, link: ThreadLink): void {
  brokers.set(workerId, link.broker);
  service.serve(workerId, openMessageLink(openThreadChannel(link.channel, { peerId: workerId, poller })));
}

function watchMemory(workerId: WorkerId, limitBytes: number | null, { memoryProbe }: ProbedWorker): void {
  if (limitBytes !== null && memoryProbe !== null) memoryWatch.add(workerId, limitBytes, memoryProbe);
}

function launchWorkerThread(workerId: WorkerId, memoryLimitBytes: number | null, environment: PreparedEnvironment | null, onExit: (death: WorkerDeath) => void): LaunchedWorker {
  const [ours, theirs] = createThreadLinkPair();
  addThread(workerId, ours);
  const launched = launchThread({ workerId, config, node: theirs, spinPermits, storeDoor, environment, memoryLimitBytes, driver: null }, (death) => {
    // Its last words may still lie in the channel.
    poller.wake();
    onExit(death);
  });
  watchMemory(workerId, memoryLimitBytes, launched);
  return launched;
}

function launchWorkerProcess(workerId: WorkerId, memoryLimitBytes: number | null, environment: PreparedEnvironment | null, onExit: (death: WorkerDeath) => void): LaunchedWorker {
  let launched: LaunchedWorker | null = null;
  let isCancelled = false;
  processes ??= prepareProcesses();
  processes.then(
    (launcher) => {
      if (isCancelled) return onExit({ reason: "was not needed any more", pid: 0, isRetryable: true });
      const started = launcher.launch(workerId, environment, memoryLimitBytes, onExit);
      watchMemory(workerId, memoryLimitBytes, started);
      launched = started;
    },
    (error: Error) => onExit({ reason: `could not be started: ${error.message}`, pid: 0, isRetryable: false }),
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
function openDoor(): Promise<SocketListener> {
  return (door ??= listenSocket({ path: socketPathOf(config.address) }, { workerId: config.nodeId, token: config.token, onChannel: (channel: Channel) => service.serve(channel.peerId, openMessageLink(channel)) }));
}

async function prepareProcesses(): Promise<ProcessLauncher> {
  makeOwnedFolder(config.sessionDir);
  await openDoor();
  // Loaded here: a runtime of threads alone starts without node:child_process.
  const launching = await import("./process-launcher.ts");
  const launcher = new launching.ProcessLauncher(config, socketPathOf(config.address), (workerId, pid, stream, text) => {
    const lines = text.split("\n").filter((line) => line !== "");
    if (lines.length > 0) service.toDriversOf(workerId, { type: "log", record: { pid, workerId, source: null, stream, lines } });
  });
  process.on("exit", () => launcher.killAll());
  return launcher;
}

function trackedUntilEnd(workerId: WorkerId, listener: LaunchListener): LaunchListener {
  let resolve = (): void => undefined;
  running.set(workerId, new Promise<void>((resolved) => { resolve = resolved; }));
  const ended = (): void => {
    running.delete(workerId);
    resolve();
  };
  return {
    exited: (death) => { ended(); listener.exited(death); },
    refused: (error) => { ended(); listener.refused(error); },
  };
}

/** Two threads get the two ends of a new channel; a process is connected to through its socket. */
function connect(askerId: WorkerId, targetId: WorkerId): void {
  const askerBroker = brokers.get(askerId);
  const targetBroker = brokers.get(targetId);
  if (askerBroker !== undefined && targetBroker !== undefined) {
    const [forAsker, forTarget] = createPeerEnds(askerId, targetId);
    handOver(askerBroker, forAsker);
    handOver(targetBroker, forTarget);
    return;
  }
  // Threads have no address: whoever of the two is a process is connected to.
  const [fromId, toId] = targetBroker === undefined ? [askerId, targetId] : [targetId, askerId];
  const address = service.addresses.get(toId);
  if (address !== undefined) nodeManager.send(fromId, { type: "connectSocket", workerId: toId, address });
}

/** Written by a thread that hosts shared actors, read when it does not answer any more. */
function watchRunning(workerId: WorkerId): Int32Array | null {
  const broker = brokers.get(workerId);
  if (broker === undefined) return null;
  const memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  broker.postMessage({ type: "runningActor", memory } satisfies BrokerMessage);
  return new Int32Array(memory);
}

function handOver(broker: ThreadLink["broker"], end: PeerEnd): void {
  broker.postMessage({ type: "peer", end } satisfies BrokerMessage, peerTransferList(end));
}

async function stop(): Promise<void> {
  doorTimer.cancel();
  environments.stop();
  nodeManager.stop();
  await Promise.all(running.values());
  await environments.settled();
  if (processes !== null) (await processes.catch(() => null))?.killAll();
  if (door !== null) (await door.catch(() => null))?.close();
  await store.close();
  parentPort?.postMessage("stopped");
  driverLink.close();
  process.exit(0);
}
