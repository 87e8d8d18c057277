import assert from "node:assert/strict";
import { it } from "node:test";
import * as ray from "mantaray";
import { everythingFree, underBothIsolations } from "../conformance/both-isolations.ts";

const OPERATIONS_PER_PROGRAM = 60;

/** What a program may do besides computing. */
interface Faults {
  /** Workers that end in the middle of tasks and calls. */
  readonly crashes: boolean;
  /** `cancel`, signals and time limits. */
  readonly cancels: boolean;
}
const SEEDS: readonly (readonly [faults: Faults, seeds: readonly number[]])[] = [
  [{ crashes: false, cancels: false }, [1, 2, 3]],
  [{ crashes: true, cancels: false }, [11, 12, 13]],
  [{ crashes: false, cancels: true }, [21, 22, 23]],
  [{ crashes: true, cancels: true }, [31, 32, 33]],
];
const TIME_LIMIT_MS = 20;
/** Of a processor: all that stay leave room for what the program waits for. */
const LITTLE = 0.05;

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
  async stay(): Promise<number> { return aborted(ray.getRuntimeContext().signal); }
  *count(from: number): Generator<number> { for (let value = from; ; value++) yield value; }
  crash(): number { process.exit(1); }
}
type Handle = ray.ActorHandle<Accumulator>;

/** Never resolves by itself. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason as Error);
    else signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

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
/** Never end unless they are told to. */
const stay = ray.remote(async (): Promise<number> => aborted(ray.getRuntimeContext().signal), { numCpus: LITTLE });
const stayTogether = ray.remote(async (children: number): Promise<number> => {
  await ray.get(Array.from({ length: children }, () => stay.remote()));
  return children;
}, { numCpus: LITTLE });
const spin = ray.remote((): number => { for (;;); }, { numCpus: 1 });
const count = ray.remote(async function* (from: number): AsyncGenerator<number> { for (let value = from; ; value++) yield value; }, { numCpus: 0.5, generatorBackpressure: 4 });

interface Expected {
  readonly ref: ray.ObjectRef<number>;
  readonly value: number;
  readonly operation: string;
  /** What it was made of: what ends that with an error ends it. */
  readonly source: Expected | null;
  isCancelled: boolean;
}
interface Doomed { readonly ref: ray.ObjectRef<unknown>; readonly operation: string; readonly isExpected: (error: unknown) => boolean }

async function runProgram(seed: number, faults: Faults): Promise<void> {
  const random = randomFrom(seed);
  const Accumulators = ray.remote(Accumulator);
  const actors: Handle[] = [Accumulators.remote(), Accumulators.remote()];
  const made: Expected[] = [{ ref: ray.put(0), value: 0, operation: "put", source: null, isCancelled: false }];
  const doomed: Doomed[] = [];
  const staying: { readonly ref: ray.ObjectRef<number>; readonly operation: string; readonly canBeForced: boolean }[] = [];
  const closing = new AbortController();
  const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
  const add = (operation: string, source: Expected | null, ref: unknown, value: number): void => void made.push({ ref: ref as ray.ObjectRef<number>, value, operation, source, isCancelled: false });
  const fails = (operation: string, ref: ray.ObjectRef<unknown>, isExpected: (error: unknown) => boolean): void => void doomed.push({ ref, operation, isExpected });
  /** In a program with crashes, whatever is running may end with one. */
  const orCrash = (isExpected: (error: unknown) => boolean) => (error: unknown): boolean => isExpected(error) || (faults.crashes && isFromCrash(error));

  const computing: ((source: Expected) => void | Promise<void>)[] = [
    (source) => add("increment", source, increment.options({ numCpus: pick([0, 0.5, 1, 2]) }).remote(source.ref), source.value + 1),
    (source) => add("slowIncrement", source, slowIncrement.remote(source.ref), source.value + 1),
    (source) => { const depth = 1 + random(4); add("nested", source, nested.remote(depth, source.ref), source.value + depth); },
    (source) => add("openBox", source, openBox.remote({ ref: source.ref } as never), source.value + 1),
    (source) => add("add", source, pick(actors).add.remote(source.ref), source.value + 1),
    (source) => add("callActor", source, callActor.remote(pick(actors) as never, source.ref), source.value + 1),
    (source) => add("relay", source, (actors[0] as Handle).relay.remote(actors.at(-1) as never, source.ref), source.value + 1),
    () => { const value = random(100); add("put", null, ray.put(value), value); },
    () => fails("throws", throws.remote(random(100)), orCrash((error) => error instanceof ray.TaskError && error.cause instanceof RangeError)),
    () => { if (actors.length < 4) actors.push(Accumulators.remote()); },
  ];
  const crashing: typeof computing = [
    () => fails("crash", crash.remote(), isFromCrash),
    () => { if (random(4) === 0) fails("crash of an actor", (actors.at(-1) as Handle).crash.remote(), isFromCrash); },
  ];
  const cancelling: typeof computing = [
    // Queued, running or finished: whatever it is by now.
    async (source) => {
      source.isCancelled ||= source.operation !== "put";
      const cancelled = ray.cancel(source.ref, { recursive: random(4) > 0 });
      if (random(2) === 0) await cancelled;
    },
    () => { if (staying.length < 3) staying.push({ ref: stay.remote(), operation: "stay", canBeForced: true }); },
    () => { if (staying.length < 3) staying.push({ ref: stayTogether.remote(1 + random(3)), operation: "stayTogether", canBeForced: true }); },
    () => { if (staying.length < 3) staying.push({ ref: pick(actors).stay.remote(), operation: "a call that stays", canBeForced: false }); },
    async () => {
      const last = staying.pop();
      if (last === undefined) return;
      fails(last.operation, last.ref, orCrash(isFromCancel));
      await ray.cancel(last.ref, { force: faults.crashes && last.canBeForced && random(2) === 0 });
    },
    () => fails("stay, by a signal", stay.options({ signal: closing.signal }).remote(), orCrash(isFromCancel)),
    () => fails("stay, by time", stay.options({ timeoutMs: TIME_LIMIT_MS }).remote(), orCrash(isFromTimeLimit)),
    () => fails("a call by time", pick(actors).stay.options({ timeoutMs: TIME_LIMIT_MS }).remote(), orCrash(isFromTimeLimit)),
    // By force in the end, which takes what runs beside it along.
    () => { if (faults.crashes && random(4) === 0) fails("spin, by time", spin.options({ timeoutMs: TIME_LIMIT_MS }).remote(), orCrash(isFromTimeLimit)); },
    async () => {
      const [from, wanted] = [random(100), random(6)];
      const stream = random(2) === 0 ? count.remote(from) : pick(actors).count.options({ generatorBackpressure: 4 }).remote(from);
      const values: number[] = [];
      const end = pick(["cancel", "break"]);
      try {
        for (let taken = 0; taken < wanted; taken++) values.push(await ray.get((await stream.next()).value as ray.ObjectRef<number>));
        await (end === "cancel" ? ray.cancel(stream) : stream.return?.());
        if (end === "cancel") await assert.rejects(drained(stream), orCrash(isFromCancel));
      } catch (error) {
        if (!faults.crashes || !isFromCrash(error)) throw new Error(`seed ${seed}: a stream failed`, { cause: error });
      }
      assert.deepEqual(values, values.map((_, index) => from + index), `seed ${seed}: values of a stream`);
    },
  ];
  const operations = [...computing, ...(faults.crashes ? crashing : []), ...(faults.cancels ? cancelling : [])];
  for (let step = 0; step < OPERATIONS_PER_PROGRAM; step++) {
    await pick(operations)(pick(made));
    // What may not end by itself is not waited for.
    if (random(8) === 0) await ray.wait([pick(made).ref], { timeoutMs: 50 });
  }
  for (const { ref, operation } of staying) {
    fails(operation, ref, orCrash(isFromCancel));
    await ray.cancel(ref);
  }
  closing.abort();

  for (const expected of made) {
    const { ref, value, operation } = expected;
    const outcome = await ray.get(ref).then((got) => ({ got, error: null }), (error: unknown) => ({ got: null, error }));
    if (outcome.error === null) assert.equal(outcome.got, value, `seed ${seed}: ${operation}`);
    else if (!(faults.crashes && isFromCrash(outcome.error)) && !(mayBeCancelled(expected) && isFromCancel(outcome.error))) throw new Error(`seed ${seed}: ${operation} failed`, { cause: outcome.error });
  }
  for (const { ref, operation, isExpected } of doomed) {
    const error: unknown = await ray.get(ref).then((got) => new Error(`gave ${String(got)}`), (thrown: unknown) => thrown);
    if (!isExpected(error)) throw new Error(`seed ${seed}: ${operation} ended otherwise`, { cause: error });
  }
  for (const actor of actors) await ray.kill(actor);
}

async function drained(stream: AsyncIterable<ray.ObjectRef<number>>): Promise<void> {
  for await (const ref of stream) await ray.get(ref);
}

function mayBeCancelled({ isCancelled, source }: Expected): boolean {
  return isCancelled || (source !== null && mayBeCancelled(source));
}

/** What a crash may do to others: to what ran beside it, to what it owned, and to those who awaited that. */
function isFromCrash(error: unknown): boolean {
  if (error instanceof ray.TaskError) return isFromCrash(error.cause);
  return error instanceof ray.WorkerCrashedError || error instanceof ray.ActorDiedError || error instanceof ray.OwnerDiedError;
}

function isFromCancel(error: unknown): boolean {
  return error instanceof ray.TaskError ? isFromCancel(error.cause) : error instanceof ray.TaskCancelledError;
}

function isFromTimeLimit(error: unknown): boolean {
  return error instanceof ray.TaskTimeoutError;
}

underBothIsolations("random programs", {}, () => {
  for (const [faults, seeds] of SEEDS) {
    const named = Object.entries(faults).filter(([, isThere]) => isThere).map(([name]) => name);
    for (const seed of seeds) {
      it(`give what they must${named.length === 0 ? "" : `, or say so, with ${named.join(" and ")}`} (seed ${seed})`, async () => {
        await runProgram(seed, faults);
        await everythingFree();
      });
    }
  }
});
