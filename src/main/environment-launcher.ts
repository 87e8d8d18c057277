import type { LaunchedWorker, LaunchListener } from "../clients/mod.ts";
import type { PreparedEnvironment, RuntimeEnvRecord, WorkerDeath } from "../protocol/mod.ts";
import type { EnvironmentAgent } from "../runtime-env/mod.ts";

/** Starts a worker as soon as its environment is set up. */
export function launchInEnvironment(agent: EnvironmentAgent, record: RuntimeEnvRecord, listener: LaunchListener, launch: (environment: PreparedEnvironment, exited: (death: WorkerDeath) => void) => LaunchedWorker): LaunchedWorker {
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
      try {
        launched = launch(environment, exited);
      } catch (error) {
        // Node refuses some values of NODE_OPTIONS.
        void agent.release(record);
        refused(new Error(`no worker can start in its runtime environment: ${(error as Error).message}`));
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
