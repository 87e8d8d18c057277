import { invariant, isZero, nodeKeyOf, type AcceleratorIds, type ActorId, type JobId, type NodeKey, type ResourceAmounts, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { type LeaseEvent, type LeaseShape, type WorkerKind, workerKindKeyOf } from "../protocol/mod.ts";
import { describeLack, keptWhileWaiting, ResourceLedger, without } from "../scheduling/mod.ts";
import { workersToEnd } from "./forced-ends.ts";
import { findHeldUp, type HeldUp } from "./held-up.ts";
import { activeSlots, isFreeForTasks, isIdle, type Lease, type PoolWorker, WorkerPool, worksFor } from "./worker-pool.ts";

/**
 * Who may run what on this machine. Pure: events in, instructions out.
 *
 * A lease lets one owner send tasks of one shape to one worker. It holds the shape's resources once per *slot*: the
 * right to run one task that is not waiting for an object.
 *
 *              demand (1)                 slotGranted (4)
 *   waiting ───────────────▶ open, 1 slot ◀────────────── open, no slot, wants one
 *                             │  ▲  │ ▲                       ▲
 *             slotReturned (2)│  │  │ │slotTaken (3)          │ wantSlot (4)
 *                             ▼  │  ▼ │                       │
 *                       open, n slots ≥ 0 ────────────────────┘
 *                             │
 *          closed by the worker (5), worker or owner lost (6)
 *                             ▼
 *                           gone
 *
 * (1) An owner declares how many leases of a key it ever wanted; missing ones are granted in order of arrival.
 * (2) Its tasks wait for objects and none is left to run: the processors go back to the node. What a task keeps while it waits
 *     (an accelerator, memory, resources of the user's own) the lease keeps until it is gone, and runs no other task meanwhile.
 * (3) A task goes on after waiting: it takes a slot back at once, even if the ledger goes below zero; nothing new starts
 *     until it is not.
 * (4) A lease whose slots are all given back asks for one when it has queued tasks.
 * (5) Only the worker ends a lease, so that no task is sent to a lease that is gone unnoticed. The node manager asks for
 *     it (`revoke`) when others wait: an idle lease ends at once, a busy one when its time slice is over.
 * (6) Everything that the lease held is given back.
 *
 * Actors take a worker for themselves and hold only what they were given explicitly.
 *
 * A worker is of one kind for good: it serves only what wants exactly that. When one of a missing kind starts, idle workers of
 * others make room for it.
 *
 * Several programs may share the machine: each is a *job*. A worker belongs to the job that used it first, for good, since
 * what a job's code leaves behind in it is no other's concern. When a job's driver is lost, the workers that run its tasks
 * end, and those that run tasks of theirs; what its detached actors need stays.
 */
export type LeaseInstruction =
  | { readonly type: "startWorker"; readonly kind: WorkerKind }
  | { readonly type: "stopWorker"; readonly workerId: WorkerId }
  /** At once: whoever it works for is gone. */
  | { readonly type: "endWorker"; readonly workerId: WorkerId }
  /** It works for another job than the one it was started by; comes before its first lease or actor. */
  | { readonly type: "assignJob"; readonly workerId: WorkerId; readonly jobId: JobId }
  | { readonly type: "openLease"; readonly leaseId: number; readonly workerId: WorkerId; readonly ownerId: WorkerId; readonly key: string; readonly shape: LeaseShape; readonly acceleratorIds: AcceleratorIds | null }
  | { readonly type: "refuse"; readonly ownerId: WorkerId; readonly key: string; readonly error: SystemErrorRecord }
  | { readonly type: "grantSlot"; readonly leaseId: number; readonly workerId: WorkerId }
  | { readonly type: "revoke"; readonly leaseId: number; readonly workerId: WorkerId }
  | { readonly type: "placeActor"; readonly actorId: ActorId; readonly workerId: WorkerId }
  | { readonly type: "refuseActor"; readonly actorId: ActorId; readonly error: SystemErrorRecord };

interface Demand {
  readonly ownerId: WorkerId;
  readonly jobId: JobId;
  readonly key: string;
  readonly shape: LeaseShape;
  readonly kindKey: string;
  /** Of the task that comes next. */
  priority: number;
  target: number;
  granted: number;
}

interface ActorPlacement {
  readonly actorId: ActorId;
  readonly jobId: JobId;
  readonly kind: WorkerKind;
  readonly kindKey: string;
  readonly holds: ResourceAmounts;
}

export interface LeaseLimits {
  /** Workers kept warm, also when idle. */
  readonly warmWorkersMin: number;
  /** Task workers of one kind; actors are not counted. Above it, tasks that take no resources share workers. */
  readonly taskWorkersMax: number;
}

export class LeaseState {
  readonly ledger: ResourceLedger;
  readonly #limits: LeaseLimits;
  readonly #workers = new WorkerPool();
  readonly #leases = new Map<number, Lease>();
  readonly #demands = new Map<string, Demand>();
  readonly #placements: ActorPlacement[] = [];
  /** Of the drivers, but for the first one, and of owners on other nodes. */
  readonly #driverJobs = new Map<WorkerId, JobId>();
  readonly #endedJobs = new Set<JobId>();
  readonly #firstJobId: JobId;
  #nextLeaseId: number;
  #isAnybodyStarved = false;

  /** `firstJobId`: of the program that started all this. `firstLeaseId`: those of other nodes are far from it. */
  constructor(totals: ResourceAmounts, limits: LeaseLimits, firstJobId: JobId, acceleratorIds: AcceleratorIds = {}, firstLeaseId = 1) {
    this.ledger = new ResourceLedger(totals, acceleratorIds);
    this.#limits = limits;
    this.#firstJobId = firstJobId;
    this.#nextLeaseId = firstLeaseId;
  }

  driverAdded(driverId: WorkerId, jobId: JobId): void {
    this.#driverJobs.set(driverId, jobId);
  }

  /** One that lives on another node. */
  farOwnerSeen(ownerId: WorkerId, jobId: JobId): void {
    this.#driverJobs.set(ownerId, jobId);
  }

  /** Those of another node. */
  ownersOf(node: NodeKey): WorkerId[] {
    return [...this.#driverJobs.keys()].filter((ownerId) => nodeKeyOf(ownerId) === node);
  }

  driverLost(driverId: WorkerId, jobId = this.jobOf(driverId)): LeaseInstruction[] {
    this.#driverJobs.delete(driverId);
    this.#endedJobs.add(jobId);
    const instructions = this.#endOrphans(driverId, jobId);
    for (const worker of this.#workers.values()) {
      if (worker.jobId !== jobId || !isIdle(worker)) continue;
      instructions.push(stop(worker));
    }
    return [...instructions, ...this.ownerLost(driverId)];
  }

  /** The job that whoever submits works for. */
  jobOf(ownerId: WorkerId): JobId {
    return this.#workers.get(ownerId)?.jobId ?? this.#driverJobs.get(ownerId) ?? this.#firstJobId;
  }

  #endedJobLost(workerId: WorkerId, jobId: JobId | null): LeaseInstruction[] {
    if (jobId === null || !this.#endedJobs.has(jobId)) return [];
    if (![...this.#workers.values()].some((worker) => worker.jobId === jobId)) this.#endedJobs.delete(jobId);
    return this.#endOrphans(workerId, jobId);
  }

  /** Workers that run tasks of a lost owner, of a job whose driver is gone: nobody would stop them. */
  #endOrphans(ownerId: WorkerId, jobId: JobId): LeaseInstruction[] {
    const ending: LeaseInstruction[] = [];
    for (const worker of this.#workers.values()) {
      if (worker.actorId !== null || worker.jobId !== jobId || ![...worker.leases.values()].some((lease) => lease.ownerId === ownerId)) continue;
      worker.isStopping = true;
      ending.push({ type: "endWorker", workerId: worker.workerId });
    }
    return ending;
  }

  /** The workers that must end at once so that the run under this lease does, whoever else they work for; see `workersToEnd`. */
  endRun(workerId: WorkerId, leaseId: number, isRecursive: boolean, askerId: WorkerId): WorkerId[] {
    const ending = [...workersToEnd(this.#leases.values(), workerId, leaseId, isRecursive, askerId)];
    for (const id of ending) (this.#workers.get(id) as PoolWorker).isStopping = true;
    return ending;
  }

  /** A worker that somebody else is starting will register. */
  workerExpected(kind: WorkerKind): void {
    this.#workers.starts(kind);
  }

  workerAdded(workerId: WorkerId, kind: WorkerKind): LeaseInstruction[] {
    this.#workers.startEnded(kind);
    this.#workers.add(workerId, kind);
    return this.#schedule();
  }

  workerStartFailed(kind: WorkerKind): LeaseInstruction[] {
    this.#workers.startEnded(kind);
    return this.#schedule();
  }

  /** None of this kind can be had: all that wait for one are told why. Whoever asks again has it tried again. */
  kindRefused(kind: WorkerKind, error: SystemErrorRecord): LeaseInstruction[] {
    this.#workers.startEnded(kind);
    const kindKey = workerKindKeyOf(kind);
    const refused: LeaseInstruction[] = [];
    for (const demand of this.#demands.values()) {
      if (demand.kindKey !== kindKey || demand.granted >= demand.target) continue;
      demand.target = demand.granted;
      refused.push({ type: "refuse", ownerId: demand.ownerId, key: demand.key, error });
    }
    for (const { actorId } of this.#placements.filter((placement) => placement.kindKey === kindKey)) {
      refused.push({ type: "refuseActor", actorId, error: { ...error, subjectId: actorId } }, ...this.cancelPlacement(actorId));
    }
    return [...refused, ...this.#schedule()];
  }

  /** It takes nothing more, and ends by itself. */
  workerLeaving(workerId: WorkerId): LeaseInstruction[] {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.isStopping = true;
    return this.#schedule();
  }

  workerLost(workerId: WorkerId): LeaseInstruction[] {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) {
      const jobId = this.#driverJobs.get(workerId) ?? null;
      this.#driverJobs.delete(workerId);
      return [...this.#endedJobLost(workerId, jobId), ...this.ownerLost(workerId)];
    }
    this.#workers.delete(workerId);
    for (const lease of worker.leases.values()) this.#closeLease(lease);
    if (worker.actorHolds !== null) this.ledger.give(worker.actorHolds, worker.acceleratorIds);
    return [...this.#endedJobLost(workerId, worker.jobId), ...this.ownerLost(workerId)];
  }

  /** Leases of a lost owner are closed by their workers, which see its channel close; only its wishes end here. */
  ownerLost(ownerId: WorkerId): LeaseInstruction[] {
    for (const [id, demand] of this.#demands) if (demand.ownerId === ownerId) this.#demands.delete(id);
    return this.#schedule();
  }

  demand(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): LeaseInstruction[] {
    if (!this.ledger.canEverHold(shape.resources)) {
      const message = `needs ${describeLack(shape.resources, this.ledger.totals)}, so it can never run here; ask for less, or give the cluster more (init({ numCpus, resources }))`;
      return [{ type: "refuse", ownerId, key, error: { kind: "TaskUnschedulableError", message, subjectId: null } }];
    }
    const id = `${ownerId}/${key}`;
    const known = this.#demands.get(id);
    if (known === undefined) this.#demands.set(id, { ownerId, jobId: this.jobOf(ownerId), key, shape, kindKey: workerKindKeyOf(shape.workerKind), priority, target, granted: 0 });
    else {
      known.target = target;
      known.priority = priority;
    }
    return this.#schedule();
  }

  placeActor(actorId: ActorId, kind: WorkerKind, holds: ResourceAmounts, jobId: JobId): LeaseInstruction[] {
    if (!this.ledger.canEverHold(holds)) {
      const message = `needs ${describeLack(holds, this.ledger.totals)}, so it can never start here; ask for less, or give the cluster more (init({ numCpus, resources }))`;
      return [{ type: "refuseActor", actorId, error: { kind: "ActorUnschedulableError", message, subjectId: actorId } }];
    }
    this.#placements.push({ actorId, jobId, kind, kindKey: workerKindKeyOf(kind), holds });
    return this.#schedule();
  }

  /** The actor is not wanted any more before it was placed. */
  cancelPlacement(actorId: ActorId): LeaseInstruction[] {
    const index = this.#placements.findIndex((placement) => placement.actorId === actorId);
    if (index < 0) return [];
    this.#placements.splice(index, 1);
    return this.#schedule();
  }

  leaseEvents(workerId: WorkerId, events: readonly (readonly [number, LeaseEvent])[]): LeaseInstruction[] {
    for (const [leaseId, event] of events) {
      const lease = this.#leases.get(leaseId);
      if (lease === undefined || lease.workerId !== workerId) continue;
      this.#leaseEvent(lease, event);
    }
    return this.#schedule();
  }

  #leaseEvent(lease: Lease, event: LeaseEvent): void {
    switch (event) {
      case "slotReturned":
        invariant(lease.slots > 0, () => `lease ${lease.leaseId} gave back a slot that it did not hold`);
        lease.slots--;
        if (lease.slots === 0) lease.isRevokeSent = false;
        this.ledger.give(lease.slotHolds);
        return;
      case "slotTaken":
        lease.slots++;
        this.ledger.take(lease.slotHolds);
        return;
      case "wantSlot":
        lease.wantsSlot = true;
        return;
      case "closed":
        this.#closeLease(lease);
        return;
    }
  }

  #closeLease(lease: Lease): void {
    this.#leases.delete(lease.leaseId);
    this.#workers.get(lease.workerId)?.leases.delete(lease.leaseId);
    for (; lease.slots > 0; lease.slots--) this.ledger.give(lease.slotHolds);
    if (lease.keeps !== null) this.ledger.give(lease.keeps, lease.acceleratorIds);
  }

  /** Workers that nobody uses, beyond what is kept warm. The caller decides when to ask (after some idle time). */
  stopIdleWorkers(): LeaseInstruction[] {
    const isOver = (worker: PoolWorker): boolean => worker.jobId !== null && this.#endedJobs.has(worker.jobId);
    const idle = this.#workers.idle();
    return [...idle.filter(isOver), ...idle.filter((other) => !isOver(other)).slice(this.#limits.warmWorkersMin)].map(stop);
  }

  /** An idle worker cannot end, because it owns what others still use. */
  stopRefused(workerId: WorkerId): LeaseInstruction[] {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.isStopping = false;
    return this.#schedule();
  }

  /** Brings the number of workers for tasks, of whatever kind, up to what is kept warm. */
  keepWarm(kind: WorkerKind): LeaseInstruction[] {
    const missing = this.#limits.warmWorkersMin - this.#workers.taskWorkerCount();
    return Array.from({ length: Math.max(0, missing) }, () => this.#startWorker(kind));
  }

  #startWorker(kind: WorkerKind): LeaseInstruction {
    this.#workers.starts(kind);
    return { type: "startWorker", kind };
  }

  #schedule(): LeaseInstruction[] {
    const out: LeaseInstruction[] = [];
    const areWorkersMissing = [this.#scheduleActors(out), this.#scheduleDemands(out)].includes(true);
    this.#grantSlots(out);
    const starved = this.#findStarved();
    this.#isAnybodyStarved = starved.size > 0;
    if (starved.size > 0) this.#revokeLeases(out, starved);
    if (!areWorkersMissing) return out;
    const wanted = this.#workersWanted();
    for (const [kindKey, { kind, count }] of wanted) {
      while (this.#workers.starting(kindKey) < count) out.push(this.#startWorker(kind));
    }
    // What is idle, of kinds that nobody waits for, goes beyond the warm ones: the first to go is the one not used for longest.
    out.push(...this.#workers.idle().filter((worker) => !wanted.has(worker.kindKey)).slice(this.#limits.warmWorkersMin).map(stop));
    return out;
  }

  /** How many more workers could be put to use at once, by the key of their kind: no more than there are resources for. */
  #workersWanted(): Map<string, { readonly kind: WorkerKind; count: number }> {
    const wanted = new Map<string, { readonly kind: WorkerKind; count: number }>();
    const want = (kindKey: string, kind: WorkerKind, count: number): void => {
      const known = wanted.get(kindKey);
      if (known !== undefined) known.count += count;
      else if (count > 0) wanted.set(kindKey, { kind, count });
    };
    const room = this.ledger.free();
    for (const { holds, kind, kindKey } of this.#placements) {
      if (!room.hasRoomFor(holds)) continue;
      room.take(holds);
      want(kindKey, kind, 1);
    }
    for (const { target, granted, jobId, kindKey, shape: { resources, workerKind } } of this.#demands.values()) {
      if (isZero(resources)) {
        want(kindKey, workerKind, Math.max(0, Math.min(target - granted, this.#limits.taskWorkersMax - this.#workers.taskWorkerCountOf(kindKey, jobId))));
        continue;
      }
      for (let missing = target - granted; missing > 0 && room.hasRoomFor(resources); missing--) {
        room.take(resources);
        want(kindKey, workerKind, 1);
      }
    }
    return wanted;
  }

  /** True if one waits for a worker. */
  #scheduleActors(out: LeaseInstruction[]): boolean {
    let isWorkerMissing = false;
    for (let index = 0; index < this.#placements.length; ) {
      const placement = this.#placements[index] as ActorPlacement;
      if (!this.ledger.hasRoomFor(placement.holds)) { index++; continue; }
      const worker = this.#workers.findIdle(placement.kindKey, placement.jobId, null);
      if (worker === undefined) { isWorkerMissing = true; index++; continue; }
      this.#use(worker, placement.jobId, out);
      worker.actorId = placement.actorId;
      worker.actorHolds = placement.holds;
      worker.acceleratorIds = this.ledger.take(placement.holds);
      this.#placements.splice(index, 1);
      out.push({ type: "placeActor", actorId: placement.actorId, workerId: worker.workerId });
    }
    return isWorkerMissing;
  }

  /** True if a demand waits for a worker. */
  #scheduleDemands(out: LeaseInstruction[]): boolean {
    let isWorkerMissing = false;
    const demands = [...this.#demands.values()].filter((demand) => demand.granted < demand.target);
    if (demands.length > 1) demands.sort((a, b) => b.priority - a.priority);
    for (const demand of demands) {
      while (demand.granted < demand.target) {
        if (!this.ledger.hasRoomFor(demand.shape.resources)) break;
        const worker = this.#findTaskWorker(demand);
        if (worker === undefined) { isWorkerMissing = true; break; }
        this.#openLease(demand, worker, out);
      }
    }
    return isWorkerMissing;
  }

  #use(worker: PoolWorker, jobId: JobId, out: LeaseInstruction[]): void {
    this.#workers.used(worker);
    if (worker.jobId !== null) return;
    worker.jobId = jobId;
    if (jobId !== this.#firstJobId) out.push({ type: "assignJob", workerId: worker.workerId, jobId });
  }

  #openLease(demand: Demand, worker: PoolWorker, out: LeaseInstruction[]): void {
    this.#use(worker, demand.jobId, out);
    const { resources } = demand.shape;
    const keeps = keptWhileWaiting(resources);
    const slotHolds = keeps === null ? resources : without(resources, keeps);
    const acceleratorIds = this.ledger.take(resources);
    const lease: Lease = { leaseId: this.#nextLeaseId++, ownerId: demand.ownerId, workerId: worker.workerId, key: demand.key, shape: demand.shape, slots: 1, wantsSlot: false, isRevokeSent: false, keeps, slotHolds, acceleratorIds };
    this.#leases.set(lease.leaseId, lease);
    worker.leases.set(lease.leaseId, lease);
    worker.lastOwnerId = demand.ownerId;
    demand.granted++;
    out.push({ type: "openLease", leaseId: lease.leaseId, workerId: worker.workerId, ownerId: demand.ownerId, key: demand.key, shape: demand.shape, acceleratorIds });
  }

  #findTaskWorker(demand: Demand): PoolWorker | undefined {
    const { jobId, kindKey, shape: { resources } } = demand;
    // A worker whose tasks all wait can run what they wait for: no thread switch, and no worker per level of nesting.
    const self = this.#workers.get(demand.ownerId);
    if (self !== undefined && self.kindKey === kindKey && isFreeForTasks(self)) return self;
    const idle = this.#workers.findIdle(kindKey, jobId, demand.ownerId);
    if (idle !== undefined) return idle;
    let least: PoolWorker | undefined;
    for (const worker of this.#workers.values()) {
      if (worker.kindKey !== kindKey || worker.actorId !== null || worker.isStopping || !worksFor(worker, jobId)) continue;
      if (isFreeForTasks(worker)) return worker;
      if (least === undefined || worker.leases.size < least.leases.size) least = worker;
    }
    if (isZero(resources) && this.#workers.taskWorkerCountOf(kindKey, jobId) >= this.#limits.taskWorkersMax) return least;
    return undefined;
  }

  #grantSlots(out: LeaseInstruction[]): void {
    for (const lease of this.#leases.values()) {
      // With a slot of its own again (a waiting task went on) it needs no other for now.
      if (!lease.wantsSlot || lease.slots > 0) continue;
      const worker = this.#workers.get(lease.workerId) as PoolWorker;
      if (!this.ledger.hasRoomFor(lease.slotHolds) || activeSlots(worker) > 0) continue;
      lease.wantsSlot = false;
      lease.slots++;
      this.ledger.take(lease.slotHolds);
      out.push({ type: "grantSlot", leaseId: lease.leaseId, workerId: lease.workerId });
    }
  }

  /** Who waits for resources that are in use, after all that could be granted was. */
  #findStarved(): Set<string> {
    const starved = new Set<string>();
    for (const { actorId, holds } of this.#placements) if (!this.ledger.hasRoomFor(holds)) starved.add(actorId);
    for (const demand of this.#demands.values()) if (demand.granted < demand.target && !this.ledger.hasRoomFor(demand.shape.resources)) starved.add(sharerOf(demand));
    for (const lease of this.#leases.values()) if (lease.wantsSlot && lease.slots === 0) starved.add(sharerOf(lease));
    return starved;
  }

  /** Asks leases back for others that wait; taking one from an owner to give it to the same queue would change nothing. */
  #revokeLeases(out: LeaseInstruction[], starved: ReadonlySet<string>): void {
    for (const lease of this.#leases.values()) {
      if (lease.slots === 0 || lease.isRevokeSent || (starved.size === 1 && starved.has(sharerOf(lease)))) continue;
      lease.isRevokeSent = true;
      out.push({ type: "revoke", leaseId: lease.leaseId, workerId: lease.workerId });
    }
  }

  /** Of the actor that lives there, or null when it has none. */
  acceleratorsOf(workerId: WorkerId): AcceleratorIds | null {
    return this.#workers.get(workerId)?.acceleratorIds ?? null;
  }

  /** After the last event: whether somebody wants resources that are in use. */
  get isAnybodyStarved(): boolean {
    return this.#isAnybodyStarved;
  }

  /** Who waits for what only actors, or waiting tasks, could give back. */
  heldUp(): HeldUp[] {
    const demands = [...this.#demands.values()].filter(({ granted, target }) => granted < target).map(({ ownerId, key, shape }) => ({ wanted: shape.resources, task: { ownerId, key }, actorId: null }));
    const placements = this.#placements.map(({ actorId, holds }) => ({ wanted: holds, task: null, actorId }));
    const actorHolds = [...this.#workers.values()].map((worker) => worker.actorHolds).filter((holds) => holds !== null);
    return findHeldUp([...demands, ...placements], this.ledger, this.#leases.values(), actorHolds);
  }

  /** For state queries and tests. */
  snapshot(): { leases: number; workers: number; demandsWaiting: number; actorsWaiting: number } {
    let demandsWaiting = 0;
    for (const demand of this.#demands.values()) demandsWaiting += Math.max(0, demand.target - demand.granted);
    return { leases: this.#leases.size, workers: this.#workers.size, demandsWaiting, actorsWaiting: this.#placements.length };
  }
}

/** Owner and key: what shares leases. */
function sharerOf(holder: { readonly ownerId: WorkerId; readonly key: string }): string {
  return `${holder.ownerId}/${holder.key}`;
}

function stop(worker: PoolWorker): LeaseInstruction {
  worker.isStopping = true;
  return { type: "stopWorker", workerId: worker.workerId };
}
