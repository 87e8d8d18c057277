import type { PrivateInstances } from "./graph-format.ts";

/** Read by the code that class-edits.ts adds to constructors and field initializers. */
export const rebuilding = { on: false };

const classes = new WeakMap<Function, PrivateInstances>();

export function notePrivateInstances(type: Function, how: PrivateInstances): void {
  classes.set(type, how);
}

/** The classes with #private members that an object with this prototype belongs to, base classes first. */
export function privateChain(prototype: object | null): Function[] {
  const chain: Function[] = [];
  for (let current = prototype; current !== null; current = Object.getPrototypeOf(current) as object | null) {
    const constructor: unknown = Object.getOwnPropertyDescriptor(current, "constructor")?.value;
    if (typeof constructor === "function" && classes.has(constructor)) chain.unshift(constructor);
  }
  return chain;
}

/** An object with the private members of its classes, all undefined, and nothing else: no constructor has run. */
export function makePrivateInstance(chain: readonly Function[], prototype: object, makeNative: () => object): object {
  rebuilding.on = true;
  try {
    const [first, ...rest] = chain as [Function, ...Function[]];
    let object: object;
    if (classes.get(first)?.isDerived === true) {
      object = makeNative();
      Object.setPrototypeOf(object, prototype);
      addPrivateMembers(first, object);
    } else {
      const target = function (): void {};
      target.prototype = prototype;
      object = Reflect.construct(first, argumentsFor(first), target) as object;
    }
    for (const type of rest) addPrivateMembers(type, object);
    // Public fields were defined on the way.
    for (const key of Reflect.ownKeys(object)) Reflect.deleteProperty(object, key);
    return object;
  } finally {
    rebuilding.on = false;
  }
}

/** A derived class adds its members to whatever its parent's constructor returns: for once, to an object that exists. */
function addPrivateMembers(type: Function, object: object): void {
  const parent = Object.getPrototypeOf(type) as object;
  Object.setPrototypeOf(type, function (): object {
    return object;
  });
  try {
    Reflect.construct(type, argumentsFor(type));
  } finally {
    Object.setPrototypeOf(type, parent);
  }
}

/** Parameters may be taken apart before the body begins: these arguments stand any pattern. */
function argumentsFor(type: Function): unknown[] {
  return Array.from({ length: classes.get(type)?.constructorParameterCount ?? 0 }, () => ANYTHING);
}

const ANYTHING: unknown = new Proxy(function (): void {}, {
  get: (_target, key) => {
    if (key !== Symbol.iterator) return ANYTHING;
    return () => ({ next: () => ({ value: ANYTHING, done: false }), return: () => ({ value: undefined, done: true }) });
  },
  apply: () => ANYTHING,
  construct: () => ANYTHING as object,
  ownKeys: () => ["prototype"],
});
