import { existsSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import type { WorkerId } from "../base/mod.ts";
import type { LaunchedWorker } from "../clients/mod.ts";
import { storeFoldersOf } from "../object-store/mod.ts";
import { workerKindOf } from "../protocol/mod.ts";
import type { NodeThreadData, ThreadLink } from "./bootstrap.ts";
import { Caretaker } from "./caretaker.ts";
import { EmbeddedThreads } from "./embedded-threads.ts";
import { LocalNode } from "./local-node.ts";
import { realClock } from "./real-clock.ts";
import { removeDeadSessions } from "./runtime-address.ts";
import { createPoller } from "./thread-links.ts";

/**
 * The entry of the node thread of an embedded runtime: node manager and GCS, on a thread of their own so that user code
 * that blocks never stalls scheduling.
 */
const data = workerData as NodeThreadData;
/** Programs that join may have to wait so long: loading sockets would delay the first results of one that nobody joins. */
const DOOR_AFTER_MS = 300;

const { config, driverId, spinPermits, storeDoor } = data;
const threads: EmbeddedThreads = new EmbeddedThreads({ config, poller: createPoller(spinPermits), spinPermits, storeDoor, serve: (workerId, link) => node.service.serve(workerId, link) });
/** Of the processes that this thread starts; the driver's is there for the folders alone. */
const caretaker = new Caretaker([config.sessionDir, ...storeFoldersOf(config.store)]);
const node: LocalNode = new LocalNode({ config, storeDoor, driverId, threads, caretaker, onShutdown: () => void stop(), cluster: null, createObjects: null });

const driverLink = threads.add(driverId, data.driver);
node.nodeManager.addDriver(driverId, driverLink);
// The driver's thread cannot end without this one ending too; only an orderly end says so.
driverLink.ref();
if (data.firstWorker !== null) adoptFirstWorker(data.firstWorker);
const doorTimer = realClock.after(DOOR_AFTER_MS, () => {
  // At the program's sudden end its folder goes first.
  if (!existsSync(config.sessionDir)) return;
  node.openDoor().then(removeDeadSessions, () => undefined);
});

/** The driver started it while this thread was starting, and reports its end. */
function adoptFirstWorker({ workerId, channel, broker }: ThreadLink & { readonly workerId: WorkerId }): void {
  const launched: LaunchedWorker = {
    terminate: () => driverLink.send({ type: "terminateWorker", workerId }),
    noteReason: (reason) => driverLink.send({ type: "noteWorkerEnd", workerId, reason }),
  };
  node.nodeManager.expectWorker(workerId, workerKindOf("thread", config.runtimeEnv), launched);
  threads.add(workerId, { channel, broker });
}

async function stop(): Promise<void> {
  doorTimer.cancel();
  await node.stop();
  await caretaker.stop();
  parentPort?.postMessage("stopped");
  driverLink.close();
  process.exit(0);
}
