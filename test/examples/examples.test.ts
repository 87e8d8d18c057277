import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runExample } from "./run-example.ts";

/** The whole output, line by line; a RegExp where it is not the same in every run. */
const EXPECTED: Record<string, readonly (string | RegExp)[]> = {
  "bank-account": [
    "plain object: Ada has 150",
    "actor: Ada has 150",
    "after 1000 deposits at once Ada has 1150, each one in order: true",
    "InsufficientFunds: the account holds 1150, not 5000; 3850 are missing",
    "Ada still has 1150",
    "with interest, paid by a task that knows the name, Grace has 11",
    "found again without a handle: the savings are 1234",
    "named actors: grace, savings",
    "killed: the savings account answers no more",
  ],
  "task-graph": [
    "8 leaves finished, 400000 numbers in all",
    "combined in 3 levels: 400000 numbers, sum 79999800000, largest 399999",
    "sorted by nested tasks: true",
  ],
  streaming: [
    "warm days: 1, 4, 7; nobody asked for more, and at most 10 days were made: true",
    "north: 5 readings, south: 5, never more than 2 of one that nobody had taken: true",
    "the archive is complete up to day 2, then: the tape is torn",
  ],
  "parameter-server": [
    /^synchronous: loss 0\.6931 -> 0\.3\d+, 9\d\.\d % of unseen examples right$/,
    /^asynchronous: loss 0\.6931 -> 0\.[23]\d+, 9\d\.\d % of unseen examples right$/,
  ],
  "runtime-env": [
    "Dear Emmy, please pay 1.234,50 €.",
    "cellar: letter 1",
    "Dear Grace, please pay $1,234.50.",
    "cellar: letter 2",
    "here nothing has changed: no locale, no archive",
  ],
  "game-of-life": [
    "1024 cells, each an actor; a glider in a corner:",
    ".#....", "..#...", "###...", "......", "......", "......",
    "after 8 generations:",
    "......", "......", "...#..", "....#.", "..###.", "......",
  ],
  "actor-pool": ["78498 primes below 1000000, from 25 pieces", "every one of 3 actors had work: true"],
};

for (const isolation of ["thread", "process"]) {
  describe(`examples with workers in a ${isolation}`, () => {
    for (const [name, expectedLines] of Object.entries(EXPECTED)) {
      it(name, async () => {
        const run = await runExample(name, ["--isolation", isolation]);
        assert.equal(run.stderr, "");
        assert.equal(run.exitCode, 0);
        const lines = run.stdout.trimEnd().split("\n");
        assert.equal(lines.length, expectedLines.length, run.stdout);
        expectedLines.forEach((expected, index) => {
          if (typeof expected === "string") assert.equal(lines[index], expected);
          else assert.match(lines[index]!, expected);
        });
      });
    }

    it("monte-carlo-pi", async () => {
      const run = await runExample("monte-carlo-pi", ["--isolation", isolation]);
      assert.equal(run.stderr, "");
      assert.equal(run.exitCode, 0);
      const lines = run.stdout.trimEnd().split("\n");
      assert.equal(lines.pop(), "pi is about 3.14200, from 32,000,000 samples");

      const progress = lines.map((line) => /^(\d) of 8 tasks done, (\d+) % of the samples$/.exec(line)?.slice(1).map(Number));
      assert.ok(progress.every((numbers) => numbers !== undefined), run.stdout);
      assert.equal(progress.at(-1)![0], 8);
      for (let line = 1; line < progress.length; line++) {
        assert.ok(progress[line]![0]! >= progress[line - 1]![0]! && progress[line]![1]! >= progress[line - 1]![1]!, run.stdout);
      }
    });
  });
}
