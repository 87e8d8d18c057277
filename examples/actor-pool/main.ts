/**
 * A pool of actors, made by hand.
 *
 * It teaches how few lines `wait` needs for it: every idle actor gets the next piece of work, and whichever
 * finishes first gets another. Pieces of very unequal size keep all actors busy. (`ray.ActorPool` is this, ready made.)
 */
import { parseArgs } from "node:util";
import * as ray from "mantaray";

const ACTORS = 3;
const LIMIT = 1_000_000;
const PIECES = 25;

interface Range {
  readonly from: number;
  readonly before: number;
}

class PrimeCounter {
  #ranges = 0;

  count({ from, before }: Range): number {
    this.#ranges++;
    let primes = 0;
    for (let candidate = Math.max(2, from); candidate < before; candidate++) {
      if (this.#isPrime(candidate)) primes++;
    }
    return primes;
  }

  rangesCounted(): number {
    return this.#ranges;
  }

  #isPrime(candidate: number): boolean {
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) {
      if (candidate % divisor === 0) return false;
    }
    return true;
  }
}

type Counter = ray.ActorHandle<PrimeCounter>;

/** Gives each piece of work to the next idle actor; yields results in the order in which they finish. */
async function* mapOverPool<T, R>(
  actors: readonly Counter[],
  work: Iterable<T>,
  call: (actor: Counter, piece: T) => ray.ObjectRef<R>,
): AsyncGenerator<R> {
  const idle = [...actors];
  const busy = new Map<ray.ObjectRef<R>, Counter>();
  const pieces = work[Symbol.iterator]();
  let piece = pieces.next();
  while (!piece.done || busy.size > 0) {
    while (!piece.done && idle.length > 0) {
      const actor = idle.pop()!;
      busy.set(call(actor, piece.value), actor);
      piece = pieces.next();
    }
    const [[ready]] = await ray.wait([...busy.keys()]);
    idle.push(busy.get(ready!)!);
    busy.delete(ready!);
    yield ray.get(ready!);
  }
}

const { values } = parseArgs({ options: { isolation: { type: "string" } } });
await ray.init({ isolation: values.isolation as ray.Isolation | undefined });

const Actor = ray.remote(PrimeCounter);
const actors = Array.from({ length: ACTORS }, () => Actor.remote());
await ray.get(actors.map((actor) => actor.ready()));

const ranges = Array.from({ length: PIECES }, (_, piece): Range => ({
  from: (piece * LIMIT) / PIECES,
  before: ((piece + 1) * LIMIT) / PIECES,
}));

let primes = 0;
let results = 0;
for await (const count of mapOverPool(actors, ranges, (actor, range) => actor.count.remote(range))) {
  primes += count;
  results++;
}
console.log(`${primes} primes below ${LIMIT}, from ${results} pieces`);

const shares = await ray.get(actors.map((actor) => actor.rangesCounted.remote()));
console.log(`every one of ${ACTORS} actors had work: ${shares.every((count) => count > 0)}`);

await ray.shutdown();
