import type { PreparedEnvironment, RuntimeEnvRecord } from "../protocol/mod.ts";

/** Whether a worker can start in it at once. */
export function needsNoSetup(_record: RuntimeEnvRecord): boolean {
  return true;
}

/** Sets up environments on one machine, for the workers that are about to start there. */
export class EnvironmentAgent {
  /** Until `release`, what it needs is there. @throws RuntimeEnvSetupError */
  async acquire(record: RuntimeEnvRecord): Promise<PreparedEnvironment> {
    return { record };
  }

  /** The worker has ended. */
  release(_record: RuntimeEnvRecord): void {}
}
