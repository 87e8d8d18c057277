/**
 * Monte-Carlo estimation of pi, with live progress.
 *
 * It teaches how tasks run in parallel, how an actor collects what they report while they run (its handle is an
 * argument like any other), and how `wait` with a timeout lets the driver look at both.
 *
 * Every task has a seed of its own, so that the estimate is the same in every run.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const TASKS = 8;
const SAMPLES_PER_TASK = 4_000_000;
const REPORTS_PER_TASK = 20;
const POLL_MS = 100;

class Progress {
  readonly #samplesByTask = new Map<number, number>();

  report(task: number, samples: number): void {
    this.#samplesByTask.set(task, samples);
  }

  fraction(totalSamples: number): number {
    let samples = 0;
    for (const ofTask of this.#samplesByTask.values()) samples += ofTask;
    return samples / totalSamples;
  }
}

/** Mulberry32: small, fast and good enough to throw darts with. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const throwDarts = ray.remote((task: number, samples: number, progress: ray.ActorHandle<Progress>) => {
  const random = seededRandom(task + 1);
  let inside = 0;
  for (let sample = 1; sample <= samples; sample++) {
    if (random() ** 2 + random() ** 2 <= 1) inside++;
    // Nobody waits for a report: its ref is released at once.
    if (sample % (samples / REPORTS_PER_TASK) === 0) progress.report.remote(task, sample).release();
  }
  return inside;
});

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const progress = ray.remote(Progress).remote();
const results = Array.from({ length: TASKS }, (_, task) => throwDarts.remote(task, SAMPLES_PER_TASK, progress));

const totalSamples = TASKS * SAMPLES_PER_TASK;
let running: readonly ray.ObjectRef<number>[] = results;
while (running.length > 0) {
  [, running] = await ray.wait(running, { numReturns: running.length, timeoutMs: POLL_MS });
  const percent = Math.floor((await ray.get(progress.fraction.remote(totalSamples))) * 100);
  console.log(`${TASKS - running.length} of ${TASKS} tasks done, ${percent} % of the samples`);
}

const inside = (await ray.get(results)).reduce((sum, ofTask) => sum + ofTask, 0);
console.log(`pi is about ${((4 * inside) / totalSamples).toFixed(5)}, from ${totalSamples.toLocaleString("en-US")} samples`);

await ray.shutdown();
