/**
 * A picture of the Mandelbrot set, drawn line by line.
 *
 * It teaches `Pool`: plain functions mapped over many values by a few workers, which are set up once (`initializer`) and keep what they
 * have; results in order while the rest is still being made (`imap`), or as a whole (`map`, `starmap`); errors at their place.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const WORKERS = 3;
const COLUMNS = 64;
const LINES = 21;
const STEPS_MAX = 2_000;

/** What a worker has prepared, in its own globals. */
const prepared = globalThis as { shades?: string[]; drawn?: number };

/** Each worker does this once, whatever it draws afterwards. */
function prepare(letters: string): void {
  prepared.shades = Array.from({ length: STEPS_MAX + 1 }, (_, steps) => (steps === STEPS_MAX ? "@" : letters[Math.min(letters.length - 1, Math.floor(Math.log2(steps + 1)))]!));
  prepared.drawn = 0;
}

function stepsToLeave(x: number, y: number): number {
  let [real, imaginary, steps] = [0, 0, 0];
  while (steps < STEPS_MAX && real * real + imaginary * imaginary <= 4) {
    [real, imaginary] = [real * real - imaginary * imaginary + x, 2 * real * imaginary + y];
    steps++;
  }
  return steps;
}

function drawLine(line: number): string {
  prepared.drawn!++;
  const y = ((2 * line) / (LINES - 1) - 1) * 1.2;
  return Array.from({ length: COLUMNS }, (_, column) => prepared.shades![stepsToLeave((3 * column) / (COLUMNS - 1) - 2.2, y)]).join("").trimEnd();
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });
const pool = new ray.Pool({ processes: WORKERS, initializer: prepare, initArgs: ["  .:-=+*#"], actorOptions: { numCpus: 0 } });

// The first line is printed while the last ones are not even begun.
for await (const line of pool.imap(drawLine, Array(LINES).keys())) console.log(line);

// Several arguments at once, and everything at the end.
const area = await pool.starmap((x: number, y: number) => Number(stepsToLeave(x, y) === STEPS_MAX), gridOf(-2.2, 0.8, -1.2, 1.2, 90));
console.log(`${Math.round((100 * area.reduce((sum, isInside) => sum + isInside, 0)) / area.length)} % of the frame are inside`);

// An error comes where its value was; those behind it come all the same.
const logarithms = pool.imap((value: number) => {
  if (value <= 0) throw new RangeError(`${value} has no logarithm`);
  return Math.log10(value);
}, [10, 0, 1000]);
for (let next = 0; next < 3; next++) {
  console.log(await logarithms.next().then(({ value }) => String(value), (error: ray.TaskError) => String(error.cause)));
}

await pool.terminate();
await ray.shutdown();

function* gridOf(left: number, right: number, top: number, bottom: number, points: number): Generator<[x: number, y: number]> {
  for (let row = 0; row < points; row++) {
    for (let column = 0; column < points; column++) yield [left + ((right - left) * column) / points, top + ((bottom - top) * row) / points];
  }
}
