import { workerData } from "node:worker_threads";
import type { HostedThreadData } from "./bootstrap.ts";
import { startSocketWorker } from "./socket-worker.ts";

// Before user code can reach it, and before startWorker replaces it by one that tells the cause.
const exit = process.exit.bind(process);

/** The entry of a worker thread in a worker host. */
const { worker, memoryGauge, spinPermits } = workerData as HostedThreadData;

if (worker.environment?.npm != null) (await import("./environment-modules.ts")).installModuleLookup(worker.environment);

// Its host sees the end of the node too, and cleans up.
await startSocketWorker({ data: worker, config: worker.config, memoryGauge, spinPermits, exit, nodeLost: (end) => end() });
