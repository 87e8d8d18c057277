import { isZero, type ActorId, type JobId, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import type { WorkerKind } from "../protocol/mod.ts";
import { plainAccelerators, type ResourceLedger } from "../scheduling/mod.ts";
import type { KeptTurns } from "./kept-turns.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import { inTurns, Kept, LastTurns } from "./turns.ts";
import { type ActorPlacement, type Demand, sharerOf, sharesOfDemands, sharesOfJobs, type Wishes } from "./wishes.ts";
import { activeSlots, type Lease, type PoolWorker, type WorkerPool } from "./worker-pool.ts";

/** Of LeaseState, which it changes. */
export interface GrantingParts {
  readonly ledger: ResourceLedger;
  readonly workers: WorkerPool;
  readonly leases: Map<number, Lease>;
  readonly placements: Map<ActorId, ActorPlacement>;
  readonly keptTurns: KeptTurns;
  readonly taskWorkersMax: number;
  readonly firstJobId: JobId;
  readonly firstLeaseId: number;
}

/** Set aside while the other jobs have their turns. */
interface Reserved {
  readonly jobId: JobId;
  readonly holds: ResourceAmounts;
  /** Not against actors alone. */
  readonly isForAll: boolean;
}

/** Of one event. */
interface Round {
  readonly out: LeaseInstruction[];
  readonly missing: Map<string, WorkerKind>;
  readonly reserved: Reserved[];
  readonly hasSeveralJobs: boolean;
}

/**
 * Who gets what is free: the job that has least of the machine, and within it as (1) of LeaseState says. Pure.
 *
 * A job keeps its turn while what it would take waits for a worker that starts, or while nobody knows whether it wants anything
 * (`KeptTurns`). Until then no other takes that. Only leases may where a worker starts, which can take minutes: they end after their
 * time slice, an actor would stay.
 */
export class Granting {
  readonly #parts: GrantingParts;
  /** Of jobs, and of demands by what `sharerOf` says. */
  readonly #lastTurns = new LastTurns();
  #nextLeaseId: number;

  constructor(parts: GrantingParts) {
    this.#parts = parts;
    this.#nextLeaseId = parts.firstLeaseId;
  }

  /** The kinds of workers that somebody needs whose turn it was, by their keys. */
  grant(wishes: ReadonlyMap<JobId, Wishes>, out: LeaseInstruction[]): ReadonlyMap<string, WorkerKind> {
    const { ledger, workers, leases, keptTurns } = this.#parts;
    const jobs = new Set([...wishes.keys(), ...keptTurns.jobs()]);
    const missing = new Map<string, WorkerKind>();
    for (;;) {
      const round: Round = { out, missing, reserved: [], hasSeveralJobs: jobs.size > 1 };
      const granted = out.length;
      const takers = new Map(Array.from(jobs, (jobId) => [jobId, this.#grantJob(jobId, wishes.get(jobId), round)]));
      for (const _ of inTurns(takers, () => sharesOfJobs(ledger.totals, workers.values(), leases.values()), this.#lastTurns)) continue;
      // What was granted may have made it another one's turn.
      if (round.reserved.length === 0 || out.length === granted) return missing;
    }
  }

  /** One thing after the other. */
  *#grantJob(jobId: JobId, wishes: Wishes | undefined, round: Round): Generator<ResourceAmounts | Kept> {
    if (wishes !== undefined) yield* this.#grantWishes(wishes, round);
    for (const holds of this.#parts.keptTurns.of(jobId)) if (this.#reserve({ jobId, holds, isForAll: true }, round)) yield new Kept(holds);
  }

  *#grantWishes({ placements, demands, leases }: Wishes, round: Round): Generator<ResourceAmounts | Kept> {
    for (const placement of placements) {
      const taken = this.#placeActor(placement, round);
      if (taken !== null) yield taken;
    }
    const priorities = new Set(demands.map(({ priority }) => priority));
    for (const priority of [...priorities].sort((a, b) => b - a)) {
      const takers = demands.filter((demand) => demand.priority === priority).map((demand) => [sharerOf(demand), this.#grantLeases(demand, round)] as const);
      yield* inTurns(new Map(takers), () => sharesOfDemands(this.#parts.ledger.totals, this.#parts.leases.values()), this.#lastTurns);
    }
    for (const lease of leases) if (this.#grantSlot(lease, round)) yield lease.slotHolds;
  }

  #placeActor({ actorId, jobId, rootId, holds, kind, kindKey, mayRestart }: ActorPlacement, round: Round): ResourceAmounts | Kept | null {
    const { ledger, workers, placements } = this.#parts;
    if (!placements.has(actorId) || !this.#hasRoom(jobId, holds, true, round)) return null;
    const worker = workers.findIdle(kindKey, rootId, null);
    if (worker === undefined) {
      round.missing.set(kindKey, kind);
      return this.#reserve({ jobId, holds, isForAll: false }, round) ? new Kept(holds) : null;
    }
    this.#use(worker, jobId, rootId ?? worker.workerId, round);
    worker.actorId = actorId;
    worker.actorHolds = holds;
    worker.actorMayRestart = mayRestart;
    worker.acceleratorIds = ledger.take(holds);
    placements.delete(actorId);
    round.out.push({ type: "placeActor", actorId, workerId: worker.workerId });
    return holds;
  }

  *#grantLeases(demand: Demand, round: Round): Generator<ResourceAmounts | Kept> {
    const { jobId, rootId, ownerId, kindKey, holdings: { all }, shape: { resources, workerKind } } = demand;
    for (let reserved = 0; demand.granted + reserved < demand.target && this.#hasRoom(jobId, all, false, round);) {
      const worker = this.#parts.workers.findForTask(kindKey, rootId, ownerId, resources, this.#parts.taskWorkersMax);
      if (worker !== undefined) {
        this.#openLease(demand, worker, round);
        yield all;
        continue;
      }
      round.missing.set(kindKey, workerKind);
      if (!this.#reserve({ jobId, holds: all, isForAll: false }, round)) return;
      reserved++;
      yield new Kept(all);
    }
  }

  #grantSlot(lease: Lease, round: Round): boolean {
    const worker = this.#parts.workers.get(lease.workerId) as PoolWorker;
    if (!lease.wantsSlot || !this.#hasRoom(lease.jobId, lease.slotHolds, false, round) || activeSlots(worker) > 0) return false;
    lease.wantsSlot = false;
    lease.slots++;
    this.#parts.ledger.take(lease.slotHolds);
    round.out.push({ type: "grantSlot", leaseId: lease.leaseId, workerId: lease.workerId });
    return true;
  }

  #use(worker: PoolWorker, jobId: JobId, rootId: WorkerId, { out }: Round): void {
    this.#parts.workers.used(worker);
    if (worker.jobId !== null) return;
    worker.jobId = jobId;
    worker.rootId = rootId;
    if (jobId !== this.#parts.firstJobId) out.push({ type: "assignJob", workerId: worker.workerId, jobId });
  }

  #openLease(demand: Demand, worker: PoolWorker, round: Round): void {
    const { ledger, leases } = this.#parts;
    this.#use(worker, demand.jobId, demand.rootId, round);
    const { all, keeps, slotHolds } = demand.holdings;
    const acceleratorIds = ledger.take(all);
    const lease: Lease = { leaseId: this.#nextLeaseId++, jobId: demand.jobId, ownerId: demand.ownerId, workerId: worker.workerId, key: demand.key, shape: demand.shape, slots: 1, wantsSlot: false, isRevokeSent: false, isRecalled: false, keeps, slotHolds, acceleratorIds };
    leases.set(lease.leaseId, lease);
    worker.leases.set(lease.leaseId, lease);
    worker.lastOwnerId = demand.ownerId;
    demand.granted++;
    round.out.push({ type: "openLease", leaseId: lease.leaseId, workerId: worker.workerId, ownerId: demand.ownerId, key: demand.key, shape: demand.shape, acceleratorIds: acceleratorIds === null ? null : plainAccelerators(acceleratorIds) });
  }

  /** Beside what is set aside for other jobs. */
  #hasRoom(jobId: JobId, holds: ResourceAmounts, isForGood: boolean, { reserved }: Round): boolean {
    return this.#parts.ledger.hasRoomFor(holds) && (reserved.length === 0 || this.#fitsBeside(reserved.filter((other) => other.jobId !== jobId && (isForGood || other.isForAll)), holds));
  }

  /** False where there is nobody to set it aside from, or no room for it. */
  #reserve(wanted: Reserved, { reserved, hasSeveralJobs }: Round): boolean {
    if (!hasSeveralJobs || isZero(wanted.holds) || !this.#fitsBeside(reserved, wanted.holds)) return false;
    reserved.push(wanted);
    return true;
  }

  #fitsBeside(reserved: readonly Reserved[], holds: ResourceAmounts): boolean {
    for (const name in holds) {
      const free = reserved.reduce((left, other) => left - (other.holds[name] ?? 0), this.#parts.ledger.available[name] ?? 0);
      if (free < (holds[name] as number)) return false;
    }
    return true;
  }
}
