import { Deque, type WorkerId } from "../base/mod.ts";
import type { LeaseShape } from "../protocol/mod.ts";
import { type FunctionCallable, type PendingTask } from "./task.ts";
import { TaskLanes } from "./task-lanes.ts";

/** Calls of short functions that may wait at one worker, so that a wake-up is paid once for many. */
const TASKS_AT_WORKER_MAX = 2048;
/** Estimated work that may wait at one worker: what a task behind it loses at most when another worker gets free. */
const WORK_AT_WORKER_US_MAX = 2_000;
/** Work too short to be worth waking another worker for. */
const WORTH_SPREADING_US = 50;
/** No function counts as shorter than this: the clock and the hand-over are not free. */
const ESTIMATE_US_MIN = 1;
/** Leases that one key may wait for at once. */
const LEASES_WANTED_MAX = 128;
/** Weight of the newest batch in a function's average run time. */
const SMOOTHING = 0.25;

/** One worker that this owner may send tasks of one key to. */
export class OwnedLease {
  readonly leaseId: number;
  readonly workerId: WorkerId;
  readonly queue: SchedulingQueue;
  /** Tasks sent and not answered. */
  inFlight = 0;
  workUs = 0;
  lastActivityMs = 0;
  /** Its worker is busy with one task for longer than expected; cleared by the next outcome. */
  isStuck = false;
  hasEnded = false;

  constructor(leaseId: number, workerId: WorkerId, queue: SchedulingQueue) {
    this.leaseId = leaseId;
    this.workerId = workerId;
    this.queue = queue;
  }

  /** A function whose run time is not known yet runs alone at its worker, and so does a long one. */
  hasRoomFor(task: PendingTask): boolean {
    if (this.inFlight === 0) return true;
    if (this.isStuck || this.inFlight >= TASKS_AT_WORKER_MAX) return false;
    return this.workUs + estimateOf(task) <= WORK_AT_WORKER_US_MAX;
  }

  add(task: PendingTask): void {
    task.lease = this;
    task.estimateUs = estimateOf(task);
    this.workUs += task.estimateUs;
    this.inFlight++;
  }

  remove(task: PendingTask): void {
    if (task.lease !== this) return;
    task.lease = null;
    this.workUs = --this.inFlight === 0 ? 0 : this.workUs - task.estimateUs;
  }
}

/** Whole microseconds; an unknown run time fills a worker's share by itself. */
function estimateOf(task: PendingTask): number {
  const average = (task.callable as FunctionCallable).averageUs;
  return Number.isNaN(average) ? WORK_AT_WORKER_US_MAX : Math.max(Math.ceil(average), ESTIMATE_US_MIN);
}

export function learnRunTime(callable: FunctionCallable, averageUs: number): void {
  callable.averageUs = Number.isNaN(callable.averageUs) ? averageUs : callable.averageUs + SMOOTHING * (averageUs - callable.averageUs);
}

/**
 * The tasks of one key at their owner, and the leases that can take them. Pure: says which task goes to which lease and
 * how many more leases would help; the submitter does it.
 */
export class SchedulingQueue {
  readonly key: string;
  readonly shape: LeaseShape;
  /** Its leases are of use for tasks with the very same large arguments alone. */
  readonly isForArguments: boolean;
  /** A plain queue until there is a task with a priority. */
  #tasks: Deque<PendingTask> | TaskLanes<PendingTask> = new Deque<PendingTask>();
  /** Tasks that came back without having run, and are not in their places yet. */
  #returned: PendingTask[] = [];
  readonly leases = new Map<number, OwnedLease>();
  /** Leases that have ended while tasks were on their way there, which come back. */
  readonly #ended = new Set<OwnedLease>();
  /** Set with the first task in it that is done. */
  hasDone = false;
  /** Its program was told that its tasks may wait for ever; until the next lease. */
  isToldHeldUp = false;
  readonly #leasesMax: number;
  #leasesGranted = 0;
  /** All leases ever wanted; what the node manager is told, so that a repeated message changes nothing. */
  #leaseTarget = 0;
  /** Of the task that comes next, as told with that. */
  #priority = 0;

  constructor(key: string, shape: LeaseShape, leasesMax: number) {
    this.key = key;
    this.shape = shape;
    this.isForArguments = shape.arguments?.type === "named";
    this.#leasesMax = Math.max(1, Math.min(leasesMax, LEASES_WANTED_MAX));
  }

  add(task: PendingTask): void {
    if (task.template.priority !== 0 && this.#tasks instanceof Deque) this.#tasks = new TaskLanes(this.#tasks);
    this.tasks.push(task);
  }

  /** It goes before those that have never been sent, in the order of the calls. */
  giveBack(task: PendingTask): void {
    this.#returned.push(task);
  }

  get tasks(): Deque<PendingTask> | TaskLanes<PendingTask> {
    if (this.#returned.length > 0) {
      for (const task of this.#returned.sort((a, b) => b.sequence - a.sequence)) this.#tasks.unshift(task);
      this.#returned = [];
    }
    return this.#tasks;
  }

  /** Some of its tasks have their outcome. They are taken out together, at the end of the turn: there may be thousands. */
  dropDone(): void {
    if (!this.hasDone) return;
    this.hasDone = false;
    this.tasks.removeWhere((task) => task.isDone);
  }

  /** Moves tasks to leases with room, fair shares first; `send` is called for each in order. */
  distribute(send: (lease: OwnedLease, task: PendingTask) => void): void {
    if (this.tasks.length === 0 || this.leases.size === 0) return;
    const leases = [...this.leases.values()].sort((a, b) => a.workUs - b.workUs);
    const next = this.tasks.peek() as PendingTask;
    const fairShare = Math.ceil(this.tasks.length / Math.min(this.leases.size + this.#missingLeases(), this.#leasesMax));
    const share = Math.max(fairShare, Math.floor(WORTH_SPREADING_US / estimateOf(next)));
    for (const lease of leases) {
      for (let taken = 0; taken < share; taken++) {
        const task = this.tasks.peek();
        if (task === undefined) return;
        if (!lease.hasRoomFor(task)) break;
        this.tasks.shift();
        lease.add(task);
        send(lease, task);
      }
    }
  }

  #missingLeases(): number {
    return this.#leaseTarget - this.#leasesGranted;
  }

  /** As announced. */
  get leaseTarget(): number {
    return this.#leaseTarget;
  }

  get priority(): number {
    return this.#priority;
  }

  /** The lease target to announce, with `priority`, or undefined when nothing has changed that matters for it. */
  nextLeaseTarget(): number | undefined {
    // Leases in use do not count against the limit: a task that waits gives its resources back, and then another lease
    // can be had for what it waits for.
    const target = this.#leasesGranted + Math.min(this.tasks.length + this.#returning(), this.#leasesMax);
    const priority = this.tasks.peek()?.template.priority ?? 0;
    if (target === this.#leaseTarget && (priority === this.#priority || target === this.#leasesGranted)) return undefined;
    this.#leaseTarget = target;
    this.#priority = priority;
    return target;
  }

  granted(lease: OwnedLease): void {
    this.#leasesGranted++;
    this.isToldHeldUp = false;
    this.#leaseTarget = Math.max(this.#leaseTarget, this.#leasesGranted);
    this.leases.set(lease.leaseId, lease);
  }

  /** Nothing is on its way: what is wanted next is told again. */
  refused(): void {
    this.#leaseTarget = this.#leasesGranted;
  }

  closed(leaseId: number): void {
    const lease = this.leases.get(leaseId);
    if (lease === undefined) return;
    this.leases.delete(leaseId);
    lease.hasEnded = true;
    // That of one set of arguments may be over, and is counted from nought with the first task that comes back.
    if (!this.isForArguments) this.#ended.add(lease);
  }

  /** Tasks that will be here again, but for those that had just ended: what they need is asked for at once. */
  #returning(): number {
    let count = 0;
    for (const lease of this.#ended) {
      if (lease.inFlight === 0) this.#ended.delete(lease);
      else count += lease.inFlight;
    }
    return count;
  }

  // ------------------------------------------------------------------ for one set of arguments

  /** It waits for nothing, so that the node manager need not know it any more. */
  get isOver(): boolean {
    return this.isForArguments && this.tasks.length === 0 && this.#leasesGranted >= this.#leaseTarget;
  }

  /** The node manager has forgotten it: whatever is wanted next is counted from nought. */
  forgotten(): void {
    this.#leasesGranted = 0;
    this.#leaseTarget = 0;
  }
}
