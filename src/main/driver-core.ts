import { checkMethodOptions, installRevivers } from "../api/mod.ts";
import type { JobId, NodeId, ResourceAmounts, WorkerId } from "../base/mod.ts";
import type { NodeLink } from "../clients/mod.ts";
import { CoreWorker } from "../core-worker/mod.ts";
import type { CodeOrigin } from "../protocol/mod.ts";
import type { SharedStore, StoreConfig } from "../object-store/mod.ts";
import type { DriverOutput } from "./driver-output.ts";
import { lineageBytesMax } from "./lineage-limit.ts";
import { moduleServices } from "./module-services.ts";
import { realClock } from "./real-clock.ts";
import { realRandom } from "./real-random.ts";
import { createStuckWatch } from "./stuck-warning.ts";
import { createWorkerStore } from "./worker-store.ts";

export interface DriverSetting {
  readonly driverId: WorkerId;
  readonly jobId: JobId;
  readonly namespace: string;
  readonly nodeId: NodeId;
  readonly totals: ResourceAmounts | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly entryUrl: string | null;
  /** Null where there is no shared memory with the node. */
  readonly store: StoreConfig | null;
  /** Null in another process than the node thread's. */
  readonly storeDoor: SharedArrayBuffer | null;
  readonly link: NodeLink;
  readonly origin: CodeOrigin | null;
  readonly sessionDir: string;
  keepAlive(isNeeded: boolean): void;
}

/** The core worker of a program, with its part of the object store. */
export function createDriverCore(setting: DriverSetting): { readonly core: CoreWorker; readonly store: SharedStore } {
  const { driverId, jobId, namespace, nodeId, totals, labels, entryUrl, link } = setting;
  const bytesMax = lineageBytesMax();
  const store = createWorkerStore({ workerId: driverId, config: setting.store, door: setting.storeDoor, random: realRandom, link, core: () => core, warnAsleep });
  const core: CoreWorker = new CoreWorker({
    workerId: driverId, jobId, namespace, nodeId, isDriver: true, pid: process.pid, clock: realClock, random: realRandom,
    totals, labels, store,
    sendToNode: (message) => link.send(message),
    sendToNodeSoon: (message) => link.sendSoon(message),
    flushToNode: () => void link.flush(),
    keepAlive: (isNeeded) => {
      setting.keepAlive(isNeeded);
      if (isNeeded) stuckWatch?.somethingPending();
    },
    stuckElsewhere: (keys) => stuckWatch?.waitsElsewhere(keys),
    useAccelerators: () => undefined,
    exit: () => undefined,
    codeOrigin: setting.origin, modules: moduleServices(setting.sessionDir, null),
    warn: (message) => process.emitWarning(message, "MantarayWarning"),
    ...(entryUrl === null ? {} : { entryUrl }),
    ...(bytesMax === undefined ? {} : { lineageBytesMax: bytesMax }),
  });
  const stuckWatch = createStuckWatch(core);
  installRevivers(core);
  core.checkMethodOptions = checkMethodOptions;
  return { core, store };
}

/** `process.emitWarning` says it when the thread has a turn. */
function warnAsleep(text: string): void {
  try {
    process.emit("warning", Object.assign(new Error(text), { name: "MantarayWarning" }));
  } catch (error) {
    // Of a listener of the program's: as if it had been called in a turn of its own.
    process.nextTick(() => { throw error; });
  }
}

/** An orderly end takes no longer. */
export const STOP_MS_MAX = 5_000;

/** What a driver does when its program ends by itself: what workers have printed may still be on its way. */
export class ProgramEnd {
  readonly #core: CoreWorker;
  readonly #output: DriverOutput;
  readonly #nodeEnded: Promise<void>;
  readonly #atExit: () => void;
  #drainedActivity = 0;

  constructor(core: CoreWorker, output: DriverOutput, nodeEnded: Promise<void>, atExit: () => void) {
    this.#core = core;
    this.#output = output;
    this.#nodeEnded = nodeEnded;
    this.#atExit = atExit;
    process.on("exit", this.#onExit);
    process.on("beforeExit", this.#onBeforeExit);
  }

  async drainOutput(): Promise<void> {
    const drained = this.#core.requests.ask((requestId) => ({ type: "drainOutput", requestId })).catch(() => undefined);
    await Promise.race([drained, this.#nodeEnded]);
  }

  /** The runtime has ended before the program. */
  finish(): void {
    process.off("exit", this.#onExit);
    process.off("beforeExit", this.#onBeforeExit);
    this.#onExit();
  }

  /** An orderly stop drains by itself. */
  stopping(): void {
    process.off("beforeExit", this.#onBeforeExit);
  }

  readonly #onExit = (): void => {
    this.#output.flush();
    this.#atExit();
  };

  readonly #onBeforeExit = (): void => {
    if (this.#core.activity === this.#drainedActivity) return;
    void this.drainOutput().then(() => { this.#drainedActivity = this.#core.activity; });
  };
}
