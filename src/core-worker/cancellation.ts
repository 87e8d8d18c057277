import { InvalidArgumentError, type ActorId, type WorkerId } from "../base/mod.ts";
import type { PeerMessage, ToNode } from "../protocol/mod.ts";
import type { ActorManager } from "./actor-manager.ts";
import { type Failure, type ObjectEntry, PENDING, systemFailure } from "./object-entry.ts";
import type { Peer } from "./peer.ts";
import { settleFailed } from "./result-receiver.ts";
import type { RunScope } from "./run-scope.ts";
import type { Submission } from "./submission.ts";
import type { TaskSubmitter } from "./task-submitter.ts";
import { type CancelOptions, clientOf, endsActor, parentOf, PendingTask } from "./task.ts";

export interface CancellationEnvironment {
  readonly workerId: WorkerId;
  readonly submission: Submission;
  readonly submitter: TaskSubmitter;
  readonly actors: ActorManager;
  peer(workerId: WorkerId): Peer;
  sendToNode(message: ToNode): void;
  hold(): () => void;
  /** An object of this worker's that others know. */
  sharedEntry(objectId: string): ObjectEntry | undefined;
  /** Every task and call of this worker's that has no outcome; some may come twice. */
  pendingTasks(): Iterable<PendingTask>;
  /** True if the object is lost and its task runs again, which it does not now. */
  cancelRebuilding(entry: ObjectEntry, options: CancelOptions): boolean;
  /** True if the task threw, or lacked an argument, and would have run again, which it does not now. */
  giveUpRetry(task: PendingTask): boolean;
  /** Drops what the task pinned. It is not at a worker. */
  finished(task: PendingTask, wasSent: boolean): void;
}

/** Runs to be stopped at one worker, told in one message. */
interface StopNotice {
  readonly workerId: WorkerId;
  readonly actorId: ActorId | null;
  readonly isRecursive: boolean;
  readonly taskSequences: number[];
}

interface CancelRequest {
  readonly ownerId: WorkerId;
  readonly answered: (error: string | null) => void;
}

/**
 * Cancels tasks and calls, as their owner, and asks other owners to cancel theirs. The outcome is there at once. A task that was
 * not started never is; one that runs is told to stop, and keeps its worker and what it pinned until that worker answers:
 *
 *   not sent, or taken back ── cancel ──▶ done
 *   at a worker ── cancel ──▶ stopping: has its outcome, nobody waits for it ── answer, or worker lost ──▶ done
 */
export class Cancellation {
  readonly #env: CancellationEnvironment;
  readonly #stopping = new Set<PendingTask>();
  readonly #notices = new Map<string, StopNotice>();
  readonly #requests = new Map<number, CancelRequest>();
  #nextRequest = 1;

  constructor(environment: CancellationEnvironment) {
    this.#env = environment;
  }

  /** Resolves when the owner has done it. Rejects with InvalidArgumentError for a call of an actor by force. */
  async cancel(entry: ObjectEntry, options: CancelOptions): Promise<void> {
    if (entry.ownerId !== this.#env.workerId) return this.#askOwner(entry, options);
    if (this.#env.cancelRebuilding(entry, options)) return;
    if (entry.status !== PENDING) return options.isForced ? this.#force(entry, options) : undefined;
    if (entry.content instanceof PendingTask) return this.cancelTask(entry.content, options, "was cancelled");
    // The ref of an actor's `ready()`: what waits for it waits no more. The actor itself goes on.
    entry.settleFailed(cancelled("waiting for an actor", "was cancelled"));
  }

  /** `why` follows the task's name. */
  cancelTask(task: PendingTask, options: CancelOptions, why: string): void {
    if (task.isDone) return;
    if (options.isForced) checkForce(task);
    this.end(task, cancelled(`${what(task)} ${task.name}()`, why), options);
  }

  /** Its task was asked to stop, and that was not enough. */
  #force(entry: ObjectEntry, options: CancelOptions): void {
    for (const task of this.#stopping) {
      if (task.entries !== entry && !(Array.isArray(task.entries) && task.entries.includes(entry))) continue;
      checkForce(task);
      return this.#stop(task, options);
    }
  }

  /** Makes this its outcome and stops it where it is. */
  end(task: PendingTask, failure: Failure, options: CancelOptions): void {
    settleFailed(task, failure);
    if (this.#env.giveUpRetry(task)) {
      this.#env.finished(task, true);
    } else if (task.slot < 0) {
      this.#env.submission.stopWaiting(task);
      this.#env.finished(task, false);
      if (task.queue === null) this.#env.actors.doneInQueue(clientOf(task));
      else if (task.unresolvedCount === 0) this.#env.submitter.doneInQueue(task);
    } else if (task.queue !== null && this.#env.submitter.withdraw(task)) {
      this.#env.finished(task, true);
    } else {
      this.#leaveRunning(task);
      this.#stop(task, options);
    }
  }

  /** Makes this the outcome of a task at a worker that was told already. */
  settleRunning(task: PendingTask, failure: Failure): void {
    settleFailed(task, failure);
    this.#leaveRunning(task);
  }

  #leaveRunning(task: PendingTask): void {
    task.isDone = true;
    this.#stopping.add(task);
    this.#env.submission.settled();
  }

  /** The worker that had it has answered, or is lost. True if it was being stopped. */
  hasEnded(task: PendingTask): boolean {
    return this.#stopping.delete(task);
  }

  #stop(task: PendingTask, { isForced, isRecursive }: CancelOptions): void {
    if (task.queue === null) {
      const client = clientOf(task);
      // Without a worker the actor is lost, and the call with it.
      if (client.workerId !== null) this.#tell(client.workerId, client.actorId, isRecursive, task.sequence);
      return;
    }
    const { leaseId, workerId } = task.lease as NonNullable<PendingTask["lease"]>;
    // Nobody can end the worker that runs this very code and go on: there the task is asked only.
    if (isForced && workerId !== this.#env.workerId) this.#env.sendToNode({ type: "endRun", workerId, leaseId, isRecursive, reason: `was ended to cancel ${task.name}() by force` });
    else this.#tell(workerId, null, isRecursive, task.sequence);
  }

  #tell(workerId: WorkerId, actorId: ActorId | null, isRecursive: boolean, sequence: number): void {
    const key = `${workerId}/${actorId}/${isRecursive}`;
    const notice = this.#notices.get(key);
    if (notice !== undefined) return void notice.taskSequences.push(sequence);
    if (this.#notices.size === 0) queueMicrotask(() => this.#flush());
    this.#notices.set(key, { workerId, actorId, isRecursive, taskSequences: [sequence] });
  }

  #flush(): void {
    for (const { workerId, ...notice } of this.#notices.values()) this.#env.peer(workerId).sendMessage({ type: "stopRuns", ...notice });
    this.#notices.clear();
  }

  /** What runs that are being stopped have submitted here. An actor that was to end still does: whoever waits for that has only this call. */
  cancelChildren(scopes: ReadonlySet<RunScope>): void {
    if (scopes.size === 0) return;
    const children = [...this.#env.pendingTasks()].filter((task) => { const parent = parentOf(task); return parent !== null && scopes.has(parent) && !endsActor(task); });
    for (const child of children) this.cancelTask(child, { isForced: false, isRecursive: true }, "was cancelled with the task that submitted it");
  }

  // ------------------------------------------------------------------ objects of others

  async #askOwner(entry: ObjectEntry, { isForced, isRecursive }: CancelOptions): Promise<void> {
    const requestId = this.#nextRequest++;
    const release = this.#env.hold();
    const error = await new Promise<string | null>((answered) => {
      this.#requests.set(requestId, { ownerId: entry.ownerId, answered });
      // An owner that is gone has taken its tasks with it.
      if (!this.#env.peer(entry.ownerId).sendMessage({ type: "cancel", requestId, objectId: entry.id, isForced, isRecursive })) this.#answered(requestId, null);
    });
    release();
    if (error !== null) throw new InvalidArgumentError(error);
  }

  /** A borrower asks. An object that is not known any more is nobody's concern. */
  async requested(borrower: Peer, { requestId, objectId, isForced, isRecursive }: PeerMessage & { type: "cancel" }): Promise<void> {
    const entry = this.#env.sharedEntry(objectId);
    let error: string | null = null;
    if (entry !== undefined) await this.cancel(entry, { isForced, isRecursive }).catch((reason: unknown) => { error = (reason as Error).message; });
    borrower.sendMessage({ type: "cancelled", requestId, error });
  }

  answered({ requestId, error }: PeerMessage & { type: "cancelled" }): void {
    this.#answered(requestId, error);
  }

  #answered(requestId: number, error: string | null): void {
    const request = this.#requests.get(requestId);
    this.#requests.delete(requestId);
    request?.answered(error);
  }

  workerLost(workerId: WorkerId): void {
    for (const [requestId, { ownerId }] of this.#requests) if (ownerId === workerId) this.#answered(requestId, null);
  }
}

function checkForce(task: PendingTask): void {
  if (task.queue === null) throw new InvalidArgumentError(`cancel() with force was given a call of an actor, ${task.name}(), and would end all of it; leave 'force' out, or end the actor with kill()`);
}

function what(task: PendingTask): string {
  return task.queue === null ? "call" : "task";
}

function cancelled(subject: string, why: string): Failure {
  return systemFailure({ kind: "TaskCancelledError", message: `${subject} ${why}`, subjectId: null });
}
