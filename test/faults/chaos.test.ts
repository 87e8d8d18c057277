import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chaos } from "../chaos/chaos.ts";

/** Rounds begin for so long; a busy machine needs longer for the last one. */
const MS_MAX = 10_000;
const SIZE = { outerTasks: 20, innerTasks: 24, actors: 10, callsPerActor: 60, streams: 4, valuesPerStream: 50, chains: 2, stepsPerChain: 8 };

/** `npm run chaos` does the same for longer, with 20,000 tasks and 30,000 calls at once. */
describe("under load, with worker processes, worker hosts and nodes that are killed and stopped at random", { skip: process.platform === "linux" ? false : "finds processes in /proc" }, () => {
  for (const [nodes, isolation] of [[1, "process"], [3, "thread"], [3, "process"]] as const) {
    it(`every result is right, none is lost, and every processor is free again (${nodes} ${nodes === 1 ? "node" : "nodes"}, ${isolation})`, async () => {
      const lines: string[] = [];
      const counts = await chaos({ nodes, isolation, seed: nodes, size: SIZE, ms: MS_MAX, log: (line) => lines.push(line) }).catch((error: Error) => { throw new Error(`${error.stack}\n${lines.join("\n")}`); });
      assert.ok(counts.rounds > 0 && counts.workersKilled + counts.processesFrozen + counts.nodesKilled > 1, JSON.stringify(counts));
    });
  }
});
