import type { FunctionRecord, ModuleGroup } from "../graph/graph-format.ts";

/** How a function was hydrated here, so that it can travel on as it came instead of as the code made of it. */
export interface HydratedFunction {
  readonly record: FunctionRecord;
  readonly group: ModuleGroup;
  readonly capturedThis: unknown;
  readonly capturedArguments: readonly unknown[];
  /** What a method's `super` starts from. */
  readonly home: object | undefined;
}

const hydrated = new WeakMap<Function, HydratedFunction>();

export function noteHydratedFunction(fn: Function, how: HydratedFunction): void {
  hydrated.set(fn, how);
}

export function hydratedFunction(fn: Function): HydratedFunction | undefined {
  return hydrated.get(fn);
}
