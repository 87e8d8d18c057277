import { test } from "node:test";
import fc from "fast-check";
import { playHistory } from "./fixtures/store-history.ts";

const RUNS = Number(process.env["MANTARAY_TEST_RUNS"] ?? 400);
const CHOICES = 1_000;

/** Long histories at once: short ones do not come far. The same seed gives the same one. */
function choicesOf(seed: number): number[] {
  let state = seed >>> 0;
  return Array.from({ length: CHOICES }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    const mixed = Math.imul(state ^ (state >>> 15), state | 1);
    const more = mixed ^ (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61));
    return (more ^ (more >>> 14)) >>> 0;
  });
}

test("random histories of workers that may die at any step: nothing is lost, overwritten or leaked", () => {
  fc.assert(fc.property(fc.nat(), (seed) => playHistory(choicesOf(seed))), { numRuns: RUNS, endOnFailure: true });
});

/** Seeds that failed once. */
const REMEMBERED = [
  // Two workers wait for memory that is pinned for what both have asked for before, and neither reads its messages.
  4_821_612,
];

for (const seed of REMEMBERED) test(`the history of seed ${seed}`, () => playHistory(choicesOf(seed)));

test("the same on a file system that has less than it said", () => {
  fc.assert(fc.property(fc.nat(), fc.nat(6), (seed, backedPages) => playHistory(choicesOf(seed), backedPages)), { numRuns: RUNS / 4, endOnFailure: true });
});
