import type { WorkerId } from "../base/mod.ts";
import type { WorkerDeath } from "../protocol/mod.ts";

/** As this worker hears of it: which tasks of others had begun is long, and nothing to it. */
export function deathFor(workerId: WorkerId, death: WorkerDeath): WorkerDeath {
  if (death.begun === undefined) return death;
  const { begun, ...rest } = death;
  const own = begun.get(workerId);
  return own === undefined ? rest : { ...rest, begun: new Map([[workerId, own]]) };
}
