import { openMessageLink, type NodeLink } from "../clients/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import { connectSocket, listenSocket } from "../transport/mod.ts";
import { REGISTRATION_MS_MAX, type SessionConfig, type WorkerProcessData } from "./bootstrap.ts";
import { PeerListener } from "./peer-listener.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { connectToProcess, createLoopSpinner } from "./thread-links.ts";
import { startWorker } from "./worker-main.ts";

export interface SocketWorkerSetting {
  readonly data: WorkerProcessData;
  /** As the worker takes it. */
  readonly config: SessionConfig;
  readonly memoryGauge: SharedArrayBuffer | null;
  /** Shared by the threads of this process. */
  readonly spinPermits: SharedArrayBuffer;
  /** Ends the process or thread; from before user code could reach it. */
  exit(code: number): void;
  /** The node is gone. */
  nodeLost(end: () => void): void;
}

/** A worker in another process than its node: both, and the workers that it meets, talk over sockets. */
export async function startSocketWorker({ data, config, memoryGauge, spinPermits, exit, nodeLost }: SocketWorkerSetting): Promise<void> {
  const { workerId, environment, listenAddress } = data;
  const spinner = createLoopSpinner(spinPermits);
  spinner.isNeeded = true;
  const identity = { workerId, token: config.token, timeoutMs: REGISTRATION_MS_MAX, spinner };
  let core: CoreWorker | null = null;
  const early: Parameters<CoreWorker["peerConnected"]>[] = [];
  const listener = await listenSocket({ path: listenAddress }, {
    ...identity,
    onChannel: (channel) => {
      if (core === null) early.push([channel.peerId, channel, null]);
      else core.peerConnected(channel.peerId, channel, null);
    },
  });
  process.on("exit", () => listener.close());
  const end = (code: number): void => {
    listener.close();
    exit(code);
  };
  // Without its node a worker has no purpose: this also ends it when the driver was killed.
  const channel = await connectSocket({ path: data.nodeAddress }, identity).catch(() => null);
  if (channel === null) return end(1);
  const link: NodeLink = openMessageLink(channel);
  const peers = new PeerListener({ ...identity, host: config.networkHost, link, core: () => core as CoreWorker });
  core = startWorker({
    workerId, config, link, clock: realClock, random: realRandom, listenAddress, storeDoor: null, environment, memoryLimitBytes: data.memoryLimitBytes, memoryGauge, end,
    nodeLost: () => nodeLost(() => end(0)),
    onHostMessage: (message) => {
      if (message.type === "connectSocket" && core !== null) connectToProcess(core, message, identity);
      else if (message.type === "listenForPeers") peers.asked(message.askerId);
    },
  });
  for (const connected of early) core.peerConnected(...connected);
}
