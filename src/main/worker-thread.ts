import { workerData } from "node:worker_threads";
import { openMessageLink, type NodeLink } from "../clients/mod.ts";
import { openThreadChannel } from "../transport/mod.ts";
import type { BrokerMessage, WorkerThreadData } from "./bootstrap.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { connectToProcess, createLoopSpinner, createPoller, openPeer } from "./thread-links.ts";
import { startWorker } from "./worker-main.ts";

// Before user code can reach it, and before startWorker replaces it by one that tells the cause.
const exit = process.exit.bind(process);

/** The entry of a worker thread. */
const data = workerData as WorkerThreadData;
const { config, workerId } = data;
const poller = createPoller(data.spinPermits);
const spinner = createLoopSpinner(data.spinPermits);
spinner.isNeeded = true;
const link: NodeLink = openMessageLink(openThreadChannel(data.node.channel, { peerId: config.nodeId, poller }));

if (data.environment?.npm != null) (await import("./environment-modules.ts")).installModuleLookup(data.environment);

const core = startWorker({
  workerId, config, link, clock: realClock, random: realRandom, listenAddress: null, storeDoor: data.storeDoor, environment: data.environment,
  memoryLimitBytes: data.memoryLimitBytes, memoryGauge: data.memoryGauge,
  end: (code) => exit(code),
  nodeLost: () => exit(0),
  onHostMessage: (message) => {
    if (message.type === "connectSocket") connectToProcess(core, message, { workerId, token: config.token, spinner });
  },
});
if (data.driver !== null) openPeer(core, data.driver, poller);
data.node.broker.on("message", (message: BrokerMessage) => {
  if (message.type === "peer") openPeer(core, message.end, poller);
  else core.actorHost.tellRunning(new Int32Array(message.memory));
});
data.node.broker.unref();
