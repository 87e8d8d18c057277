import { checkMethodOptions, installRevivers, type Runtime } from "../../../src/api/mod.ts";
import { nodeKeyOf, type JobId, type NodeId, type WorkerId } from "../../../src/base/mod.ts";
import type { NodeLink } from "../../../src/clients/mod.ts";
import { CoreWorker } from "../../../src/core-worker/mod.ts";
import type { JobRecord, WorkerIsolation } from "../../../src/protocol/mod.ts";
import { EnvironmentResolver } from "../../../src/runtime-env/mod.ts";
import type { SimulatedProcess } from "../world/simulated-process.ts";
import type { SimulatedObjectStore } from "./simulated-object-store.ts";
import { SimulatedStoreClient } from "./simulated-store-client.ts";

export interface CoreSetting {
  readonly process: SimulatedProcess;
  readonly workerId: WorkerId;
  readonly nodeId: NodeId;
  readonly pid: number;
  readonly isDriver: boolean;
  readonly isolation: WorkerIsolation;
  /** Of user code: its functions travel by value. */
  readonly entryUrl: string;
  readonly store: SimulatedObjectStore;
  readonly link: NodeLink;
  job(): Pick<JobRecord, "jobId" | "namespace">;
  exit(): void;
  /** It says so to its node. */
  channelLost(targetId: WorkerId): void;
  begunTable(ownerId: WorkerId): Float64Array;
}

/** A core worker of a simulated process, which the API calls of that process go to. */
export function createCore(setting: CoreSetting): CoreWorker {
  const { process, workerId, nodeId, pid, isDriver, entryUrl, link, isolation } = setting;
  const store = new SimulatedStoreClient({ workerId, store: setting.store, send: (message) => link.send(message), ask: (build) => core.requests.ask(build) });
  const core: CoreWorker = new CoreWorker({
    workerId, get jobId() { return setting.job().jobId; }, get namespace() { return setting.job().namespace; }, nodeId, isDriver, pid, clock: process.clock, random: process.random,
    totals: null, labels: {}, store,
    sendToNode: (message) => {
      if (message.type === "peerBroken") setting.channelLost(message.workerId);
      link.send(message);
    },
    sendToNodeSoon: (message) => link.sendSoon(message),
    flushToNode: () => void link.flush(),
    keepAlive: () => undefined,
    useAccelerators: () => undefined,
    begunTable: (ownerId) => setting.begunTable(ownerId),
    exit: (reason) => {
      link.send({ type: "exiting", reason, actorId: null });
      process.world.schedule(process, 0, "exit", () => setting.exit());
    },
    warn: (text) => process.world.trace.note(process.clock.nowMs(), process.name, () => `warns: ${text}`),
    codeOrigin: null,
    modules: { compare: () => "same", answer: () => Promise.reject(new Error("there are no modules here")), place: () => Promise.reject(new Error("there are no modules here")) },
    entryUrl,
  });
  installRevivers(core);
  core.checkMethodOptions = checkMethodOptions;
  process.runtime = {
    core, get namespace() { return setting.job().namespace; }, isolation, address: nodeKeyOf(nodeId),
    environments: new EnvironmentResolver(null, ""),
    ready: Promise.resolve({ nodeId, jobId: "" as JobId, sessionDir: "" }),
    stop: () => Promise.resolve(),
  } satisfies Runtime;
  return core;
}
