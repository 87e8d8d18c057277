/** Getter and setter of each #private field of a class. */
export type PrivateAccess = Readonly<Record<string, readonly [get: PrivateGetter, set: PrivateSetter]>>;
type PrivateGetter = (object: object) => unknown;
type PrivateSetter = (object: object, value: unknown) => void;

const accessByClass = new WeakMap<Function, PrivateAccess>();

/** Called by hydrated classes while they are defined: only code inside a class reaches its private fields. */
export function registerPrivateAccess(type: Function, access: PrivateAccess): void {
  accessByClass.set(type, access);
}

/** Undefined for classes that were not hydrated here. */
export function privateAccessOf(type: Function): PrivateAccess | undefined {
  return accessByClass.get(type);
}
