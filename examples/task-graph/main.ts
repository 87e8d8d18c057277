/**
 * A graph of tasks.
 *
 * It teaches `put` (one copy of a large value for many tasks), refs as arguments (a task starts when what it
 * needs is there; the driver never sees what lies between), nested tasks (a task that starts tasks and awaits
 * them lends its CPU to them meanwhile) and `wait` (results in the order in which they finish).
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const NUMBERS = 400_000;
const PARTS = 8;
/** Fewer numbers than this are sorted where they are. */
const SORT_IN_PLACE_MAX = 50_000;

interface Summary {
  readonly count: number;
  readonly sum: number;
  readonly largest: number;
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

// 1. put: the numbers are stored once; tasks receive the ref as an argument and see the numbers.
const numbers = Float64Array.from({ length: NUMBERS }, (_, index) => (index * 7919) % NUMBERS);
const stored = ray.put(numbers);

const summarize = ray.remote((all: Float64Array, from: number, before: number): Summary => {
  const part = all.subarray(from, before);
  return { count: part.length, sum: part.reduce((sum, value) => sum + value, 0), largest: part.reduce((a, b) => Math.max(a, b)) };
});

// 2. A tree of tasks: the refs of one level are the arguments of the next.
const combine = ray.remote((left: Summary, right: Summary): Summary => ({
  count: left.count + right.count,
  sum: left.sum + right.sum,
  largest: Math.max(left.largest, right.largest),
}));

const partSize = NUMBERS / PARTS;
let level = Array.from({ length: PARTS }, (_, part) => summarize.remote(stored, part * partSize, (part + 1) * partSize));
const leaves = level;
let depth = 0;
while (level.length > 1) {
  level = Array.from({ length: level.length / 2 }, (_, pair) => combine.remote(level[2 * pair]!, level[2 * pair + 1]!));
  depth++;
}

// 3. wait: whatever is finished first is seen first.
const finished: number[] = [];
let unfinished: readonly ray.ObjectRef<Summary>[] = leaves;
while (unfinished.length > 0) {
  const [ready, notReady] = await ray.wait(unfinished);
  const { count } = await ray.get(ready[0]!);
  finished.push(count);
  unfinished = notReady;
}
console.log(`${finished.length} leaves finished, ${finished.reduce((sum, count) => sum + count, 0)} numbers in all`);

const total = await ray.get(level[0]!);
console.log(`combined in ${depth} levels: ${total.count} numbers, sum ${total.sum}, largest ${total.largest}`);

// 4. Nested tasks: a merge sort in which every half is a task of its own.
const sort: ray.RemoteFunction<[Float64Array], Promise<Float64Array>> = ray.remote(async (unsorted: Float64Array) => {
  if (unsorted.length <= SORT_IN_PLACE_MAX) return unsorted.slice().sort();
  const middle = unsorted.length >> 1;
  const [left, right] = await ray.get([
    sort.remote(unsorted.slice(0, middle)),
    sort.remote(unsorted.slice(middle)),
  ] as const);
  return merge(left, right);
});

function merge(left: Float64Array, right: Float64Array): Float64Array {
  const merged = new Float64Array(left.length + right.length);
  let fromLeft = 0;
  let fromRight = 0;
  for (let at = 0; at < merged.length; at++) {
    const takeLeft = fromRight === right.length || (fromLeft < left.length && left[fromLeft]! <= right[fromRight]!);
    merged[at] = takeLeft ? left[fromLeft++]! : right[fromRight++]!;
  }
  return merged;
}

const sorted = await ray.get(sort.remote(stored));
console.log(`sorted by nested tasks: ${sorted.every((value, index) => value === index)}`);

await ray.shutdown();
