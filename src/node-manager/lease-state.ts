import { invariant, nodeKeyOf, type AcceleratorIds, type ActorId, type JobId, type NodeKey, type PlacementGroupId, type ResourceAmounts, type SystemErrorRecord, UNITS_PER_RESOURCE, type WorkerId } from "../base/mod.ts";
import { type BundleRecord, type LeaseEvent, type LeaseShape, type WantRecord, type WorkerKind, workerKindKeyOf } from "../protocol/mod.ts";
import { describeLack, plainAccelerators, ResourceLedger, takenFromNode } from "../scheduling/mod.ts";
import { BundleHolds } from "./bundle-holds.ts";
import { workersToEnd } from "./forced-ends.ts";
import { Granting } from "./granting.ts";
import { findHeldUp, type HeldUp, waitingFor } from "./held-up.ts";
import { KeptTurns } from "./kept-turns.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { recalls, revocations } from "./lease-recalls.ts";
import { leaseWaits, type LeaseWaits } from "./lease-waits.ts";
import { type ActorPlacement, type Demand, findStarved, isAskedFor, wishesWithRoom, workersWanted } from "./wishes.ts";
import { holdingsOf, isIdle, isOfAny, jobOfWorker, type Lease, type PoolWork, type PoolWorker, WorkerPool } from "./worker-pool.ts";

const NONE_MISSING: ReadonlyMap<string, WorkerKind> = new Map();
/** At how many looks a worker beyond the warm ones may be idle before it ends: while there are no more of them than processors, and when there are. */
const IDLE_LOOKS_MAX = { ofProcessors: 60, beyond: 1 } as const;

export interface LeaseLimits {
  /** Workers kept warm, also when idle. */
  readonly warmWorkersMin: number;
  /** Task workers of one kind; actors are not counted. Above it, tasks that take no resources share workers. */
  readonly taskWorkersMax: number;
  /** No other node chooses by what is free here. */
  readonly isAlone?: boolean;
}

/** Jobs whose driver is gone, so that workers of theirs that come free are stopped. */
const ENDED_JOBS_REMEMBERED_MAX = 1_000;

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
 * (1) An owner declares how many leases of a key it ever wanted. What there is goes to the job that has least of the machine; within it to
 *     actors, then to demands by their priority, of equal ones to that which has least; then to leases that want a slot.
 * (2) Its tasks wait for objects and none is left to run: the processors go back to the node. What a task keeps while it waits
 *     (an accelerator, memory, resources of the user's own) the lease keeps until it is gone, and runs no other task meanwhile.
 * (3) A task goes on after waiting: it takes a slot back at once, even if the ledger goes below zero; nothing new starts
 *     until it is not.
 * (4) A lease whose slots are all given back asks for one when it has queued tasks.
 * (5) Only the worker ends a lease, so that no task is sent to a lease that is gone unnoticed. The node manager asks for
 *     it (`revoke`) when others wait: an idle lease ends at once, a busy one when its time slice is over, if they wait here.
 * (6) Everything that the lease held is given back. If another job could take it, the owner is asked first what it wants now (`KeptTurns`).
 *
 * Actors take a worker for themselves and hold only what they were given explicitly.
 *
 * A worker is of one kind for good: it serves only what wants exactly that. When one of a missing kind starts, idle workers of
 * others make room for it.
 *
 * Several programs may share the machine: each is a *job*. All that runs descends from a *root*: the driver of its program, or the worker
 * of a detached actor. A worker belongs to the root that used it first, for good, since what code leaves behind in it is no other's
 * concern. When a root is lost, on whichever node, all workers of its end, whatever they do, but for those with actors: the GCS ends these
 * with their owners. What detached actors of the program have had started stays, for its root is another.
 *
 * A node that *drains* opens no lease and places no actor. Its leases end with the tasks that have started, idle workers end.
 */
export class LeaseState {
  readonly ledger: ResourceLedger;
  readonly #bundles: BundleHolds;
  readonly #limits: LeaseLimits;
  readonly #processors: number;
  readonly #workers = new WorkerPool();
  readonly workersFor = (ownerId: WorkerId): Set<WorkerId> => new Set([...this.#leases.values()].filter((lease) => lease.ownerId === ownerId).map(({ workerId }) => workerId));
  readonly working = (): Iterable<PoolWork> => this.#workers.working();
  readonly pool = (): Iterable<PoolWorker> => this.#workers.values();
  readonly areManyIdle = (): boolean => this.#workers.idle().length > this.#warmWorkersMin;
  readonly areBundlesEnding = (): boolean => this.#bundles.areEnding;
  readonly #leases = new Map<number, Lease>();
  readonly #demands = new Map<string, Demand>();
  readonly #placements = new Map<ActorId, ActorPlacement>();
  /** Whom the drivers, but for the first one, and owners on other nodes work for. */
  readonly #owners = new Map<WorkerId, { readonly jobId: JobId; readonly rootId: WorkerId }>();
  readonly #endedJobs = new Set<JobId>();
  readonly #firstJobId: JobId;
  readonly #keptTurns = new KeptTurns();
  readonly #granting: Granting;
  #isAnybodyStarved = false;
  #wantedElsewhere: readonly WantRecord[] = [];
  #isDraining = false;

  /** `firstJobId`: of the program that started all this. `firstLeaseId`: those of other nodes are far from it. */
  constructor(totals: ResourceAmounts, limits: LeaseLimits, firstJobId: JobId, acceleratorIds: AcceleratorIds = {}, firstLeaseId = 1) {
    this.ledger = new ResourceLedger(totals, acceleratorIds);
    this.#bundles = new BundleHolds(this.ledger);
    this.#limits = limits;
    this.#processors = Math.floor((totals["CPU"] ?? 0) / UNITS_PER_RESOURCE);
    this.#firstJobId = firstJobId;
    this.#granting = new Granting({ ledger: this.ledger, workers: this.#workers, leases: this.#leases, placements: this.#placements, keptTurns: this.#keptTurns, taskWorkersMax: limits.taskWorkersMax, firstJobId, firstLeaseId });
  }

  /** Nothing new from now on: whoever waits here looks elsewhere. */
  drain(): LeaseInstruction[] {
    this.#isDraining = true;
    const declined = Array.from(this.#placements.keys(), (actorId) => ({ type: "declineActor" as const, actorId }));
    this.#placements.clear();
    this.#demands.clear();
    return [...declined, ...endLeases(this.#leases.values()), ...this.#bundles.refuseWaiting(), ...this.#schedule()];
  }

  get isDrained(): boolean { return this.#isDraining && this.#workers.size === 0; }

  /** A driver, or an owner on another node. */
  ownerSeen(ownerId: WorkerId, jobId: JobId, rootId = ownerId): void { this.#owners.set(ownerId, { jobId, rootId }); }

  /** Owners and roots of another node. */
  ownersOf(node: NodeKey): Set<WorkerId> {
    const roots = Array.from(this.#workers.values(), ({ rootId }) => rootId).filter((rootId) => rootId !== null);
    return new Set([...this.#owners.keys(), ...roots].filter((ownerId) => nodeKeyOf(ownerId) === node));
  }

  driverLost(driverId: WorkerId, jobId = this.jobOf(driverId)): LeaseInstruction[] {
    this.#owners.delete(driverId);
    this.#endedJobs.add(jobId);
    this.#forgetEndedJobs();
    const ended = this.ownerLost(driverId);
    // Those of detached actors, and what was started for it and never used.
    for (const worker of this.#workers.values()) if (isIdle(worker) && this.#isOver(worker)) ended.push(stop(worker));
    return ended;
  }

  /** One with a worker here is remembered: its detached actors may go on. */
  #forgetEndedJobs(): void {
    if (this.#endedJobs.size <= ENDED_JOBS_REMEMBERED_MAX) return;
    const used = new Set(Array.from(this.#workers.values(), jobOfWorker));
    for (const jobId of this.#endedJobs) if (!used.has(jobId)) return void this.#endedJobs.delete(jobId);
  }

  /** The job that whoever submits works for. */
  jobOf(ownerId: WorkerId): JobId {
    return this.#workers.get(ownerId)?.jobId ?? this.#owners.get(ownerId)?.jobId ?? this.#firstJobId;
  }

  /** What whoever submits, or makes an actor, descends from. */
  rootOf(ownerId: WorkerId): WorkerId { return this.#workers.get(ownerId)?.rootId ?? this.#owners.get(ownerId)?.rootId ?? ownerId; }

  #endWorkersOf(rootId: WorkerId): LeaseInstruction[] {
    const ending: LeaseInstruction[] = [];
    for (const worker of this.#workers.values()) {
      if (worker.rootId !== rootId || worker.actorId !== null) continue;
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
  workerExpected(kind: WorkerKind): void { this.#workers.starts(kind); }

  workerAdded(workerId: WorkerId, kind: WorkerKind): LeaseInstruction[] {
    this.#workers.startEnded(kind);
    this.#workers.add(workerId, kind);
    const instructions = this.#schedule();
    const worker = this.#workers.get(workerId) as PoolWorker;
    // Its program has ended while it was starting.
    return isIdle(worker) && this.#isOver(worker) ? [...instructions, stop(worker)] : instructions;
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
    for (const { actorId } of [...this.#placements.values()].filter((placement) => placement.kindKey === kindKey)) {
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
      this.#owners.delete(workerId);
      return this.ownerLost(workerId);
    }
    this.#workers.delete(workerId);
    for (const lease of worker.leases.values()) this.#closeLease(lease);
    if (worker.actorHolds !== null) this.ledger.give(worker.actorHolds, worker.acceleratorIds);
    return this.ownerLost(workerId);
  }

  /** Leases of a lost owner are closed by their workers, which see its channel close; its wishes end here, and all that descends from it if it is a root. */
  ownerLost(ownerId: WorkerId): LeaseInstruction[] {
    this.#keptTurns.ownerLost(ownerId);
    for (const [id, demand] of this.#demands) if (demand.ownerId === ownerId || demand.rootId === ownerId) this.#demands.delete(id);
    return [...this.#endWorkersOf(ownerId), ...this.#schedule()];
  }

  demand(ownerId: WorkerId, key: string, shape: LeaseShape, target: number, priority: number): LeaseInstruction[] {
    if (this.#isDraining) return []; // The owner's node asks others.
    if (target === 0 && shape.arguments?.type === "named") return this.#endDemand(`${ownerId}/${key}`);
    if (shape.bundle !== null) this.#bundles.wanted(shape.bundle.groupId);
    else if (!this.ledger.canEverHold(shape.resources)) {
      const message = `needs ${describeLack(shape.resources, this.ledger.totals)}, so it can never run here; ask for less, or give the cluster more (init({ numCpus, resources }))`;
      return [{ type: "refuse", ownerId, key, error: { kind: "TaskUnschedulableError", message, subjectId: null } }];
    }
    const id = `${ownerId}/${key}`;
    const known = this.#demands.get(id);
    if (known === undefined) this.#demands.set(id, { ownerId, jobId: this.jobOf(ownerId), rootId: this.rootOf(ownerId), key, shape, holdings: holdingsOf(shape), kindKey: workerKindKeyOf(shape.workerKind), priority, target, granted: 0 });
    else {
      known.target = target;
      known.priority = priority;
    }
    return this.#schedule();
  }

  /** Its owner has all that it wants, and will not ask under this key again. */
  #endDemand(id: string): LeaseInstruction[] { return this.#demands.delete(id) ? this.#schedule() : []; }

  placeActor(actorId: ActorId, kind: WorkerKind, resources: ResourceAmounts, jobId: JobId, bundle: BundleRecord | null = null, mayRestart = false, rootId: WorkerId | null = null): LeaseInstruction[] {
    if (this.#isDraining) return [{ type: "declineActor", actorId }];
    if (bundle !== null) this.#bundles.wanted(bundle.groupId);
    else if (!this.ledger.canEverHold(resources)) {
      const message = `needs ${describeLack(resources, this.ledger.totals)}, so it can never start here; ask for less, or give the cluster more (init({ numCpus, resources }))`;
      return [{ type: "refuseActor", actorId, error: { kind: "ActorUnschedulableError", message, subjectId: actorId } }];
    }
    this.#placements.set(actorId, { actorId, jobId, rootId, kind, kindKey: workerKindKeyOf(kind), groupId: bundle?.groupId ?? null, holds: takenFromNode(resources, bundle), mayRestart });
    return this.#schedule();
  }

  /** The actor is not wanted any more before it was placed. */
  cancelPlacement(actorId: ActorId): LeaseInstruction[] { return this.#placements.delete(actorId) ? this.#schedule() : []; }

  /** As above, and whoever has sent it here is told. */
  withdrawActor(actorId: ActorId): LeaseInstruction[] { return this.#placements.has(actorId) ? [{ type: "declineActor", actorId }, ...this.cancelPlacement(actorId)] : []; }

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
        if (lease.slots === 0) lease.isRevokeSent = lease.isRecalled = false;
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

  /** The owner has heard of this lease's end, and has said what it wants now; or it has had its time for that. */
  leaseSettled(leaseId: number): LeaseInstruction[] { return this.#keptTurns.settled(leaseId) ? this.#schedule() : []; }

  #closeLease(lease: Lease): void {
    this.#leases.delete(lease.leaseId);
    this.#workers.get(lease.workerId)?.leases.delete(lease.leaseId);
    if (lease.slots > 0) this.#keptTurns.leaseClosed(lease);
    for (; lease.slots > 0; lease.slots--) this.ledger.give(lease.slotHolds);
    if (lease.keeps !== null) this.ledger.give(lease.keeps, lease.acceleratorIds);
  }

  /** A look at what is idle: workers beyond the warm ones that nobody has used for `IDLE_LOOKS_MAX`; while it drains, at once, also those that have refused. */
  stopIdleWorkers(): LeaseInstruction[] {
    if (this.#isDraining) return [...this.#workers.values()].filter(({ actorId, leases }) => actorId === null && leases.size === 0).map(stop);
    const idle = this.#workers.idle();
    const looksMax = (place: number): number => place < this.#warmWorkersMin ? Infinity : place < this.#processors ? IDLE_LOOKS_MAX.ofProcessors : IDLE_LOOKS_MAX.beyond;
    return [...idle.filter((worker) => this.#isOver(worker)), ...this.#workers.stillIdle(idle.filter((other) => !this.#isOver(other)), looksMax)].map(stop);
  }

  #isOver(worker: PoolWorker): boolean { return isOfAny(worker, this.#endedJobs); }

  /** An idle worker does not end: it owns what others still use, or awaits what it has called. */
  stopRefused(workerId: WorkerId): LeaseInstruction[] {
    const worker = this.#workers.get(workerId);
    if (worker !== undefined) worker.isStopping = this.#isDraining;
    return this.#schedule();
  }

  /** Brings the number of workers for tasks, of whatever kind, up to what is kept warm. */
  keepWarm(kind: WorkerKind): LeaseInstruction[] {
    const missing = this.#warmWorkersMin - this.#workers.taskWorkerCount();
    return Array.from({ length: Math.max(0, missing) }, () => this.#startWorker(kind));
  }

  #startWorker(kind: WorkerKind): LeaseInstruction {
    this.#workers.starts(kind);
    return { type: "startWorker", kind };
  }

  #schedule(): LeaseInstruction[] {
    const out: LeaseInstruction[] = this.#bundles.settle();
    if (this.#isQuiet) return out;
    const wishes = wishesWithRoom(this.#placements.values(), this.#demands.values(), this.#leases.values(), this.ledger);
    out.push(...this.#keptTurns.ask(wishes, this.#demands));
    const missing = wishes === null ? NONE_MISSING : this.#granting.grant(wishes, out);
    const starved = findStarved(this.#bundles.waitingGroups(), this.#placements.values(), this.#demands.values(), this.#leases.values(), this.ledger);
    this.#isAnybodyStarved = starved.size > 0;
    if (starved.size > 0) out.push(...revocations(this.#leases.values(), starved));
    if (this.#wantedElsewhere.length > 0) out.push(...recalls(this.#leases.values(), this.#wantedElsewhere, this.ledger));
    if (this.#isDraining) out.push(...this.#workers.idle().map(stop));
    if (missing.size === 0) return out;
    const wanted = workersWanted(this.#placements.values(), this.#demands.values(), this.#workers, this.ledger, this.#limits.taskWorkersMax);
    // The turns of other kinds are kept.
    for (const [kindKey, { kind, count }] of wanted) if (missing.has(kindKey)) while (this.#workers.starting(kindKey) < count) out.push(this.#startWorker(kind));
    // Others have taken the room meanwhile; at the next turn there is a worker.
    for (const [kindKey, kind] of missing) if (this.#workers.starting(kindKey) === 0) out.push(this.#startWorker(kind));
    // What is idle, of kinds that nobody waits for, goes beyond the warm ones: the first to go is the one not used for longest.
    out.push(...this.#workers.idle().filter((worker) => !wanted.has(worker.kindKey)).slice(this.#warmWorkersMin).map(stop));
    return out;
  }

  /** Nobody has or wants anything but bundles: those come and go by the thousand. */
  get #isQuiet(): boolean { return this.#leases.size + this.#demands.size + this.#placements.size === 0 && !this.#isDraining && !this.#isAnybodyStarved && !this.#bundles.areWaiting; }
  get #warmWorkersMin(): number { return this.#isDraining ? 0 : this.#limits.warmWorkersMin; }

  /** What tasks of other nodes and actors wait for, each of which this node could hold. */
  wantedElsewhere(wanted: readonly WantRecord[]): LeaseInstruction[] {
    this.#wantedElsewhere = wanted;
    return this.#schedule();
  }

  // ------------------------------------------------------------------ placement groups

  prepareBundles(groupId: PlacementGroupId, attempt: number, bundles: readonly (readonly [number, ResourceAmounts])[], waits: boolean): LeaseInstruction[] {
    if (this.#isDraining) return [{ type: "bundlesRefused", groupId, attempt }];
    return [...this.#bundles.prepare(groupId, attempt, bundles, waits), ...this.#schedule()];
  }

  commitBundles(groupId: PlacementGroupId, attempt: number): LeaseInstruction[] {
    const isWanted = this.#limits.isAlone !== true || isAskedFor(groupId, this.#demands.values(), this.#placements.values());
    return [...this.#bundles.commit(groupId, attempt, isWanted), ...this.#schedule()];
  }

  /** `attempt` null: all of the group. Its leases are to end. */
  endBundles(groupId: PlacementGroupId, attempt: number | null): LeaseInstruction[] {
    const ending = this.#bundles.end(groupId, attempt) ? this.leasesIn(groupId) : [];
    return [...endLeases(ending), ...this.#schedule()];
  }

  leasesIn(groupId: PlacementGroupId): Lease[] {
    return [...this.#leases.values()].filter(({ shape }) => shape.bundle?.groupId === groupId);
  }

  /** Those who wait for leases in the group and for whom there is an error. */
  refuseInGroup(groupId: PlacementGroupId, errorFor: (shape: LeaseShape) => SystemErrorRecord | null): LeaseInstruction[] {
    const refused: LeaseInstruction[] = [];
    for (const [id, { ownerId, key, shape, granted, target }] of this.#demands) {
      const error = shape.bundle?.groupId === groupId ? errorFor(shape) : null;
      if (error === null) continue;
      this.#demands.delete(id);
      if (granted < target) refused.push({ type: "refuse", ownerId, key, error });
    }
    return refused;
  }

  /** Of the actor that lives there, or null when it has none. */
  acceleratorsOf(workerId: WorkerId): AcceleratorIds | null {
    const ids = this.#workers.get(workerId)?.acceleratorIds ?? null;
    return ids === null ? null : plainAccelerators(ids);
  }

  /** After the last event: whether somebody wants resources that are in use. */
  get isAnybodyStarved(): boolean { return this.#isAnybodyStarved; }

  /** Who waits for what only actors, or waiting tasks, could give back. */
  heldUp(where: string): HeldUp[] {
    return findHeldUp(waitingFor(this.#demands.values(), this.#placements.values()).filter(({ wanted }) => this.ledger.canEverHold(wanted)), this.ledger, this.#leases.values(), this.#workers.actorHolds, where);
  }

  waits(): LeaseWaits { return leaseWaits(this.#demands.values(), this.#placements.values(), this.#workers, this.#leases.values(), this.ledger); }
  /** For state queries and tests. */
  snapshot(): { leases: number; workers: number; demandsWaiting: number; actorsWaiting: number } {
    const demandsWaiting = [...this.#demands.values()].reduce((sum, { target, granted }) => sum + Math.max(0, target - granted), 0);
    return { leases: this.#leases.size, workers: this.#workers.size, demandsWaiting, actorsWaiting: this.#placements.size };
  }
}

function stop(worker: PoolWorker): LeaseInstruction {
  worker.isStopping = true;
  return { type: "stopWorker", workerId: worker.workerId };
}

function endLeases(leases: Iterable<Lease>): LeaseInstruction[] {
  return Array.from(leases, ({ leaseId, workerId }) => ({ type: "endLease", leaseId, workerId }));
}
