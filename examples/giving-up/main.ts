/**
 * Locksmiths who try to open a safe, and know when to stop.
 *
 * It teaches the ways to end work that nobody needs any more: `cancel` for those who lost a race, with the tasks that they have
 * submitted; an AbortSignal for many calls at once; `timeoutMs` for work that might never end, in a task and in an actor. And it
 * shows the other side: how running code notices, and what it can still do then.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const COMBINATION = 471_108;
const TRIES_PER_TURN = 1_000;

/** Knows who is at work. An actor, because the locksmiths are elsewhere. */
class Gatekeeper {
  readonly #inside = new Set<string>();
  #onChange: (() => void)[] = [];

  enter(who: string): void {
    this.#inside.add(who);
    this.#changed();
  }
  /** Nothing for somebody who was stopped on the way in. */
  leave(who: string): void {
    this.#inside.delete(who);
    this.#changed();
  }
  #changed(): void {
    for (const resolve of this.#onChange.splice(0)) resolve();
  }

  /** Async, so that other calls go on meanwhile. */
  async until(people: number): Promise<number> {
    while (this.#inside.size !== people) await new Promise<void>((resolve) => this.#onChange.push(resolve));
    return people;
  }
}
type Gate = ray.ActorHandle<Gatekeeper>;

/** Goes on for ever where the combination is not to be found. */
const locksmith = ray.remote(async function locksmith(gate: Gate, first: number, step: number): Promise<number> {
  const { signal, taskId } = ray.getRuntimeContext();
  try {
    await ray.get(gate.enter.remote(taskId!));
    for (let tries = 0, tried = first; ; tries++, tried += step) {
      if (tried === COMBINATION) return tried;
      if (tries % TRIES_PER_TURN !== 0) continue;
      // Code that never lets others run cannot be told anything.
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
    }
  } finally {
    // Cleaning up works as usual: what the task awaits is rejected once, and that was it.
    await ray.get(gate.leave.remote(taskId!));
  }
}, { numCpus: 0 });

/** Has others do the work, and waits for all of them. */
const foreman = ray.remote(async (gate: Gate, helpers: number) => {
  await ray.get(Array.from({ length: helpers }, (_, helper) => locksmith.remote(gate, -1 - helper, -1)));
}, { numCpus: 0 });

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });
const gate = ray.remote(Gatekeeper).remote();

// A race. Whoever wins, the others are told to stop.
const racers = [locksmith.remote(gate, 0, 2), locksmith.remote(gate, 1, 2), locksmith.remote(gate, -1, -1)];
const [[winner], losers] = await ray.wait(racers);
console.log(`the safe opens with ${await ray.get(winner!)}`);
await Promise.all(losers.map((ref) => ray.cancel(ref)));
for (const ref of losers) await ref.get().catch((error: Error) => console.log(`${error.name}: ${error.message}`));
console.log(`at work after the race: ${await ray.get(gate.until.remote(0))}`);

// Whoever cancels a task cancels what it has submitted.
const order = foreman.remote(gate, 3);
console.log(`at work for the foreman: ${await ray.get(gate.until.remote(3))}`);
await ray.cancel(order);
console.log(`after he was called off: ${await ray.get(gate.until.remote(0))}`);

// One signal for any number of calls: here those that have begun, and one that has not.
const closingTime = new AbortController();
const untilThen = locksmith.options({ signal: closingTime.signal });
const shift = [untilThen.remote(gate, -1, -1), untilThen.remote(gate, -2, -1)];
await ray.get(gate.until.remote(2));
closingTime.abort();
shift.push(untilThen.remote(gate, 0, 1));
const outcomes = await Promise.allSettled(shift.map((ref) => ray.get(ref)));
console.log(`after closing time: ${outcomes.map((outcome) => (outcome.status === "rejected" ? (outcome.reason as Error).name : "opened")).join(", ")}`);

// A limit for each run. It holds for an endless loop, too: the task's worker is ended then, and the next task gets another.
const stubborn = ray.remote(function stubborn(): never {
  for (;;);
}, { timeoutMs: 100 });
await stubborn.remote().get().catch((error: Error) => console.log(`${error.name}: ${error.message}`));

// An actor goes on with its next call when one has taken too long.
class Apprentice {
  #opened = 0;
  async open(isHopeless: boolean): Promise<number> {
    if (isHopeless) await new Promise((resolve) => ray.getRuntimeContext().signal.addEventListener("abort", resolve));
    else this.#opened++;
    return this.#opened;
  }
}
const apprentice = ray.remote(Apprentice).remote();
const calls = [apprentice.open.remote(false), apprentice.open.options({ timeoutMs: 100 }).remote(true), apprentice.open.remote(false)];
const attempts = await Promise.allSettled(calls.map((call) => ray.get(call)));
console.log(`the apprentice: ${attempts.map((attempt) => (attempt.status === "fulfilled" ? attempt.value : (attempt.reason as Error).name)).join(", ")}`);

await ray.shutdown();
