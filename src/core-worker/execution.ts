import type { ActorId } from "../base/mod.ts";
import type { EncodedValueRecord } from "../protocol/mod.ts";
import type { FrameWriter } from "../transport/mod.ts";
import type { HeldLease } from "./held-lease.ts";
import type { Peer } from "./peer.ts";
import type { ActorInstance } from "./actor-instance.ts";

/** A callable that a peer has bound to a number, as the executing side keeps it. */
export type IncomingCallable = IncomingFunction | IncomingMethod;

export class IncomingFunction {
  readonly kind = "function";
  readonly unitId: string;
  readonly name: string;
  /** Set once its code is loaded. */
  fn: ((...args: unknown[]) => unknown) | null = null;
  /** Whether calls of it were seen to return promises; then its context must survive awaits. */
  isAsync = true;

  constructor(unitId: string, name: string) {
    this.unitId = unitId;
    this.name = name;
  }
}

export class IncomingMethod {
  readonly kind = "method";
  readonly actorId: ActorId;
  readonly method: string;
  readonly name: string;
  isAsync = true;

  constructor(actorId: ActorId, method: string, className: string) {
    this.actorId = actorId;
    this.method = method;
    this.name = `${className}.${method}`;
  }
}

/** An argument that must be decoded before the call. */
export class EncodedInput {
  readonly value: EncodedValueRecord;
  constructor(value: EncodedValueRecord) {
    this.value = value;
  }
}

/** One task or call while this worker has it; also the context that user code runs in. */
export class Execution {
  readonly peer: Peer;
  readonly slot: number;
  readonly sequence: number;
  readonly callable: IncomingCallable;
  readonly displayName: string | null;
  readonly returns: number;
  readonly args: unknown[];
  /** For tasks. */
  readonly lease: HeldLease | null;
  /** For actor calls. */
  readonly actor: ActorInstance | null;
  /** Gets of this task that wait right now. */
  blockedCount = 0;
  blockedSinceMs = 0;
  /** Time spent waiting so far. */
  blockedMs = 0;
  /** Confirmations that owners of refs in the arguments must give before the reply may go. */
  borrowing: Promise<void> | null = null;
  #abort: AbortController | null = null;

  constructor(peer: Peer, slot: number, sequence: number, callable: IncomingCallable, displayName: string | null, returns: number, args: unknown[], lease: HeldLease | null, actor: ActorInstance | null) {
    this.peer = peer;
    this.slot = slot;
    this.sequence = sequence;
    this.callable = callable;
    this.displayName = displayName;
    this.returns = returns;
    this.args = args;
    this.lease = lease;
    this.actor = actor;
  }

  get name(): string {
    return this.displayName ?? this.callable.name;
  }
  get signal(): AbortSignal {
    return (this.#abort ??= new AbortController()).signal;
  }
}

/** Results on their way to one owner, gathered into one frame. */
export interface ResultWriter {
  readonly writer: FrameWriter;
  count: number;
  /** Run time of the results so far, for the owner's estimates. */
  busyUs: number;
}
