/** Logistic regression in the plainest form; nothing here knows that it runs in an actor. */

export interface Examples {
  readonly features: readonly Float64Array[];
  readonly labels: readonly (0 | 1)[];
}

/** Points around the origin, labelled by the side of a plane that they lie on, a few of them wrongly. */
export function generateExamples(count: number, featureCount: number, seed: number): Examples {
  const random = linearCongruential(seed);
  const features: Float64Array[] = [];
  const labels: (0 | 1)[] = [];
  for (let example = 0; example < count; example++) {
    const point = Float64Array.from({ length: featureCount }, () => 2 * random() - 1);
    const side = point.reduce((sum, value, feature) => sum + value * (feature % 2 === 0 ? 1 : -2), 0);
    const isWrong = random() < 0.02;
    features.push(point);
    labels.push(side > 0 !== isWrong ? 1 : 0);
  }
  return { features, labels };
}

export function lossGradient(examples: Examples, weights: Float64Array): Float64Array {
  const gradient = new Float64Array(weights.length);
  examples.features.forEach((point, example) => {
    const error = sigmoid(dot(point, weights)) - examples.labels[example]!;
    for (let feature = 0; feature < weights.length; feature++) {
      gradient[feature]! += (error * point[feature]!) / examples.labels.length;
    }
  });
  return gradient;
}

export function evaluate(examples: Examples, weights: Float64Array): { loss: number; accuracy: number } {
  let loss = 0;
  let right = 0;
  examples.features.forEach((point, example) => {
    const label = examples.labels[example]!;
    const probability = sigmoid(dot(point, weights));
    loss -= Math.log(label === 1 ? probability : 1 - probability);
    if (probability > 0.5 === (label === 1)) right++;
  });
  return { loss: loss / examples.labels.length, accuracy: right / examples.labels.length };
}

function dot(left: Float64Array, right: Float64Array): number {
  return left.reduce((sum, value, index) => sum + value * right[index]!, 0);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}

/** Park and Miller's generator: the same examples in every run. */
function linearCongruential(seed: number): () => number {
  let state = seed * 7919;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
