import assert from "node:assert/strict";
import * as ray from "mantaray";

/** How much one round does. */
export interface LoadSize {
  /** Tasks of the first level, and of each of them. */
  readonly outerTasks: number;
  readonly innerTasks: number;
  readonly actors: number;
  readonly callsPerActor: number;
  readonly streams: number;
  readonly valuesPerStream: number;
  readonly chains: number;
  readonly stepsPerChain: number;
}

/** Without limit: whatever is killed, however often, everything is done in the end. */
const TASK = { maxRetries: -1 } as const;
/** Beside those at work there is always room for what they wait for. */
const LIGHT = { ...TASK, numCpus: 0.25 } as const;

/** (a) Tasks that wait for tasks: every sum is right. Answers how many tasks there were. */
export async function nestedTasks({ outerTasks, innerTasks }: LoadSize): Promise<number> {
  const inner = ray.remote(function inner(outerNumber: number, number: number) { return outerNumber * 1_000 + number; }, LIGHT);
  const outer = ray.remote(async function outer(number: number) {
    const values = await ray.get(Array.from({ length: innerTasks }, (_, index) => inner.remote(number, index)));
    return values.reduce((sum, value) => sum + value, 0);
  }, LIGHT);
  const sums = await ray.get(Array.from({ length: outerTasks }, (_, number) => outer.remote(number)));
  for (const [number, sum] of sums.entries()) assert.equal(sum, number * 1_000 * innerTasks + (innerTasks * (innerTasks - 1)) / 2, `outer task ${number}`);
  return outerTasks * (innerTasks + 1);
}

/** (b) Numbered calls on actors that start again: none is lost, and each actor sees them in their order. Answers how many calls there were. */
export async function numberedCalls({ actors, callsPerActor }: LoadSize): Promise<number> {
  class Counter {
    last = -1;
    outOfOrder = 0;
    report(number: number): { number: number; outOfOrder: number } {
      if (number <= this.last) this.outOfOrder++;
      this.last = number;
      return { number, outOfOrder: this.outOfOrder };
    }
  }
  const RemoteCounter = ray.remote(Counter, { maxRestarts: -1, maxTaskRetries: -1 });
  const handles = Array.from({ length: actors }, () => RemoteCounter.remote());
  const refs = handles.flatMap((handle) => Array.from({ length: callsPerActor }, (_, number) => handle.report.remote(number)));
  const reports = await ray.get(refs);
  for (const [index, { number, outOfOrder }] of reports.entries()) {
    assert.equal(number, index % callsPerActor, `call ${index}`);
    assert.equal(outOfOrder, 0, `call ${index} ran out of order`);
  }
  await Promise.all(handles.map((handle) => ray.kill(handle)));
  return reports.length;
}

/** (c) Streams, and refs that are passed on and kept by tasks elsewhere. Answers how many values there were. */
export async function streamsAndBorrowedRefs({ streams, valuesPerStream }: LoadSize): Promise<number> {
  const generate = ray.remote(function* generate(stream: number, count: number) { for (let number = 0; number < count; number++) yield stream * 1_000 + number; }, LIGHT);
  const read = ray.remote(async function read(held: { ref: ray.ObjectRef<number[]> }) { return (await ray.get(held.ref)).reduce((sum, value) => sum + value, 0); }, LIGHT);
  const passOn = ray.remote(async function passOn(held: { ref: ray.ObjectRef<number[]> }): Promise<number> { return ray.get(read.remote(held)); }, LIGHT);
  const one = async (stream: number): Promise<number> => {
    const values: number[] = [];
    for await (const ref of generate.remote(stream, valuesPerStream)) values.push(await ref.get());
    assert.deepEqual(values, Array.from({ length: valuesPerStream }, (_, number) => stream * 1_000 + number), `stream ${stream}`);
    const ref = ray.put(values);
    const expected = values.reduce((sum, value) => sum + value, 0);
    const [direct, passed] = await ray.get([read.remote({ ref }), passOn.remote({ ref })]);
    assert.deepEqual([direct, passed], [expected, expected], `what borrowers of stream ${stream} read`);
    return values.length;
  };
  const counts = await Promise.all(Array.from({ length: streams }, (_, stream) => one(stream)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Each of them is too large for a message, so it lies on the node where it was made. */
const ARRAY_LENGTH = 20_000;

/**
 * (d) Chains of tasks, each with the large result of the one before, on all nodes in turn. Then every result is looked at, the last one first:
 * what was lost with its node is made again with all that it comes from. Answers how many results there were.
 */
export async function chainsOfLargeResults({ chains, stepsPerChain }: LoadSize): Promise<number> {
  const spread = { ...LIGHT, schedulingStrategy: "SPREAD" } as const;
  const start = ray.remote(function start(chain: number) { return new Float64Array(ARRAY_LENGTH).fill(chain); }, spread);
  const step = ray.remote(function step(array: Float64Array) { return array.map((value, index) => value + index); }, spread);
  const ends = ray.remote(function ends(array: Float64Array) { return [array.length, array[0], array.at(-1)] as const; }, spread);
  const one = async (chain: number): Promise<number> => {
    const refs = [start.remote(chain * 1_000)];
    for (let number = 1; number < stepsPerChain; number++) refs.push(step.remote(refs[number - 1]!));
    await ray.wait([refs.at(-1)!]);
    for (let number = stepsPerChain - 1; number >= 0; number--) {
      const first = chain * 1_000;
      assert.deepEqual(await ray.get(ends.remote(refs[number]!)), [ARRAY_LENGTH, first, first + number * (ARRAY_LENGTH - 1)], `result ${number} of chain ${chain}`);
    }
    return stepsPerChain;
  };
  const counts = await Promise.all(Array.from({ length: chains }, (_, chain) => one(chain)));
  return counts.reduce((sum, count) => sum + count, 0);
}
