// Whole clusters in one thread: GCS, node managers and core workers on a simulated clock and network, with random programs.
// `npm run sim` runs more of the same, and replays a seed that fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runSeed } from "./one-run.ts";

const SEEDS = 25;

test("programs of nested tasks on clusters return what they should, and leave nothing behind", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    await assert.doesNotReject(runSeed(seed, null), `seed ${seed}`);
  }
});

test("the same seed gives the same events in the same order, whatever was run before", async () => {
  const hashes: string[] = [];
  for (const seed of [7, 8, 7]) hashes.push((await runSeed(seed, null)).traceHash);
  assert.equal(hashes[0], hashes[2]);
  assert.notEqual(hashes[0], hashes[1]);
});
