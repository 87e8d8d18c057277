// Runs simulated clusters, each from a seed that decides everything in it.
//   npm run sim -- --seeds 1000 [--first 1] [--faults none|drains|deadlines|standard|crowded|harsh] [--jobs 2] [--twice]
//   npm run sim -- --seed 42     replays one, with what happens in it
//   npm run sim -- --scale [--nodes 10,30,100] [--tasks 100]     what a task costs on more and more nodes, with so many tasks for each
// A change of the product or of the programs gives a seed another meaning; until then it is the same run everywhere.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { FaultMix } from "./cluster/faults.ts";
import { runMany } from "./many-runs.ts";
import { runSeeds } from "./one-run.ts";
import { measureScale, type ScaleReport, scaleTable } from "./scale.ts";

const { values } = parseArgs({ options: {
  seeds: { type: "string", default: "100" }, first: { type: "string", default: "1" }, seed: { type: "string" }, faults: { type: "string", default: "standard" }, jobs: { type: "string", default: String(availableParallelism()) },
  scale: { type: "boolean", default: false }, nodes: { type: "string", default: "10,30,100,300,1000" }, tasks: { type: "string", default: "100" },
  twice: { type: "boolean", default: false },
} });
const mix = values.faults as FaultMix;

if (values.scale) await measure(values.nodes.split(",").map(Number), Number(values.tasks));
else if (values.seed !== undefined) await replay(Number(values.seed));
else process.exitCode = (await runMany({ first: Number(values.first), count: Number(values.seeds), mix, jobs: Number(values.jobs), isTwice: values.twice })) ? 0 : 1;

async function replay(seed: number): Promise<void> {
  const [result] = await runSeeds([seed], mix, (line) => console.log(line));
  if (result?.status !== "fulfilled") throw result?.reason;
  const { events, simulatedMs, traceHash } = result.value;
  console.log(`seed ${seed} passes: ${events} events in ${(simulatedMs / 1000).toFixed(1)} simulated seconds, trace ${traceHash}`);
}

async function measure(counts: readonly number[], tasks: number): Promise<void> {
  const reports: ScaleReport[] = [];
  for (const nodes of counts) reports.push(await measureScale(nodes, tasks, console.log));
  console.log(scaleTable(reports));
}
