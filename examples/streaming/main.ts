/**
 * Weather stations that send one reading after the other.
 *
 * It teaches how a generator function becomes a task, or a method, whose values can be used while it goes on: how
 * `generatorBackpressure` keeps a quick producer from filling the memory of a slow consumer, how `break` ends a
 * generator that would go on for ever, how `wait` takes turns between several streams, and where errors come out.
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const AHEAD_MAX = 2;

interface Reading {
  readonly station: string;
  readonly day: number;
  readonly celsius: number;
}

/** Counts what the stations have made; an actor, because they run elsewhere. */
class Meter {
  readonly #made = new Map<string, number>();
  made(station: string): void {
    this.#made.set(station, (this.#made.get(station) ?? 0) + 1);
  }
  total(station: string): number {
    return this.#made.get(station) ?? 0;
  }
}

/** Never ends by itself: whoever has enough stops asking. */
const station = ray.remote(async function* (name: string, meter: ray.ActorHandle<Meter>): AsyncGenerator<Reading> {
  for (let day = 0; ; day++) {
    await ray.get(meter.made.remote(name));
    yield { station: name, day, celsius: Math.round(10 + 8 * Math.sin(day * 2 + name.length)) };
  }
}, { generatorBackpressure: AHEAD_MAX });

const isWarm = ray.remote((reading: Reading) => reading.celsius > 10);

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });
const meter = ray.remote(Meter).remote();

// A ref of a stream is a ref like any other: it goes to the next task without a detour over this program.
const warmDays: number[] = [];
for await (const reading of station.remote("lonely", meter)) {
  if (await ray.get(isWarm.remote(reading))) warmDays.push((await ray.get(reading)).day);
  if (warmDays.length === 3) break;
}
const daysMax = warmDays.at(-1)! + 1 + AHEAD_MAX;
console.log(`warm days: ${warmDays.join(", ")}; nobody asked for more, and at most ${daysMax} days were made: ${(await ray.get(meter.total.remote("lonely"))) <= daysMax}`);

// Several streams: one that has something is asked next. None runs further ahead than it may.
const streams = new Map([["north", station.remote("north", meter)], ["south", station.remote("south", meter)]]);
const taken = new Map([["north", 0], ["south", 0]]);
let furthestAhead = 0;
while (streams.size > 0) {
  const [[ready]] = await ray.wait([...streams.values()]);
  const { value } = await ready!.next();
  const { station: name } = await ray.get(value as ray.ObjectRef<Reading>);
  taken.set(name, taken.get(name)! + 1);
  furthestAhead = Math.max(furthestAhead, (await ray.get(meter.total.remote(name))) - taken.get(name)!);
  if (taken.get(name) === 5) {
    await ready!.return?.();
    streams.delete(name);
  }
}
console.log(`north: ${taken.get("north")} readings, south: ${taken.get("south")}, never more than ${AHEAD_MAX} of one that nobody had taken: ${furthestAhead <= AHEAD_MAX}`);

// Methods stream as well. What was yielded before an error arrives; the error is the last ref's.
class Archive {
  *days(): Generator<number> {
    yield 0;
    yield 1;
    yield 2;
    throw new Error("the tape is torn");
  }
}
let complete = -1;
try {
  for await (const day of ray.remote(Archive).remote().days.remote()) complete = await ray.get(day);
} catch (error) {
  console.log(`the archive is complete up to day ${complete}, then: ${((error as ray.TaskError).cause as Error).message}`);
}

await ray.shutdown();
