import { nodeKeyOf, type RandomSource, type WorkerId } from "../base/mod.ts";
import type { NodeLink } from "../clients/mod.ts";
import { type CoreWorker, currentCallSite } from "../core-worker/mod.ts";
import { SharedStore, type StoreConfig } from "../object-store/mod.ts";
import { waitWarningMs } from "./stuck-warning.ts";

export interface WorkerStoreSetting {
  readonly workerId: WorkerId;
  /** Null on another machine than the node: objects are copied. */
  readonly config: StoreConfig | null;
  /** In the process of the node; null in others. */
  readonly door: SharedArrayBuffer | null;
  readonly random: RandomSource;
  readonly link: NodeLink;
  warnAsleep(text: string): void;
  /** It is made with the store, and so after it. */
  core(): CoreWorker;
}

/** What a worker or driver has of the object store of its node. */
export function createWorkerStore({ workerId, config, door, random, link, warnAsleep, core }: WorkerStoreSetting): SharedStore {
  return new SharedStore({
    workerId, node: nodeKeyOf(workerId), config, door, random, waitWarningMs, warnAsleep,
    origin: () => ({ callSite: currentCallSite(), runs: core().context.current()?.name ?? null }),
    send: (message) => link.send(message), flush: () => link.flush(), ask: (build) => core().requests.ask(build),
  });
}
