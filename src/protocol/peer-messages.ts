import type { ActorDiedRecord, ActorId, ObjectId, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { ModuleAnswer, ModuleQuestion } from "./module-messages.ts";
import type { PrimaryRecord } from "./store-messages.ts";
import type { CodeUnitRecord, EncodedValueRecord, TaskErrorRecord } from "./values.ts";

/**
 * Frames between two core workers. The first byte says what follows. Tasks and results are the hot path and have a
 * binary layout (see core-worker's task-wire.ts); everything else is a `PeerMessage` (clients/message-codec.ts).
 */
export const FRAME_TASKS = 1;
export const FRAME_RESULTS = 2;
export const FRAME_MESSAGE = 3;
/** What connections over the network say to each other, so that nothing is lost with one of them (transport/lasting-channel.ts). */
export const FRAME_CONNECTION = 255;

/** Sent tasks of one channel and direction that can be taken back; the size of the table of claims that both threads share. */
export const TASK_SLOTS_MAX = 8192;

export type PeerMessage =
  | { readonly type: "code"; readonly units: readonly CodeUnitRecord[] }
  /** Gives a callable a small number for use in task frames of this direction of this channel. */
  | { readonly type: "bind"; readonly callable: number; readonly target: CallableTarget }
  /** To the program whose code refers to modules that are not there: what they are. */
  | { readonly type: "askModules"; readonly requestId: number; readonly question: ModuleQuestion }
  | { readonly type: "modulesAnswered"; readonly requestId: number; readonly answer: ModuleAnswer | null; readonly error: SystemErrorRecord | null }
  /** `lost`: a copy of it that is not there any more; the answer is another one, or why there is none. */
  | { readonly type: "fetch"; readonly requestId: number; readonly objectId: ObjectId; readonly lost: PrimaryRecord | null }
  | { readonly type: "fetched"; readonly requestId: number; readonly outcome: ObjectOutcome; readonly transit: number }
  | { readonly type: "addBorrower"; readonly ids: readonly string[]; readonly ackId: number }
  | { readonly type: "borrowerAdded"; readonly ackId: number }
  | { readonly type: "removeBorrower"; readonly ids: readonly string[] }
  | { readonly type: "releaseTransit"; readonly transits: readonly number[] }
  /** To the worker that runs a streaming task or call of ours: how many of its values were consumed since its beginning. */
  | { readonly type: "streamConsumed"; readonly taskSequence: number; readonly count: number }
  /** To the same: nobody wants its values any more. */
  | { readonly type: "streamClosed"; readonly taskSequence: number }
  /** To the worker that keeps the turn of a call of ours which threw: it does not run again. */
  | { readonly type: "turnGivenUp"; readonly actorId: ActorId; readonly taskSequence: number }
  /** From a worker that is about to end, after its last results: what it has not answered has not run. */
  | { readonly type: "leaving" }
  /** To the worker that has these tasks, or calls of this actor, of ours: nobody wants their outcome any more. */
  | { readonly type: "stopRuns"; readonly actorId: ActorId | null; readonly taskSequences: readonly number[]; readonly isRecursive: boolean }
  /** To the owner of an object: cancel the task that makes it. */
  | { readonly type: "cancel"; readonly requestId: number; readonly objectId: ObjectId; readonly isForced: boolean; readonly isRecursive: boolean }
  /** The answer. `error`: why the request was wrong in itself. */
  | { readonly type: "cancelled"; readonly requestId: number; readonly error: string | null }
  /** To the worker that has this lease of ours: the tasks that it has not begun are answered as rejected, for others to run. */
  | { readonly type: "returnQueued"; readonly leaseId: number }
  | { readonly type: "closeLease"; readonly leaseId: number }
  | { readonly type: "leaseClosed"; readonly leaseId: number };

export type CallableTarget =
  | { readonly kind: "function"; readonly unitId: string; readonly name: string; readonly maxCalls: number }
  | { readonly kind: "method"; readonly actorId: ActorId; readonly method: string; readonly group: string | null }
  /** Of any actor of the class; each call says which. */
  | { readonly kind: "sharedMethod"; readonly className: string; readonly method: string; readonly group: string | null };

/** How an object ended up: a value, what its task threw, or an error of the runtime. */
export type ObjectOutcome =
  | { readonly kind: "value"; readonly value: EncodedValueRecord }
  | { readonly kind: "taskError"; readonly error: TaskErrorRecord }
  | { readonly kind: "systemError"; readonly error: SystemErrorRecord }
  | { readonly kind: "creationError"; readonly error: ActorDiedRecord; readonly creation: TaskErrorRecord };

export type { WorkerId };
