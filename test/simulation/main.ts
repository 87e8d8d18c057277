// Runs simulated clusters, each from a seed that decides everything in it.
//   npm run sim -- --seeds 1000 [--first 1] [--faults none|standard|harsh] [--jobs 2]
//   npm run sim -- --seed 42     replays one, with what happens in it
// A change of the product or of the programs gives a seed another meaning; until then it is the same run everywhere.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { FaultMix } from "./cluster/faults.ts";
import { runInProcesses } from "./many-runs.ts";
import { runSeeds } from "./one-run.ts";

const { values } = parseArgs({ options: {
  seeds: { type: "string", default: "100" }, first: { type: "string", default: "1" }, seed: { type: "string" }, faults: { type: "string", default: "standard" }, jobs: { type: "string", default: String(availableParallelism()) },
} });
const mix = values.faults as FaultMix;

if (values.seed !== undefined) await replay(Number(values.seed));
else process.exitCode = (await runInProcesses({ first: Number(values.first), count: Number(values.seeds), mix, jobs: Number(values.jobs) })) ? 0 : 1;

async function replay(seed: number): Promise<void> {
  const [result] = await runSeeds([seed], mix, (line) => console.log(line));
  if (result?.status !== "fulfilled") throw result?.reason;
  const { events, simulatedMs, traceHash } = result.value;
  console.log(`seed ${seed} passes: ${events} events in ${(simulatedMs / 1000).toFixed(1)} simulated seconds, trace ${traceHash}`);
}
