import type { WorkerId } from "../base/mod.ts";
import type { RefusalRecord, WorkerDeath, WorkerKind } from "../protocol/mod.ts";

export interface LaunchListener {
  exited(death: WorkerDeath): void;
  /** Instead: its environment cannot be set up, so there is no worker of its kind. */
  refused(error: RefusalRecord): void;
}

/** Starts workers and learns of their end. */
export interface WorkerLauncher {
  launch(workerId: WorkerId, kind: WorkerKind, listener: LaunchListener): LaunchedWorker;
}

export interface LaunchedWorker {
  /** Ends it at once, whatever it does. `exited` follows. */
  terminate(): void;
  /** Keeps a reason that the worker itself has given for the end that follows. */
  noteReason(reason: string): void;
}
