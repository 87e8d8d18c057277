import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { FinalizerRegistry } from "../../../src/base/mod.ts";

setFlagsFromString("--expose-gc");
const collectAll = runInNewContext("gc") as () => void;
const RealWeakRef = WeakRef;
const realTurn = setImmediate;

interface Registration {
  readonly target: WeakRef<object>;
  readonly collected: () => void;
}

/**
 * JavaScript's garbage collection at moments of the world's choice: between them nothing is collected as far as anybody can see, and
 * at them everything that nothing leads to.
 */
export class Garbage implements FinalizerRegistry {
  readonly #references = new Set<HeldWeakRef<object>>();
  readonly #registrations = new Set<Registration>();
  readonly #byToken = new WeakMap<object, Registration>();

  register(target: object, collected: () => void, token?: object): void {
    const registration: Registration = { target: new RealWeakRef(target), collected };
    this.#registrations.add(registration);
    if (token !== undefined) this.#byToken.set(token, registration);
  }

  unregister(token: object): boolean {
    const registration = this.#byToken.get(token);
    return registration !== undefined && this.#byToken.delete(token) && this.#registrations.delete(registration);
  }

  refer(reference: HeldWeakRef<object>): void {
    this.#references.add(reference);
  }

  letGo(): void {
    for (const reference of this.#references) reference.letGo();
  }

  /** Once garbage was collected. Returns what is to be called because of it, in the order in which it was registered. */
  holdAgain(): (() => void)[] {
    for (const reference of this.#references) if (!reference.holdAgain()) this.#references.delete(reference);
    const collected: (() => void)[] = [];
    for (const registration of this.#registrations) {
      if (registration.target.deref() !== undefined) continue;
      this.#registrations.delete(registration);
      collected.push(registration.collected);
    }
    return collected;
  }
}

/** A WeakRef that holds on until the world collects garbage. */
export class HeldWeakRef<T extends object> {
  #held: T | undefined;
  readonly #weak: WeakRef<T>;

  constructor(target: T) {
    this.#held = target;
    this.#weak = new RealWeakRef(target);
  }

  deref(): T | undefined {
    return this.#held;
  }

  letGo(): void {
    this.#held = undefined;
  }

  holdAgain(): boolean {
    this.#held = this.#weak.deref();
    return this.#held !== undefined;
  }
}

/**
 * Garbage collection for several worlds of one thread: it costs as much as most of a run does, so they wait for each other and have
 * it together.
 */
export class GarbageCollector {
  #worlds = 0;
  #waiting: { readonly garbage: Garbage; readonly resolve: (collected: readonly (() => void)[]) => void }[] = [];

  /** One more world, of which the others wait to hear. */
  join(): void {
    this.#worlds++;
  }

  leave(): void {
    this.#worlds--;
    this.#collectIfAllWait();
  }

  /** Returns what is to be called because of it. */
  collect(garbage: Garbage): Promise<readonly (() => void)[]> {
    return new Promise((resolve) => {
      this.#waiting.push({ garbage, resolve });
      this.#collectIfAllWait();
    });
  }

  #collectIfAllWait(): void {
    if (this.#waiting.length === 0 || this.#waiting.length < this.#worlds) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    // In a turn of its own: until a turn ends, it holds whatever weak references were read in it.
    realTurn(() => {
      for (const { garbage } of waiting) garbage.letGo();
      collectAll();
      for (const { garbage, resolve } of waiting) resolve(garbage.holdAgain());
    });
  }
}
