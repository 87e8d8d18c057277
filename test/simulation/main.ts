// Runs simulated clusters, each from a seed that decides everything in it.
//   npm run sim -- --seeds 1000 [--first 1] [--faults none|standard|harsh]
//   npm run sim -- --seed 42     replays one, with what happens in it
// A change of the product or of the programs gives a seed another meaning; until then it is the same run everywhere.
import { parseArgs } from "node:util";
import type { FaultMix } from "./cluster/faults.ts";
import { runSeed } from "./one-run.ts";
import { Trace } from "./world/trace.ts";

const { values } = parseArgs({ options: { seeds: { type: "string", default: "100" }, first: { type: "string", default: "1" }, seed: { type: "string" }, faults: { type: "string", default: "standard" } } });
const mix = values.faults as FaultMix;

if (values.seed !== undefined) await replay(Number(values.seed));
else await runMany(Number(values.first), Number(values.seeds));

async function replay(seed: number): Promise<void> {
  const { events, simulatedMs, traceHash } = await runSeed(seed, mix, (line) => console.log(line));
  console.log(`seed ${seed} passes: ${events} events in ${(simulatedMs / 1000).toFixed(1)} simulated seconds, trace ${traceHash}`);
}

async function runMany(first: number, count: number): Promise<void> {
  const startedMs = performance.now();
  const failed: number[] = [];
  let events = 0;
  let simulatedMs = 0;
  let faults = 0;
  const all = new Trace(null);
  const losses = new Map<string, number>();
  for (let seed = first; seed < first + count; seed++) {
    try {
      const report = await runSeed(seed, mix);
      events += report.events;
      simulatedMs += report.simulatedMs;
      faults += report.faults;
      all.event(seed, report.traceHash, "");
      for (const [name, lost] of report.losses) losses.set(name, (losses.get(name) ?? 0) + lost);
    } catch (error) {
      failed.push(seed);
      console.log(`seed ${seed} fails: ${(error as Error).stack}`);
    }
  }
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${count} seeds in ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(1)} a second: ${events} events, ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours, traces ${all.hash}`);
  if (faults > 0) console.log(`${faults} faults; lost, as it may be: ${Array.from(losses, ([name, count]) => `${count} ${name}`).join(", ")}`);
  console.log(failed.length === 0 ? "none failed" : `${failed.length} failed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
