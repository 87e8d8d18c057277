/**
 * A parameter server: logistic regression on data spread over several workers.
 *
 * It teaches how actors work for each other. Synchronous: gradients go from the workers to the server as refs,
 * the driver passes them on unseen. Asynchronous: with `wait`, each worker goes on with the newest weights as
 * soon as its own gradient is applied, however slow the others are.
 *
 * Both trainings are checked: the loss must go down, and the model must know more than a coin.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";
import { evaluate, generateExamples, lossGradient } from "./logistic-regression.ts";
import type { Examples } from "./logistic-regression.ts";

const FEATURES = 20;
const EXAMPLES_PER_WORKER = 2_000;
const WORKERS = 2;
const ITERATIONS = 60;
const LEARNING_RATE = 0.5;

class ParameterServer {
  readonly #weights = new Float64Array(FEATURES);

  /** One step against the mean of the gradients. Answers the new weights. */
  apply(...gradients: Float64Array[]): Float64Array {
    for (let feature = 0; feature < FEATURES; feature++) {
      const mean = gradients.reduce((sum, gradient) => sum + gradient[feature]!, 0) / gradients.length;
      this.#weights[feature]! -= LEARNING_RATE * mean;
    }
    return this.#weights;
  }

  weights(): Float64Array {
    return this.#weights;
  }
}

/** Holds its part of the data; only weights and gradients travel. */
class DataWorker {
  readonly #examples: Examples;

  constructor(seed: number) {
    this.#examples = generateExamples(EXAMPLES_PER_WORKER, FEATURES, seed);
  }

  gradient(weights: Float64Array): Float64Array {
    return lossGradient(this.#examples, weights);
  }
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const Server = ray.remote(ParameterServer);
const Worker = ray.remote(DataWorker);
const workers = Array.from({ length: WORKERS }, (_, index) => Worker.remote(index + 1));
const unseenExamples = generateExamples(1_000, FEATURES, 99);

async function trainSynchronously(): Promise<Float64Array> {
  const server = Server.remote();
  let weights = server.weights.remote();
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const gradients = workers.map((worker) => worker.gradient.remote(weights));
    weights = server.apply.remote(...gradients);
  }
  return ray.get(weights);
}

async function trainAsynchronously(): Promise<Float64Array> {
  const server = Server.remote();
  const initial = server.weights.remote();
  const workerOf = new Map(workers.map((worker) => [worker.gradient.remote(initial), worker]));
  for (let update = 0; update < ITERATIONS * WORKERS; update++) {
    const [[gradient]] = await ray.wait([...workerOf.keys()]);
    const worker = workerOf.get(gradient!)!;
    workerOf.delete(gradient!);
    const weights = server.apply.remote(gradient!);
    workerOf.set(worker.gradient.remote(weights), worker);
  }
  return ray.get(server.weights.remote());
}

function report(training: string, weights: Float64Array): void {
  const before = evaluate(unseenExamples, new Float64Array(FEATURES));
  const after = evaluate(unseenExamples, weights);
  const accuracy = `${(after.accuracy * 100).toFixed(1)} %`;
  console.log(`${training}: loss ${before.loss.toFixed(4)} -> ${after.loss.toFixed(4)}, ${accuracy} of unseen examples right`);
  if (!(after.loss < before.loss / 2 && after.accuracy > 0.8)) {
    console.error(`The ${training} training did not learn.`);
    process.exitCode = 1;
  }
}

report("synchronous", await trainSynchronously());
report("asynchronous", await trainAsynchronously());

await ray.shutdown();
