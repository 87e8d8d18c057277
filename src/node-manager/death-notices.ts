import type { WorkerId } from "../base/mod.ts";
import type { WorkerDeath } from "../protocol/mod.ts";
import type { ConnectedWorker } from "./connected-worker.ts";
import { deathWithinLimit } from "./memory-limits.ts";

/** How a worker ended. What was said says more than an exit code, but not more than an exhausted heap. `running`: the shared actor it was in, for people. */
export function deathOf(worker: ConnectedWorker, seen: WorkerDeath, running: string | null): WorkerDeath {
  const said: WorkerDeath = { ...seen, ...(worker.endReason === null || !seen.isRetryable ? {} : { reason: worker.endReason }), ...worker.endMarks };
  const told = running === null || worker.endReason !== null ? said : { ...said, reason: `${said.reason} in ${running}` };
  return worker.kind === "driver" ? told : deathWithinLimit(worker.kind, worker.memoryUsedBytes, told);
}

/** As this worker hears of it: which tasks of others had begun is long, and nothing to it. */
export function deathFor(workerId: WorkerId, death: WorkerDeath): WorkerDeath {
  if (death.begun === undefined) return death;
  const { begun, ...rest } = death;
  const own = begun.get(workerId);
  return own === undefined ? rest : { ...rest, begun: new Map([[workerId, own]]) };
}
