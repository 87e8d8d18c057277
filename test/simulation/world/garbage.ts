import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { FinalizerRegistry } from "../../../src/base/mod.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const RealWeakRef = WeakRef;

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

  /** In a turn of its own. Returns what is to be called because of it, in the order in which it was registered. */
  collect(): (() => void)[] {
    for (const reference of this.#references) reference.letGo();
    collect();
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
