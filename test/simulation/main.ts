// Runs simulated clusters, each from a seed that decides everything in it.
//   npm run sim -- --seeds 1000 [--first 1] [--faults none|standard|harsh]
//   npm run sim -- --seed 42     replays one, with what happens in it
import { parseArgs } from "node:util";
import { runSeed } from "./one-run.ts";

const { values } = parseArgs({ options: { seeds: { type: "string", default: "100" }, first: { type: "string", default: "1" }, seed: { type: "string" } } });

if (values.seed !== undefined) await replay(Number(values.seed));
else await runMany(Number(values.first), Number(values.seeds));

async function replay(seed: number): Promise<void> {
  const { events, simulatedMs, traceHash } = await runSeed(seed, (line) => console.log(line));
  console.log(`seed ${seed} passes: ${events} events in ${(simulatedMs / 1000).toFixed(1)} simulated seconds, trace ${traceHash}`);
}

async function runMany(first: number, count: number): Promise<void> {
  const startedMs = performance.now();
  const failed: number[] = [];
  let events = 0;
  let simulatedMs = 0;
  for (let seed = first; seed < first + count; seed++) {
    try {
      const report = await runSeed(seed, null);
      events += report.events;
      simulatedMs += report.simulatedMs;
    } catch (error) {
      failed.push(seed);
      console.log(`seed ${seed} fails: ${(error as Error).stack}`);
    }
  }
  const seconds = (performance.now() - startedMs) / 1000;
  console.log(`${count} seeds in ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(1)} a second: ${events} events, ${(simulatedMs / 3_600_000).toFixed(2)} simulated hours`);
  console.log(failed.length === 0 ? "none failed" : `${failed.length} failed: ${failed.join(", ")}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}
