// A process that runs the seeds which many-runs.ts gives it.
import type { SeedsDone, SeedsToRun } from "./many-runs.ts";
import { runSeeds } from "./one-run.ts";

process.on("message", (question: SeedsToRun) => void answer(question));

async function answer({ seeds, mix }: SeedsToRun): Promise<void> {
  const results = await runSeeds(seeds, mix);
  const done: SeedsDone = {
    reports: results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    failures: results.flatMap((result, index) => (result.status === "fulfilled" ? [] : [{ seed: seeds[index] as number, reason: (result.reason as Error).stack ?? String(result.reason) }])),
  };
  process.send?.(done);
}
