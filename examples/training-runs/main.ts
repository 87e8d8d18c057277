/**
 * Three training runs share four processors, and each needs three workers at once. With a placement group each a run has all of its
 * workers or waits: no two runs ever hold a part of what the other needs.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
const WORKERS = 3;
const STEPS = 100;
const RATE = 0.05;

/** Learns the slope of a line from its part of the points. */
class Trainer {
  readonly #points: readonly (readonly [x: number, y: number])[];

  constructor(slope: number, part: number) {
    this.#points = Array.from({ length: 50 }, (_, index) => {
      const x = (index * WORKERS + part) / 50;
      return [x, slope * x] as const;
    });
  }

  gradient(guess: number): number {
    return this.#points.reduce((sum, [x, y]) => sum + (guess * x - y) * x, 0) / this.#points.length;
  }
}

const train = ray.remote(async function train(slope: number): Promise<number> {
  const Worker = ray.remote(Trainer, { numCpus: 1 });
  const workers = Array.from({ length: WORKERS }, (_, part) => Worker.remote(slope, part));
  let guess = 0;
  for (let step = 0; step < STEPS; step++) {
    const gradients = await ray.get(workers.map((worker) => worker.gradient.remote(guess)));
    guess -= (RATE * gradients.reduce((sum, gradient) => sum + gradient)) / WORKERS;
  }
  return guess;
}, { numCpus: 0 });

await ray.init({ numCpus: 4, isolation: values.isolation as ray.Isolation | undefined });
const runs = [2, -1, 0.5].map(async (slope) => {
  const group = ray.placementGroup(Array.from({ length: WORKERS }, () => ({ CPU: 1 })), { name: `slope ${slope}` });
  // What the run makes belongs to its group, too.
  const learned = await ray.get(train.options({ schedulingStrategy: { type: "placementGroup", placementGroup: group, captureChildTasks: true } }).remote(slope));
  await ray.removePlacementGroup(group);
  return `a slope of ${slope} is learned as ${learned.toFixed(3)}`;
});
const table = Object.values(await ray.placementGroupTable());
console.log(`${table.filter(({ state }) => state === "CREATED").length} of ${table.length} runs has its workers, the others wait`);
for (const run of runs) console.log(await run);
console.log(`${(await ray.availableResources())["CPU"]} processors are free again`);
await ray.shutdown();
