import { processLimits } from "./memory-limit.ts";

/**
 * V8's helper threads, which mark and compile beside the program: Node starts four in each process. A worker runs one thing at a time and
 * there is a worker for each processor, so four would take the processors from the other workers, and from itself: on two cores the
 * marking that a view of 100 MiB starts held its reader up for 3 ms, and with one helper for 0.4.
 */
const V8_HELPERS = "--v8-pool-size=1";

/** How Node is started for a worker process. What the program itself was started with counts before what is chosen here. */
export function workerProcessOptions(inherited: readonly string[], nodeOptions: string | undefined, memoryLimitBytes: number | null): string[] {
  const isChosen = [...inherited, nodeOptions ?? ""].some((option) => /--v8[-_]pool[-_]size/.test(option));
  return [...(isChosen ? [] : [V8_HELPERS]), ...inherited, ...(memoryLimitBytes === null ? [] : processLimits(memoryLimitBytes))];
}
