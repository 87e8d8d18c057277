import type { WorkerId } from "../base/mod.ts";
import type { WorkerDeath, WorkerKind } from "../protocol/mod.ts";

/** Starts workers and learns of their end. */
export interface WorkerLauncher {
  launch(workerId: WorkerId, kind: WorkerKind, onExit: (death: WorkerDeath) => void): LaunchedWorker;
}

export interface LaunchedWorker {
  /** Ends it at once, whatever it does. `onExit` follows. */
  terminate(): void;
  /** Keeps a reason that the worker itself has given for the end that follows. */
  noteReason(reason: string): void;
}
