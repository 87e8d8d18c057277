// Kills and stops processes at random under load, on one node and on three, with worker threads and worker processes; then the head of each
// cluster, and programs of their own at random moments of their first seconds.
//   npm run chaos -- [--minutes 10] [--seed 1] [--nodes 1,3] [--isolation thread,process] [--quiet]
import { parseArgs } from "node:util";
import { SeededRandom } from "../../bench/soak/seeded-random.ts";
import { chaos } from "./chaos.ts";
import { killedDrivers } from "./driver-kills.ts";

const MS_PER_MINUTE = 60_000;
const PROGRAMS_KILLED = 20;
const SIZE = { outerTasks: 200, innerTasks: 99, actors: 50, callsPerActor: 600, streams: 20, valuesPerStream: 200, chains: 10, stepsPerChain: 20 };

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" }, seed: { type: "string", default: "1" }, nodes: { type: "string", default: "1,3" },
    isolation: { type: "string", default: "thread,process" }, quiet: { type: "boolean", default: false },
  },
});
const isolations = values.isolation.split(",").map((text): "thread" | "process" => {
  if (text === "thread" || text === "process") return text;
  throw new Error(`--isolation takes thread or process, but got '${text}'`);
});
const settings = values.nodes.split(",").flatMap((nodes) => isolations.map((isolation) => ({ nodes: Number(nodes), isolation })));
for (const { nodes, isolation } of settings) {
  const startedMs = performance.now();
  const log = (line: string): void => { if (!values.quiet) console.log(`  ${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${line}`); };
  const counts = await chaos({ nodes, isolation, seed: Number(values.seed), size: SIZE, ms: (Number(values.minutes) * MS_PER_MINUTE) / settings.length, log });
  console.log(`${nodes} ${nodes === 1 ? "node" : "nodes"}, ${isolation}: all results right, all processors free: ${JSON.stringify(counts)}`);
}
for (const isolation of isolations) {
  const longestMs = await killedDrivers(PROGRAMS_KILLED, isolation, new SeededRandom(Number(values.seed)), (line) => { if (!values.quiet) console.log(`  ${line}`); });
  console.log(`${PROGRAMS_KILLED} programs killed at random moments (${isolation}): nothing was left of any after ${Math.round(longestMs)} ms`);
}
