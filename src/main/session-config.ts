import { rmSync } from "node:fs";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { InitOptions } from "../api/mod.ts";
import { newJobId, newNodeId, toAmounts } from "../base/mod.ts";
import type { StoreConfig } from "../object-store/mod.ts";
import type { RuntimeEnvRecord } from "../protocol/mod.ts";
import { labelsOfNode } from "../scheduling/mod.ts";
import { acceleratorType, gpuIds } from "./accelerators.ts";
import type { SessionConfig } from "./bootstrap.ts";
import { memoryGuardConfig } from "./machine-memory.ts";
import { realRandom } from "./real-random.ts";
import { addressOf } from "./runtime-address.ts";
import { spillingDirectory } from "./spilling-directory.ts";

/** Of the machine's memory, for objects, unless `objectStoreMemory` says otherwise; the same as Ray. */
const STORE_MEMORY_FRACTION = 0.3;

/** What a machine gives to the runtime; the defaults are what it has. */
export type MachineOptions = Pick<InitOptions, "numCpus" | "numGpus" | "memory" | "objectStoreMemory" | "objectSpillingDirectory" | "resources" | "labels" | "isolation" | "namespace" | "logToDriver">;

/** What workers take over from the program that starts the runtime, if it is one. */
export interface ProgramConfig extends Pick<SessionConfig, "entryUrl" | "loaders" | "nodeOptions"> {
  /** What it makes of folders lies in those of the session. */
  readonly environment: (store: StoreConfig) => RuntimeEnvRecord | null;
}

const NO_PROGRAM: ProgramConfig = { entryUrl: null, loaders: [], nodeOptions: [], environment: () => null };

/** A new session of this process. */
export function newSessionConfig(options: MachineOptions, program: ProgramConfig = NO_PROGRAM): SessionConfig {
  const memoryGuard = memoryGuardConfig(process.env);
  const jobId = newJobId(realRandom);
  const sessionName = `mantaray-${process.pid}-${jobId}`;
  const sessionDir = join(tmpdir(), sessionName);
  const memoryBytes = machineMemoryBytes();
  const capacityBytes = options.objectStoreMemory ?? Math.floor(memoryBytes * STORE_MEMORY_FRACTION);
  const { numCpus = availableParallelism(), memory = Math.max(0, memoryBytes - capacityBytes) } = options;
  const gpus = gpuIds(options.numGpus);
  const nodeId = newNodeId(realRandom);
  const { entryUrl, loaders, nodeOptions } = program;
  const spillFolder = options.objectSpillingDirectory === undefined ? join(sessionDir, "spill") : join(spillingDirectory(options.objectSpillingDirectory), sessionName);
  const store: StoreConfig = { sessionName, sessionDir, capacityBytes, spillFolder };
  return {
    jobId,
    nodeId,
    namespace: options.namespace ?? `job-${jobId}`,
    isolation: options.isolation === "process" ? "process" : "thread",
    runtimeEnv: environmentOf(program, store),
    totals: toAmounts({ ...options.resources, CPU: numCpus, GPU: gpus.length, memory }),
    acceleratorIds: { GPU: gpus },
    labels: labelsOfNode(options.labels ?? {}, nodeId, gpus.length === 0 ? null : acceleratorType()),
    sessionDir,
    address: addressOf(join(sessionDir, `node-${realRandom.hex(4)}.sock`)),
    store,
    memoryGuard,
    token: realRandom.hex(16),
    driverPid: process.pid,
    entryUrl, loaders, nodeOptions,
    logToDriver: options.logToDriver ?? true,
    networkHost: null,
    origin: null,
  };
}

/** What this process may use, where a container limits it. */
function machineMemoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

function environmentOf({ environment }: ProgramConfig, store: StoreConfig): RuntimeEnvRecord | null {
  try {
    return environment(store);
  } catch (error) {
    rmSync(store.sessionDir, { recursive: true, force: true });
    throw error;
  }
}
