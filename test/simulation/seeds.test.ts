// Whole clusters in one thread: GCS, node managers and core workers on a simulated clock and network, with random programs of tasks,
// actors, objects and streams. `npm run sim` runs more of the same, and replays a seed that fails.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

/** In a process of its own: the simulation has other globals, and what nobody handles fails its run. */
async function simulate(...options: string[]): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", main, "--jobs", "1", ...options]);
  assert.match(stdout, /none failed/);
}

test("without faults, programs return what they should, everything runs once, and nothing is left behind", async () => {
  await simulate("--seeds", "10", "--faults", "none");
});

test("when workers and nodes are killed, stopped and cut off, programs get their values or errors that may be, nothing is left behind, and a seed is always the same run", async () => {
  await simulate("--seeds", "8", "--faults", "standard", "--twice");
});
