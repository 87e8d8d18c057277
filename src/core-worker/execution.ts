import type { SystemErrorRecord } from "../base/mod.ts";
import type { ActorSpec, EncodedValueRecord } from "../protocol/mod.ts";
import type { HeldLease } from "./held-lease.ts";
import type { Peer } from "./peer.ts";
import type { IncomingCallable } from "./incoming-callable.ts";
import { RunScope } from "./run-scope.ts";
import type { StreamProducer } from "./stream-producer.ts";

/** An argument that must be decoded before the call. */
export class EncodedInput {
  readonly value: EncodedValueRecord;
  constructor(value: EncodedValueRecord) {
    this.value = value;
  }
}

/** What a call needs of the actor that it is for. */
export interface ExecutingActor {
  readonly spec: ActorSpec;
  readonly actorId: string;
  /** What calls get that arrive after its end, while its worker is still there. */
  readonly end: SystemErrorRecord | null;
  /** After its end: it may start again, here or elsewhere. */
  readonly mayRestart: boolean;
  readonly isMoving: boolean;
  call(method: string, args: unknown[]): unknown;
  enqueue(execution: Execution): void;
  runAgain(execution: Execution): void;
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
  readonly lease: HeldLease<Execution> | null;
  /** For actor calls. */
  readonly actor: ExecutingActor | null;
  /** Gets of this task that wait right now. */
  blockedCount = 0;
  blockedSinceMs = 0;
  /** Time spent waiting so far. */
  blockedMs = 0;
  /** Of one that goes on beyond its first turn: since when. -1 once its result has taken that into the measure of its worker. */
  busyFromMs = 0;
  /** Confirmations that owners of refs in the arguments must give before the reply may go. */
  borrowing: Promise<void> | null = null;
  /** Of a streaming call: how far its generator may go. */
  stream: StreamProducer | null = null;
  /** Of a call: if it throws, it keeps its turn until its owner has said whether it runs again. */
  mayRunAgain = false;
  /** It runs again, in the turn that it kept. */
  isRetry = false;
  /** It threw, and keeps it. */
  keepsTurn = false;
  /** It did not run, for an argument of it is lost. */
  awaitsArgument = false;
  /** It was answered already: its actor ended while it ran. What comes of it is dropped. */
  isAbandoned = false;
  /** How it can be told to stop; null until that is asked for. */
  scope: RunScope | null = null;

  constructor(peer: Peer, slot: number, sequence: number, callable: IncomingCallable, displayName: string | null, returns: number, args: unknown[], lease: HeldLease<Execution> | null, actor: ExecutingActor | null) {
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
  /** The confirmations that are still to be waited for, once. */
  takeBorrowing(): Promise<void> | null {
    const { borrowing } = this;
    this.borrowing = null;
    return borrowing;
  }

  /** Of one whose result is written after its first turn: that may be sent before anybody sees that it has ended. Of others nothing, which is measured at their end. */
  takeBusyUs(): number {
    if (this.busyFromMs <= 0) return 0;
    const busyMs = performance.now() - this.busyFromMs - this.blockedMs;
    this.busyFromMs = -1;
    return busyMs * 1000;
  }

  get ownScope(): RunScope {
    return (this.scope ??= new RunScope());
  }
  /** Nobody wants its outcome any more. */
  get isCancelled(): boolean {
    return this.scope !== null && this.scope.isCancelled;
  }
}
