import type { LaunchedWorker, LaunchListener } from "../clients/mod.ts";
import type { PreparedEnvironment, RuntimeEnvRecord, WorkerDeath } from "../protocol/mod.ts";
import type { EnvironmentAgent } from "../runtime-env/mod.ts";

/** Starts a worker, now or when it is its turn; one that cannot start then has `failed`. */
export type LaunchInTurn = (environment: PreparedEnvironment | null, exited: (death: WorkerDeath) => void, failed: (error: Error) => void) => LaunchedWorker;

/** Starts a worker as soon as its environment is set up. */
export function launchInEnvironment(agent: EnvironmentAgent, record: RuntimeEnvRecord, listener: LaunchListener, launch: LaunchInTurn): LaunchedWorker {
  let launched: LaunchedWorker | null = null;
  let isCancelled = false;
  const refused = (error: Error): void => listener.refused({ kind: "RuntimeEnvSetupError", message: `cannot run: ${error.message}`, subjectId: null });
  agent.acquire(record).then(
    (environment) => {
      const exited = (death: WorkerDeath): void => {
        void agent.release(record);
        listener.exited(death);
      };
      if (isCancelled) return exited({ reason: "was not needed any more", pid: 0, isRetryable: true });
      // Node refuses some values of NODE_OPTIONS.
      const failed = (error: Error): void => {
        void agent.release(record);
        refused(new Error(`no worker can start in its runtime environment: ${error.message}`));
      };
      try {
        launched = launch(environment, exited, failed);
      } catch (error) {
        failed(error as Error);
      }
    },
    refused,
  );
  return {
    terminate: () => {
      isCancelled = true;
      launched?.terminate();
    },
    noteReason: (reason) => launched?.noteReason(reason),
  };
}
