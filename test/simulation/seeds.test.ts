// Whole clusters in one thread: GCS, node managers and core workers on a simulated clock and network, with random programs of tasks,
// actors, objects and streams. `npm run sim` runs more of the same, and replays a seed that fails.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** In a process of its own: the simulation has other globals, and what nobody handles fails its run. */
async function simulate(first: number, seeds: number, faults: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", main, "--first", String(first), "--seeds", String(seeds), "--faults", faults]);
  assert.match(stdout, /none failed/);
  return /traces ([0-9a-f]{16})/.exec(stdout)?.[1] as string;
}

test("without faults, programs return what they should, everything runs once, and nothing is left behind", async () => {
  await simulate(1, 10, "none");
});

test("when workers and nodes are killed, stopped and cut off, programs get their values or errors that may be, and nothing is left behind", async () => {
  await simulate(1, 10, "standard");
});

test("the same seeds give the same events in the same order", async () => {
  const traces = await simulate(7, 1, "standard");
  assert.equal(await simulate(7, 1, "standard"), traces);
  assert.notEqual(await simulate(8, 1, "standard"), traces);
});
