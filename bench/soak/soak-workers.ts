/** What runs in workers. */
import * as ray from "mantaray";
import { checkValue, makeValue } from "./soak-values.ts";
import type { SoakValue } from "./soak-values.ts";

export type ValueRef = ray.ObjectRef<SoakValue>;
/** In a list, the ref itself arrives, and not its value. */
type Boxed = readonly [ValueRef];

export const produce = ray.remote((seed: number, byteLength: number) => makeValue(seed, byteLength));

export const checkArgument = ray.remote((value: SoakValue, seed: number, byteLength: number) => {
  checkValue(value, seed, byteLength, "as an argument");
});

export const checkBoxed = ray.remote(async ([ref]: Boxed, seed: number, byteLength: number) => {
  checkValue(await ray.get(ref), seed, byteLength, "in a task, through a ref");
});

/** Passes it on to a task of its own, and does not wait with its own refs. */
export const passOn = ray.remote(async ([ref]: Boxed, seed: number, byteLength: number) => {
  const checks = [checkArgument.remote(ref, seed, byteLength), checkBoxed.remote([ref], seed, byteLength)];
  ref.release();
  await ray.get(checks);
});

/** Ends its worker with a view in use, an object of its own, and one that is only made. */
export const crash = ray.remote(async ([ref]: Boxed, seed: number, byteLength: number): Promise<void> => {
  const value = await ray.get(ref);
  ray.put(makeValue(seed, byteLength));
  checkValue(value, seed, byteLength, "before a crash");
  process.exit(1);
}, { maxRetries: 0 });

/** Holds refs and views in its state, and owns objects. */
export class Keeper {
  readonly #refs = new Map<number, ValueRef>();
  readonly #views = new Map<number, SoakValue>();

  /** The object lives as long as this actor, or as somebody has the ref. */
  make(seed: number, byteLength: number): Boxed {
    return [ray.put(makeValue(seed, byteLength))];
  }

  keep(seed: number, [ref]: Boxed): void {
    this.#refs.set(seed, ref);
  }

  async look(seed: number, byteLength: number): Promise<void> {
    const value = await ray.get(this.#refs.get(seed) as ValueRef);
    checkValue(value, seed, byteLength, "in an actor");
    this.#views.set(seed, value);
  }

  forget(seed: number, byteLength: number, releases: boolean): void {
    const view = this.#views.get(seed);
    if (view !== undefined) checkValue(view, seed, byteLength, "a view in an actor");
    this.#views.delete(seed);
    if (releases) this.#refs.get(seed)?.release();
    this.#refs.delete(seed);
  }
}
