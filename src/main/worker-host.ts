import { rmSync } from "node:fs";
import type { WorkerId } from "../base/mod.ts";
import { type FromWorkerHost, HOST_ENVIRONMENT_VARIABLE, type HostedThreadData, type ToWorkerHost, type WorkerHostData } from "./bootstrap.ts";
import { createMemoryGauge, MemoryWatch } from "./memory-limit.ts";
import { leaveLostNode } from "./orphans.ts";
import { realClock } from "./real-clock.ts";
import { workerSocketPath } from "./runtime-address.ts";
import { type ProbedWorker, startThread } from "./thread-launcher.ts";
import { newSpinPermits } from "./thread-links.ts";

/**
 * The entry of a worker host: a process that runs the worker threads of one program, on the word of its node. Its main thread runs no
 * user code. What ends this process at once ends them, and nothing else.
 */
const THREAD_ENTRY = new URL("./hosted-thread.js", import.meta.url);

const { config, nodeAddress } = JSON.parse(process.env[HOST_ENVIRONMENT_VARIABLE] as string) as WorkerHostData;
// Programs that user code starts are no hosts.
delete process.env[HOST_ENVIRONMENT_VARIABLE];

const spinPermits = newSpinPermits();
const threads = new Map<WorkerId, ProbedWorker>();
const memoryWatch = new MemoryWatch(realClock, (workerId, usedBytes) => tell({ type: "memoryExceeded", workerId, usedBytes }));

function tell(message: FromWorkerHost): void {
  if (process.connected) process.send?.(message);
}

function start({ workerId, environment, memoryLimitBytes }: ToWorkerHost & { readonly type: "start" }): void {
  const listenAddress = workerSocketPath(config.sessionDir, workerId);
  const memoryGauge = memoryLimitBytes === null ? null : createMemoryGauge();
  const workerData: HostedThreadData = { kind: "mantaray-hosted-worker", worker: { config, workerId, environment, memoryLimitBytes, nodeAddress, listenAddress }, memoryGauge, spinPermits };
  const thread = startThread(THREAD_ENTRY, { workerId, workerData, environment, memoryLimitBytes, memoryGauge, transferList: [] }, (death) => {
    threads.delete(workerId);
    memoryWatch.remove(workerId);
    // One that was ended from outside could not.
    rmSync(listenAddress, { force: true });
    tell({ type: "exited", workerId, death });
  });
  threads.set(workerId, thread);
  if (memoryLimitBytes !== null && thread.memoryProbe !== null) memoryWatch.add(workerId, memoryLimitBytes, thread.memoryProbe);
}

process.on("message", (message: ToWorkerHost) => {
  switch (message.type) {
    case "start":
      return start(message);
    case "terminate":
      return threads.get(message.workerId)?.terminate();
    case "noteReason":
      return threads.get(message.workerId)?.noteReason(message.reason);
  }
});
process.on("disconnect", () => leaveLostNode(config, () => process.exit(0)));
