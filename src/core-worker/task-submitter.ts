import { afterThis, type Clock, type SystemErrorRecord, type Timer, type WorkerId } from "../base/mod.ts";
import { type LeaseShape, TASK_SLOTS_MAX, type WorkerDeath } from "../protocol/mod.ts";
import { whichWorker } from "./failure-errors.ts";
import { namedArguments } from "./near-arguments.ts";
import type { Failure } from "./object-entry.ts";
import { CLAIM_OPEN, CLAIM_RECALLED, type Peer } from "./peer.ts";
import { learnRunTime, OwnedLease, SchedulingQueue } from "./scheduling-queue.ts";
import type { TaskSender } from "./task-sender.ts";
import { type FunctionCallable, leaseKeyOf, type PendingTask } from "./task.ts";

/** Tasks queued in one turn before the first ones are sent without waiting for the end of the turn. */
const SEND_EARLY_AT_TASKS = 256;
/** How often stuck tasks are looked for while some wait behind others at a worker. */
const STUCK_CHECK_MS = 10;
/** A lease without use for so long goes back. */
const LEASE_IDLE_MS = 100;
/** Runs that a task is given back when its worker is ended by force. What that was for may be its own child, in the same worker, each time anew. */
const FORCED_ENDS_FREE_MAX = 3;

export interface SubmitterEnvironment {
  readonly workerId: WorkerId;
  readonly clock: Clock;
  readonly sender: TaskSender;
  peer(workerId: WorkerId): Peer;
  requestLeases(key: string, shape: LeaseShape, target: number, priority: number): void;
  /** The node manager knows all that is wanted. */
  leaseSettled(leaseId: number, workerId: WorkerId): void;
  /** Ends the task with this outcome and drops what it pinned. */
  fail(task: PendingTask, failure: Failure): void;
  /** Tells the user. */
  warn(text: string): void;
  /** Runs it again after a while. */
  runLater(task: PendingTask): void;
  /** Drops what a cancelled task pinned, which no worker has any more. */
  dropped(task: PendingTask): void;
}

/** Gets tasks to workers: asks for leases, batches, retries after crashes, takes back what is stuck behind a long task. */
export class TaskSubmitter {
  readonly #env: SubmitterEnvironment;
  readonly #queues = new Map<string, SchedulingQueue>();
  readonly #leases = new Map<number, OwnedLease>();
  readonly #dirty = new Set<SchedulingQueue>();
  /** Of tasks whose worker was ended by force: how often. */
  readonly #forcedEnds = new WeakMap<PendingTask, number>();
  #isFlushScheduled = false;
  #timer: Timer | null = null;
  #isTimerShort = false;

  constructor(environment: SubmitterEnvironment) {
    this.#env = environment;
  }

  queue(key: string, shape: LeaseShape, leasesMax: number): SchedulingQueue {
    let queue = this.#queues.get(key);
    if (queue === undefined) this.#queues.set(key, (queue = new SchedulingQueue(key, shape, leasesMax)));
    return queue;
  }

  /** All arguments of the task are known. */
  submit(task: PendingTask): void {
    const queue = this.#queueOf(task);
    queue.add(task);
    this.#dirty.add(queue);
    if (queue.tasks.length % SEND_EARLY_AT_TASKS === 0) this.#pump(queue);
    else this.#scheduleFlush();
  }

  /** One for its arguments alone may have ended meanwhile, and there may be another one like it. */
  #queueOf(task: PendingTask): SchedulingQueue {
    const queue = task.queue as SchedulingQueue;
    if (!queue.isForArguments) return queue;
    const known = this.#queues.get(queue.key);
    if (known === undefined) this.#queues.set(queue.key, queue);
    else if (known !== queue) task.template = { ...task.template, queue: known };
    return known ?? queue;
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    afterThis(() => {
      this.#isFlushScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    for (const queue of this.#dirty) this.#pump(queue);
    this.#dirty.clear();
  }

  #pump(queue: SchedulingQueue): void {
    queue.dropDone();
    if (queue.leases.size > 0) {
      const batches = new Map<OwnedLease, PendingTask[]>();
      queue.distribute((lease, task) => {
        const batch = batches.get(lease);
        if (batch === undefined) batches.set(lease, [task]);
        else batch.push(task);
      });
      for (const [lease, tasks] of batches) {
        lease.lastActivityMs = this.#env.clock.nowMs();
        const peer = this.#env.peer(lease.workerId);
        if (peer.isLost) this.#tooLate(lease, tasks);
        else this.#env.sender.send(peer, lease.leaseId, tasks);
      }
    }
    const target = queue.nextLeaseTarget();
    if (target !== undefined) this.#env.requestLeases(queue.key, queue.shape, target, queue.priority);
    if (queue.isOver && this.#queues.get(queue.key) === queue) this.#end(queue);
    this.#watch();
  }

  /** The lease was given before its worker ended, and the word of it took a longer way than that of the end. */
  #tooLate(lease: OwnedLease, tasks: readonly PendingTask[]): void {
    for (const task of tasks) {
      lease.remove(task);
      this.rejected(task);
    }
    this.leaseClosed(lease.leaseId);
  }

  #end(queue: SchedulingQueue): void {
    this.#queues.delete(queue.key);
    queue.forgotten();
    this.#env.requestLeases(queue.key, queue.shape, 0, 0);
    for (const lease of queue.leases.values()) if (lease.inFlight === 0) this.#close(lease);
  }

  #close({ leaseId, workerId }: Pick<OwnedLease, "leaseId" | "workerId">): void {
    this.#env.peer(workerId).sendMessage({ type: "closeLease", leaseId });
  }

  /** Other nodes have room for so many of these tasks, and fetch their arguments first. */
  nameArguments(key: string, count: number): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.dropDone();
    for (let named = 0; named < count; named++) {
      const task = queue.tasks.shift();
      if (task === undefined) break;
      const shape: LeaseShape = { ...queue.shape, arguments: { type: "named", objects: namedArguments(task.args) } };
      task.template = { ...task.template, queue: this.queue(leaseKeyOf(shape), shape, Number.POSITIVE_INFINITY) };
      this.submit(task);
    }
    this.#dirty.add(queue);
    this.flush();
    // The node manager asks once, until it hears what is left.
    this.#env.requestLeases(queue.key, queue.shape, queue.leaseTarget, queue.priority);
  }

  // ------------------------------------------------------------------ leases

  leaseGranted(key: string, leaseId: number, workerId: WorkerId): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return this.#close({ leaseId, workerId });
    const lease = new OwnedLease(leaseId, workerId, queue);
    lease.lastActivityMs = this.#env.clock.nowMs();
    this.#leases.set(leaseId, lease);
    queue.granted(lease);
    this.#pump(queue);
  }

  leaseRefused(key: string, error: SystemErrorRecord): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    queue.refused();
    queue.dropDone();
    // Those that nobody gets would never be missed.
    let told: string | null = null;
    let count = 0;
    for (let task = queue.tasks.shift(); task !== undefined; task = queue.tasks.shift()) {
      const message = `task ${task.name}() ${error.message}`;
      told ??= message;
      count++;
      this.#env.fail(task, { kind: "systemError", error: { ...error, message } });
    }
    this.#later(queue);
    if (told !== null) this.#env.warn(count === 1 ? told : `${told} (${count} tasks)`);
  }

  leasesHeldUp(key: string, reason: string): void {
    const queue = this.#queues.get(key);
    const next = queue?.tasks.peek();
    if (queue === undefined || next === undefined) return;
    queue.isToldHeldUp = true;
    this.#env.warn(`task ${next.name}() waits for ${reason}; it runs when enough of it is given back: end what is not needed, ask for less, or give the cluster more`);
  }

  leaseClosed(leaseId: number): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    this.#leases.delete(leaseId);
    lease.queue.closed(leaseId);
    this.#later(lease.queue);
  }

  /** It has ended, perhaps before its worker could say so, and others wait for what it held. */
  leaseTaken(leaseId: number, workerId: WorkerId): void {
    this.leaseClosed(leaseId);
    this.flush();
    this.#env.leaseSettled(leaseId, workerId);
  }

  #later(queue: SchedulingQueue): void {
    this.#dirty.add(queue);
    this.#scheduleFlush();
  }

  // ------------------------------------------------------------------ outcomes

  /** The task has left its worker, with a result or without. */
  left(task: PendingTask): void {
    const lease = task.lease as OwnedLease | null;
    if (lease === null) return;
    lease.remove(task);
    lease.isStuck = false;
    lease.lastActivityMs = this.#env.clock.nowMs();
    if (lease.queue.tasks.length > 0 || lease.hasEnded) this.#later(lease.queue);
    else if (lease.inFlight === 0 && lease.queue.isForArguments) this.#close(lease);
  }

  /** The worker's measure for a frame of results of one lease's tasks. */
  learn(callable: FunctionCallable, averageUs: number): void {
    learnRunTime(callable, averageUs);
  }

  /** The worker gave it back without running it. What still runs there may need all that the lease holds, also while it waits. */
  handedBack(task: PendingTask): void {
    const lease = task.lease as OwnedLease | null;
    this.left(task);
    if (lease !== null) lease.isStuck = lease.inFlight > 0;
    this.rejected(task);
  }

  /** It has not been run, and goes to the next worker that has room. */
  rejected(task: PendingTask): void {
    if (task.isDone) return this.#env.dropped(task);
    const queue = this.#queueOf(task);
    queue.giveBack(task);
    this.#later(queue);
  }

  /** A worker ended. Tasks that have certainly not begun go elsewhere free of charge; the others use up a retry, or fail. */
  workerLost(peer: Peer, death: WorkerDeath): void {
    const begun = death.begun?.get(this.#env.workerId);
    for (const task of [...peer.tasksInFlight()]) {
      if (task === RECALLED || task.queue === null) continue;
      // What waits for a channel that never opened was not even sent.
      const wasStarted = peer.channel !== null && !peer.isLeaving && death.isRetired !== true && begun?.has(task.sequence) !== false && !this.#recall(peer, task);
      const lease = task.lease as OwnedLease | null;
      if (task.slot >= 0) peer.releaseSlot(task.slot);
      lease?.remove(task);
      if (wasStarted) this.#crashed(task, peer, death);
      else this.rejected(task);
    }
    for (const lease of [...this.#leases.values()]) if (lease.workerId === peer.workerId) this.leaseClosed(lease.leaseId);
  }

  #crashed(task: PendingTask, peer: Peer, death: WorkerDeath): void {
    if (task.isDone) return this.#env.dropped(task);
    const { removedGroup } = death;
    if (removedGroup !== undefined && (task.queue as SchedulingQueue).shape.bundle?.groupId === removedGroup.groupId) {
      const message = `task ${task.name}() ran in placement group ${removedGroup.groupId}, which is removed: ${removedGroup.reason}`;
      return this.#env.fail(task, { kind: "systemError", error: { kind: "PlacementGroupRemovedError", message, subjectId: removedGroup.groupId } });
    }
    // At most once, whatever took the worker.
    const isRetriable = task.template.maxRetries !== 0;
    if (isRetriable && death.isRetryable && death.isForced === true && this.#isFree(task, death)) return this.rejected(task);
    if (isRetriable && death.isMemoryShort === true) return this.#env.runLater(task);
    if (death.isRetryable && task.retriesLeft !== 0) {
      if (task.retriesLeft > 0) task.retriesLeft--;
      this.rejected(task);
      return;
    }
    const message = `the worker that ran ${task.name}() ${death.reason}${death.isRetryable ? this.#whyNotAgain(task, peer, death) : ""} ${whichWorker(peer.workerId, death)}`;
    this.#env.fail(task, { kind: "systemError", error: { kind: death.isOutOfMemory === true ? "OutOfMemoryError" : death.isNodeLost === true ? "NodeDiedError" : "WorkerCrashedError", message, subjectId: null } });
  }

  #whyNotAgain(task: PendingTask, peer: Peer, death: WorkerDeath): string {
    if (task.template.maxRetries !== 0) return " and no retry is left (maxRetries)";
    const isKnown = peer.outgoingClaims !== null || death.begun?.has(this.#env.workerId) === true;
    return `; the task ${isKnown ? "had" : "had been sent there and may have"} begun, and with maxRetries 0 it never runs again: allow it retries (maxRetries) if it may run twice`;
  }

  /** The end of a worker for the sake of others costs a task that may run again nothing, unless there is no end of it. */
  #isFree(task: PendingTask, { isNodeDrained, removedGroup }: WorkerDeath): boolean {
    if (isNodeDrained === true || removedGroup !== undefined) return true;
    const count = (this.#forcedEnds.get(task) ?? 0) + 1;
    this.#forcedEnds.set(task, count);
    return count <= FORCED_ENDS_FREE_MAX;
  }

  /** True if the task will not be started by the worker that it was sent to. */
  #recall(peer: Peer, task: PendingTask): boolean {
    const claims = peer.outgoingClaims;
    if (claims === null || task.slot < 0 || task.slot >= TASK_SLOTS_MAX) return false;
    return Atomics.compareExchange(claims, task.slot, CLAIM_OPEN, CLAIM_RECALLED) === CLAIM_OPEN;
  }

  // ------------------------------------------------------------------ time

  #watch(): void {
    if (this.#leases.size === 0) return;
    const isCrowded = this.#hasCrowdedLease();
    if (this.#timer !== null) {
      if (this.#isTimerShort || !isCrowded) return;
      this.#timer.cancel();
    }
    this.#isTimerShort = isCrowded;
    this.#timer = this.#env.clock.after(isCrowded ? STUCK_CHECK_MS : LEASE_IDLE_MS, () => {
      this.#timer = null;
      this.#check();
      this.#watch();
    });
  }

  #hasCrowdedLease(): boolean {
    for (const lease of this.#leases.values()) if (lease.inFlight > 1) return true;
    return false;
  }

  #check(): void {
    const nowMs = this.#env.clock.nowMs();
    for (const lease of this.#leases.values()) {
      const quietMs = nowMs - lease.lastActivityMs;
      if (lease.inFlight > 1 && quietMs >= STUCK_CHECK_MS) this.#takeBack(lease);
      else if (lease.inFlight === 0 && quietMs >= LEASE_IDLE_MS) {
        this.#close(lease);
        lease.lastActivityMs = nowMs;
      }
    }
  }

  /** A worker is busy with one task for longer than all of them were expected to take: the rest goes to others. */
  #takeBack(lease: OwnedLease): void {
    const peer = this.#env.peer(lease.workerId);
    // Without shared memory only the worker knows what it has begun: it is asked once, and hears of it when it gets to its messages.
    if (peer.outgoingClaims === null && !lease.isStuck) peer.sendMessage({ type: "returnQueued", leaseId: lease.leaseId });
    lease.isStuck = true;
    if (peer.outgoingClaims === null) return;
    for (const task of [...peer.tasksInFlight()]) {
      if (task.lease === lease && this.#withdraw(peer, lease, task)) this.rejected(task);
    }
  }

  #withdraw(peer: Peer, lease: OwnedLease, task: PendingTask): boolean {
    if (!this.#recall(peer, task)) return false;
    lease.remove(task);
    // The slot stays taken until the worker has seen the recall and answers `rejected`.
    peer.slots[task.slot] = RECALLED;
    task.slot = -1;
    return true;
  }

  // ------------------------------------------------------------------ cancelled tasks

  /** True if the worker that the task was sent to will not start it. */
  withdraw(task: PendingTask): boolean {
    const lease = task.lease as OwnedLease;
    if (!this.#withdraw(this.#env.peer(lease.workerId), lease, task)) return false;
    this.#later(lease.queue);
    return true;
  }

  /** It is done while it is queued here. */
  doneInQueue(task: PendingTask): void {
    const queue = task.queue as SchedulingQueue;
    queue.hasDone = true;
    this.#later(queue);
  }

  *queued(): Iterable<PendingTask> {
    for (const queue of this.#queues.values()) yield* queue.tasks;
  }

  /** The tasks that have not been sent, taken out; nothing runs here any more. */
  takeAll(): PendingTask[] {
    this.#timer?.cancel();
    return [...this.#queues.values()].flatMap((queue) => queue.tasks.removeWhere(() => true));
  }

  /** Work queued here and not sent, for state queries. */
  snapshot(): { key: string; queued: number; leases: number }[] {
    return [...this.#queues.values()].map((queue) => ({ key: queue.key, queued: queue.tasks.length, leases: queue.leases.size }));
  }
}

/** Stands in a slot whose task was taken back. */
export const RECALLED = { isRecalled: true } as unknown as PendingTask;
