import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runExample } from "./run-example.ts";

/** Of the Mandelbrot set; the lower half is its mirror image. */
const UPPER_HALF = [
  "                       ...........................",
  "                  ........................::...........",
  "              ............................::-::...........",
  "            ............................:--=@--:.............",
  "          ........................:::::::=@@@@=:::.............",
  "        ........................:::@@-#@@@@@@@@@@@=:=--:........",
  "       ........................::-+@@@@@@@@@@@@@@@@@=:::........",
  "      .............::::::::::::-*@@@@@@@@@@@@@@@@@@@@@*-:.......",
  "     .............:::-@=@@@@=::*@@@@@@@@@@@@@@@@@@@@@@@:........",
  "     ..........:::::=@@@@@@@@@-@@@@@@@@@@@@@@@@@@@@@@@=:........",
];

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
  "giving-up": [
    "the safe opens with 471108",
    "TaskCancelledError: task locksmith() was cancelled",
    "TaskCancelledError: task locksmith() was cancelled",
    "at work after the race: 0",
    "at work for the foreman: 3",
    "after he was called off: 0",
    "after closing time: TaskCancelledError, TaskCancelledError, TaskCancelledError",
    /^TaskTimeoutError: stubborn\(\) ran for longer than its timeoutMs of 100 ms \(worker \w+\)$/,
    "the apprentice: 1, TaskTimeoutError, 2",
  ],
  bakery: [
    "never more than 8 loaves on the shelf: true",
    "120 loaves sold for 240, each of them once: true",
    "QueueEmptyError: getBatch() asked for 5 items, but only 3 are there, and took none; ask for fewer, or use get() to wait",
    "change from the till: 1 + 2 + 3",
    "QueueEmptyError: get() gave up after 10 ms, in which the queue was empty; wait longer, or put items in",
  ],
  mandelbrot: [
    ...[...UPPER_HALF, "     @@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@-::.........", ...UPPER_HALF.toReversed()],
    "21 % of the frame are inside",
    "1",
    "RangeError: 0 has no logarithm",
    "3",
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
  "training-runs": [
    "1 of 3 runs has its workers, the others wait", "a slope of 2 is learned as 2.000", "a slope of -1 is learned as -1.000", "a slope of 0.5 is learned as 0.500",
    "4 processors are free again",
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
