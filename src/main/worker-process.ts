import type { PreparedEnvironment } from "../protocol/mod.ts";
import { type SessionConfig, WORKER_ENVIRONMENT_VARIABLE, type WorkerProcessData } from "./bootstrap.ts";
import { resolvedLoaders } from "./entry-module.ts";
import { leaveLostNode } from "./orphans.ts";
import { startSocketWorker } from "./socket-worker.ts";
import { newSpinPermits } from "./thread-links.ts";

// Before user code can reach it, and before startWorker replaces it by one that tells the cause.
const exit = process.exit.bind(process);

/** The entry of a worker process. */
const data = JSON.parse(process.env[WORKER_ENVIRONMENT_VARIABLE] as string) as WorkerProcessData;
// Programs that user code starts are no workers.
delete process.env[WORKER_ENVIRONMENT_VARIABLE];
const config = data.environment === null ? data.config : await enter(data.environment, data.config);

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

await startSocketWorker({ data, config, memoryGauge: null, spinPermits: newSpinPermits(), exit, nodeLost: (end) => leaveLostNode(config, end) });
