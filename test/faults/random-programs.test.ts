import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { everythingFree, underBothIsolations } from "../conformance/both-isolations.ts";

const OPERATIONS_PER_PROGRAM = 60;
const SEEDS_WITHOUT_CRASHES = [1, 2, 3];
const SEEDS_WITH_CRASHES = [11, 12, 13];

/** Mulberry32: the same seed makes the same program. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

class Accumulator {
  total = 0;
  add(value: number): number { this.total += value; return value + 1; }
  async relay(other: ray.ActorHandle<Accumulator>, value: number): Promise<number> { return ray.get(other.add.remote(value)); }
  crash(): number { process.exit(1); }
}
type Handle = ray.ActorHandle<Accumulator>;

const increment = ray.remote((value: number) => value + 1);
const slowIncrement = ray.remote(async (value: number) => { await new Promise((resolve) => setImmediate(resolve)); return value + 1; });
const nested = ray.remote(async (depth: number, value: number): Promise<number> => {
  const inner = ray.remote((given: number) => given + 1);
  let last: ray.ObjectRef<number> = ray.put(value);
  for (let level = 0; level < depth; level++) last = inner.remote(last);
  return ray.get(last);
});
const openBox = ray.remote(async (box: { ref: ray.ObjectRef<number> }) => (await ray.get(box.ref)) + 1);
const callActor = ray.remote(async (actor: Handle, value: number) => ray.get(actor.add.remote(value)));
const crash = ray.remote((): number => process.exit(1), { maxRetries: 0 });
const throws = ray.remote((value: number): number => { throw new RangeError(`thrown ${value}`); });

interface Expected { readonly ref: ray.ObjectRef<number>; readonly value: number; readonly operation: string }

async function runProgram(seed: number, hasCrashes: boolean): Promise<void> {
  const random = randomFrom(seed);
  const Accumulators = ray.remote(Accumulator);
  const actors: Handle[] = [Accumulators.remote(), Accumulators.remote()];
  const made: Expected[] = [{ ref: ray.put(0), value: 0, operation: "put" }];
  const thrown: ray.ObjectRef<number>[] = [];
  const crashes: ray.ObjectRef<number>[] = [];
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  const add = (operation: string, ref: unknown, value: number): void => void made.push({ ref: ref as ray.ObjectRef<number>, value, operation });
  const operations: ((source: Expected) => void)[] = [
    ({ ref, value }) => add("increment", increment.options({ numCpus: pick([0, 0.5, 1, 2]) }).remote(ref), value + 1),
    ({ ref, value }) => add("slowIncrement", slowIncrement.remote(ref), value + 1),
    ({ ref, value }) => { const depth = 1 + random(4); add("nested", nested.remote(depth, ref), value + depth); },
    ({ ref, value }) => add("openBox", openBox.remote({ ref } as never), value + 1),
    ({ ref, value }) => add("add", pick(actors).add.remote(ref), value + 1),
    ({ ref, value }) => add("callActor", callActor.remote(pick(actors) as never, ref), value + 1),
    ({ ref, value }) => add("relay", (actors[0] as Handle).relay.remote(actors.at(-1) as never, ref), value + 1),
    () => { const value = random(100); add("put", ray.put(value), value); },
    () => void thrown.push(throws.remote(random(100))),
    () => { if (actors.length < 4) actors.push(Accumulators.remote()); },
    () => { if (hasCrashes) crashes.push(crash.remote()); },
    () => { if (hasCrashes && random(4) === 0) crashes.push((actors.at(-1) as Handle).crash.remote()); },
  ];
  for (let step = 0; step < OPERATIONS_PER_PROGRAM; step++) {
    pick(operations)(pick(made));
    if (random(8) === 0) await ray.wait([pick(made).ref]);
  }

  for (const { ref, value, operation } of made) {
    const outcome = await ray.get(ref).then((got) => ({ got, error: null }), (error: unknown) => ({ got: null, error }));
    if (outcome.error === null) assert.equal(outcome.got, value, `seed ${seed}: ${operation}`);
    else if (!hasCrashes || !isFromCrash(outcome.error)) throw new Error(`seed ${seed}: ${operation} failed`, { cause: outcome.error });
  }
  for (const ref of thrown) await assert.rejects(ray.get(ref), (error: unknown) => (error instanceof ray.TaskError && error.cause instanceof RangeError) || (hasCrashes && isFromCrash(error)));
  for (const ref of crashes) await assert.rejects(ray.get(ref), isFromCrash);
  for (const actor of actors) await ray.kill(actor);
}

/** What a crash may do to others: to what ran beside it, to what it owned, and to those who awaited that. */
function isFromCrash(error: unknown): boolean {
  if (error instanceof ray.TaskError) return isFromCrash(error.cause);
  return error instanceof ray.WorkerCrashedError || error instanceof ray.ActorDiedError || error instanceof ray.OwnerDiedError;
}

underBothIsolations("random programs", {}, () => {
  for (const seed of SEEDS_WITHOUT_CRASHES) {
    it(`give what they must (seed ${seed})`, async () => {
      await runProgram(seed, false);
      await everythingFree();
    });
  }
  for (const seed of SEEDS_WITH_CRASHES) {
    it(`give what they must, or say what crashed (seed ${seed})`, async () => {
      await runProgram(seed, true);
      await everythingFree();
    });
  }
});
