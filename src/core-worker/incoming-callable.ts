import type { ActorId } from "../base/mod.ts";

/** A callable that a peer has bound to a number, as the executing side keeps it. */
export type IncomingCallable = IncomingFunction | IncomingMethod;

export class IncomingFunction {
  readonly kind = "function";
  readonly unitId: string;
  readonly name: string;
  /** This worker ends after so many of its calls; 0 without limit. */
  readonly maxCalls: number;
  /** Set once its code is loaded. */
  fn: ((...args: unknown[]) => unknown) | null = null;
  /** Whether calls of it were seen to return promises; then its context must survive awaits. */
  isAsync = true;

  constructor(unitId: string, name: string, maxCalls: number) {
    this.unitId = unitId;
    this.name = name;
    this.maxCalls = maxCalls;
  }
}

export class IncomingMethod {
  readonly kind = "method";
  /** Null where each call says which actor it is for. */
  readonly actorId: ActorId | null;
  readonly method: string;
  /** Concurrency group. */
  readonly group: string | null;
  readonly name: string;
  isAsync = true;

  constructor(actorId: ActorId | null, method: string, className: string, group: string | null) {
    this.group = group;
    this.actorId = actorId;
    this.method = method;
    this.name = `${className}.${method}`;
  }
}
