import { TaskCancelledError, TaskTimeoutError, type ActorId, type WorkerId } from "../base/mod.ts";
import type { ActorInstance } from "./actor-instance.ts";
import type { Execution } from "./execution.ts";
import type { HeldLease } from "./held-lease.ts";
import type { RunScope } from "./run-scope.ts";

export interface RunStopperEnvironment {
  readonly workerId: WorkerId;
  readonly running: ReadonlySet<Execution>;
  leases(): Iterable<HeldLease<Execution>>;
  actor(actorId: ActorId): ActorInstance | undefined;
  /** Answers a task or call that has not been started, and will not be. */
  refuse(execution: Execution): void;
  /** Tasks were taken out of its queue. */
  queueChanged(lease: HeldLease<Execution>): void;
  /** Its generator goes no further. */
  closeStream(execution: Execution): void;
  /** Cancels what these runs have submitted. */
  cancelChildren(scopes: ReadonlySet<RunScope>): void;
}

/** Stops tasks and calls that this worker runs, or has in its queues, for owners that do not want them any more. */
export class RunStopper {
  readonly #env: RunStopperEnvironment;

  constructor(environment: RunStopperEnvironment) {
    this.#env = environment;
  }

  /** Of one owner: tasks, or calls of this actor. Those that have ended meanwhile are not found. */
  stop(ownerId: WorkerId, actorId: ActorId | null, taskSequences: readonly number[], isRecursive: boolean): void {
    const wanted = new Set(taskSequences);
    const isMeant = (execution: Execution): boolean => wanted.has(execution.sequence) && execution.peer.workerId === ownerId;
    if (actorId !== null) for (const call of this.#env.actor(actorId)?.removeWaiting(isMeant) ?? []) this.#env.refuse(call);
    else this.#refuseQueued(ownerId, isMeant);
    this.#stopRunning((execution) => (execution.actor?.actorId ?? null) === actorId && isMeant(execution), isRecursive, (execution) => new TaskCancelledError(`${execution.name}() was cancelled while it was running`));
  }

  #refuseQueued(ownerId: WorkerId, isMeant: (execution: Execution) => boolean): void {
    for (const lease of [...this.#env.leases()]) {
      if (lease.ownerId !== ownerId) continue;
      const refused = lease.queue.removeWhere(isMeant);
      for (const execution of refused) this.#env.refuse(execution);
      if (refused.length > 0) this.#env.queueChanged(lease);
    }
  }

  /** One that has a time limit: it has run for longer. */
  timedOut(ownerId: WorkerId, taskSequence: number): void {
    this.#stopRunning((execution) => execution.sequence === taskSequence && execution.peer.workerId === ownerId, true, (execution) => new TaskTimeoutError(`${execution.name}() ran for longer than its timeoutMs of ${execution.ownScope.timeoutMs} ms (worker ${this.#env.workerId})`));
  }

  /** Nobody waits for its tasks any more. Calls of actors run to their end: they may have been made for what they change. */
  ownerLost(ownerId: WorkerId): void {
    this.#stopRunning((execution) => execution.lease !== null && execution.peer.workerId === ownerId, true, (execution) => new TaskCancelledError(`${execution.name}() was cancelled: the worker that had submitted it has ended`));
  }

  #stopRunning(isMeant: (execution: Execution) => boolean, isRecursive: boolean, reasonFor: (execution: Execution) => Error): void {
    const scopes = new Set<RunScope>();
    for (const execution of [...this.#env.running]) {
      if (!isMeant(execution)) continue;
      if (execution.stream !== null) this.#env.closeStream(execution);
      if (execution.ownScope.cancel(reasonFor(execution))) scopes.add(execution.ownScope);
    }
    if (isRecursive) this.#env.cancelChildren(scopes);
  }
}
