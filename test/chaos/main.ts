// Kills and stops processes at random under load, on one node and on three, with worker threads and worker processes.
//   npm run chaos -- [--minutes 10] [--seed 1] [--nodes 1,3] [--isolation thread,process] [--quiet]
import { parseArgs } from "node:util";
import { chaos } from "./chaos.ts";

const MS_PER_MINUTE = 60_000;
const SIZE = { outerTasks: 200, innerTasks: 99, actors: 50, callsPerActor: 600, streams: 20, valuesPerStream: 200 };

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
  const counts = await chaos({ nodes, isolation, seed: Number(values.seed), size: SIZE, ms: (Number(values.minutes) * MS_PER_MINUTE) / settings.length, log: values.quiet ? () => undefined : (line) => console.log(`  ${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${line}`) });
  console.log(`${nodes} ${nodes === 1 ? "node" : "nodes"}, ${isolation}: all results right, all processors free: ${JSON.stringify(counts)}`);
}
