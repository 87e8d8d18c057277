import { rmSync } from "node:fs";
import { openMessageLink, type NodeLink } from "../clients/mod.ts";
import type { PreparedEnvironment } from "../protocol/mod.ts";
import { connectSocket, listenSocket } from "../transport/mod.ts";
import { REGISTRATION_MS_MAX, type SessionConfig, WORKER_ENVIRONMENT_VARIABLE, type WorkerProcessData } from "./bootstrap.ts";
import { resolvedLoaders } from "./entry-module.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { PeerListener } from "./peer-listener.ts";
import { connectToProcess } from "./thread-links.ts";
import { startWorker } from "./worker-main.ts";
import type { CoreWorker } from "../core-worker/mod.ts";

const ORPHAN_LOOKS_MAX = 50;
const ORPHAN_LOOK_EVERY_MS = 20;

// Before user code can reach it, and before startWorker replaces it by one that tells the cause.
const exit = process.exit.bind(process);

/** The entry of a worker process. */
const data = JSON.parse(process.env[WORKER_ENVIRONMENT_VARIABLE] as string) as WorkerProcessData;
// Programs that user code starts are no workers.
delete process.env[WORKER_ENVIRONMENT_VARIABLE];
const { workerId, environment } = data;
const config = environment === null ? data.config : await enter(environment, data.config);
const identity = { workerId, token: config.token, timeoutMs: REGISTRATION_MS_MAX };

/** Its folder, and where it finds modules. */
async function enter(prepared: PreparedEnvironment, given: SessionConfig): Promise<SessionConfig> {
  const { workingDir, npm } = prepared;
  if (workingDir === null && npm === null) return given;
  (await import("./environment-modules.ts")).installModuleLookup(prepared);
  if (workingDir === null) return given;
  // They mean the folder that the program was started in.
  const loaders = resolvedLoaders(given.loaders);
  process.chdir(workingDir);
  process.env["PWD"] = workingDir;
  return { ...given, loaders };
}

let core: CoreWorker | null = null;
const early: Parameters<CoreWorker["peerConnected"]>[] = [];
const listener = await listenSocket({ path: data.listenAddress }, {
  ...identity,
  onChannel: (channel) => {
    if (core === null) early.push([channel.peerId, channel, null]);
    else core.peerConnected(channel.peerId, channel, null);
  },
});
process.on("exit", () => listener.close());
// Without its node a worker has no purpose: this also ends it when the driver was killed.
const channel = await connectSocket({ path: data.nodeAddress }, identity).catch(() => process.exit(1));
const link: NodeLink = openMessageLink(channel);
/** The driver cleans up after itself unless it was killed. Then every worker does, and the last one finds nothing left. */
function nodeLost(looksLeft = ORPHAN_LOOKS_MAX): void {
  const isOrphan = process.ppid !== config.driverPid;
  if (isOrphan) rmSync(config.sessionDir, { recursive: true, force: true });
  // A process that is killed closes its sockets some time before its children see it gone.
  else if (looksLeft > 0) return void setTimeout(() => nodeLost(looksLeft - 1), ORPHAN_LOOK_EVERY_MS);
  listener.close();
  exit(0);
}

const peers = new PeerListener({ ...identity, host: config.networkHost, link, core: () => core as CoreWorker });
core = startWorker({
  workerId, config, link, clock: realClock, random: realRandom, listenAddress: data.listenAddress, storeDoor: null, environment,
  memoryLimitBytes: data.memoryLimitBytes, memoryGauge: null,
  end: (code) => {
    listener.close();
    exit(code);
  },
  nodeLost: () => nodeLost(),
  onHostMessage: (message) => {
    if (message.type === "connectSocket" && core !== null) connectToProcess(core, message, identity);
    else if (message.type === "listenForPeers") peers.asked(message.askerId);
  },
});
for (const connected of early) core.peerConnected(...connected);
