// A process that runs the seeds which many-runs.ts gives it.
import type { FaultMix } from "./cluster/faults.ts";
import { resultsOf } from "./many-runs.ts";

const mix = process.argv[2] as FaultMix;
process.on("message", (seeds: readonly number[]) => void answer(seeds));

async function answer(seeds: readonly number[]): Promise<void> {
  const done = await resultsOf(seeds, mix);
  process.send?.(done);
}
