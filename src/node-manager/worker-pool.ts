import { isZero, type AcceleratorIds, type ActorId, type JobId, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import { type LeaseShape, type WorkerKind, workerKindKeyOf } from "../protocol/mod.ts";
import { inBundle, keptWhileWaiting, takenFromNode, without } from "../scheduling/mod.ts";
import type { Working } from "./memory-pressure.ts";

/** How what a lease has is divided. */
export interface LeaseHoldings {
  readonly all: ResourceAmounts;
  /** What each slot holds, and what the lease itself does. */
  readonly slotHolds: ResourceAmounts;
  readonly keeps: ResourceAmounts | null;
}

/** In a placement group it is all taken from the group's part of the node. */
export function holdingsOf({ resources, bundle }: LeaseShape): LeaseHoldings {
  const all = takenFromNode(resources, bundle);
  const kept = keptWhileWaiting(resources);
  const keeps = kept === null || bundle === null ? kept : inBundle(kept, bundle);
  return { all, slotHolds: keeps === null ? all : without(all, keeps), keeps };
}

export interface Lease {
  readonly leaseId: number;
  readonly jobId: JobId;
  readonly ownerId: WorkerId;
  readonly workerId: WorkerId;
  readonly key: string;
  readonly shape: LeaseShape;
  /** As in LeaseHoldings. */
  readonly slotHolds: ResourceAmounts;
  readonly keeps: ResourceAmounts | null;
  readonly acceleratorIds: AcceleratorIds | null;
  slots: number;
  wantsSlot: boolean;
  isRevokeSent: boolean;
  /** It is to be given back when it is idle. */
  isRecalled: boolean;
}

export interface PoolWorker {
  readonly workerId: WorkerId;
  readonly kindKey: string;
  /** Its memory limit is one task's: while that waits, no other runs here. */
  readonly isForOne: boolean;
  readonly leases: Map<number, Lease>;
  actorId: ActorId | null;
  actorHolds: ResourceAmounts | null;
  actorMayRestart: boolean;
  acceleratorIds: AcceleratorIds | null;
  lastOwnerId: WorkerId | null;
  isStopping: boolean;
  /** Null until it is used. */
  jobId: JobId | null;
  /** The driver or detached actor's worker that all it does descends from, and with which it ends; for the worker of a detached actor itself. Null until it is used. */
  rootId: WorkerId | null;
  /** That it was started for; null if any may use it first. */
  readonly meantFor: JobId | null;
  /** Larger for one that was used later. */
  lastUse: number;
  /** `lastUse` when it was last looked at and idle; null before. */
  idleAtUse: number | null;
  /** At how many looks in a row it was idle, without a use between them. */
  idleLooks: number;
}

export type PoolWork = Omit<Working, "pid">;

/** The workers of a machine by their kind, and how many are on their way. Pure; what they are for says LeaseState. */
export class WorkerPool {
  readonly #workers = new Map<WorkerId, PoolWorker>();
  /** By the key of their kind. */
  readonly #starting = new Map<string, number>();
  #uses = 0;

  get size(): number {
    return this.#workers.size;
  }

  /** What actors have, each of them. */
  get actorHolds(): ResourceAmounts[] {
    return [...this.#workers.values()].map(({ actorHolds }) => actorHolds).filter((holds) => holds !== null);
  }

  values(): Iterable<PoolWorker> {
    return this.#workers.values();
  }

  get(workerId: WorkerId): PoolWorker | undefined {
    return this.#workers.get(workerId);
  }

  starting(kindKey: string): number {
    return this.#starting.get(kindKey) ?? 0;
  }

  starts(kind: WorkerKind): void {
    const key = workerKindKeyOf(kind);
    this.#starting.set(key, this.starting(key) + 1);
  }

  /** One that was starting is there, or will never be. */
  startEnded(kind: WorkerKind): void {
    const key = workerKindKeyOf(kind);
    const left = this.starting(key) - 1;
    if (left > 0) this.#starting.set(key, left);
    else this.#starting.delete(key);
  }

  add(workerId: WorkerId, kind: WorkerKind): void {
    this.#workers.set(workerId, { workerId, kindKey: workerKindKeyOf(kind), isForOne: kind.memoryLimitBytes !== null, leases: new Map(), actorId: null, actorHolds: null, actorMayRestart: false, acceleratorIds: null, lastOwnerId: null, isStopping: false, jobId: null, rootId: null, meantFor: kind.jobId, lastUse: 0, idleAtUse: null, idleLooks: 0 });
  }

  delete(workerId: WorkerId): void {
    this.#workers.delete(workerId);
  }

  used(worker: PoolWorker): void {
    worker.lastUse = ++this.#uses;
  }

  /** Of all kinds, those that are on their way included. */
  taskWorkerCount(): number {
    let count = 0;
    for (const worker of this.#workers.values()) if (worker.actorId === null && !worker.isStopping) count++;
    for (const starting of this.#starting.values()) count += starting;
    return count;
  }

  /** Those there that what descends from this root may use. */
  taskWorkerCountOf(kindKey: string, rootId: WorkerId): number {
    let count = 0;
    for (const worker of this.#workers.values()) if (worker.kindKey === kindKey && worker.actorId === null && !worker.isStopping && worksFor(worker, rootId)) count++;
    return count;
  }

  /** The one that served this owner last, else the one that joined last. `rootId` null: for what is one itself. */
  findIdle(kindKey: string, rootId: WorkerId | null, ownerId: WorkerId | null): PoolWorker | undefined {
    let found: PoolWorker | undefined;
    for (const worker of this.#workers.values()) {
      if (worker.kindKey !== kindKey || !isIdle(worker) || !worksFor(worker, rootId)) continue;
      if (found === undefined || (ownerId !== null && worker.lastOwnerId === ownerId && found.lastOwnerId !== ownerId)) found = worker;
    }
    return found;
  }

  /** Where a task of this owner may run, or undefined when another worker is needed. No more than `max` serve tasks that take nothing. */
  findForTask(kindKey: string, rootId: WorkerId, ownerId: WorkerId, resources: ResourceAmounts, max: number): PoolWorker | undefined {
    // A worker whose tasks all wait can run what they wait for: no thread switch, and no worker per level of nesting.
    const self = this.#workers.get(ownerId);
    if (self !== undefined && self.kindKey === kindKey && isFreeForTasks(self)) return self;
    const idle = this.findIdle(kindKey, rootId, ownerId);
    if (idle !== undefined) return idle;
    let least: PoolWorker | undefined;
    for (const worker of this.#workers.values()) {
      if (worker.kindKey !== kindKey || worker.actorId !== null || worker.isStopping || !worksFor(worker, rootId)) continue;
      if (isFreeForTasks(worker)) return worker;
      if (least === undefined || worker.leases.size < least.leases.size) least = worker;
    }
    return isZero(resources) && this.taskWorkerCountOf(kindKey, rootId) >= max ? least : undefined;
  }

  /** Those that run something and are not ending. */
  *working(): Iterable<PoolWork> {
    for (const { workerId, actorId, jobId, leases, actorMayRestart, lastOwnerId, lastUse: began, isStopping } of this.#workers.values()) {
      if (isStopping) continue;
      if (actorId !== null) yield { workerId, group: jobId ?? "", isRetriable: actorMayRestart, isActor: true, began };
      else if (leases.size > 0) yield { workerId, group: lastOwnerId ?? "", isRetriable: ![...leases.values()].some(({ shape }) => shape.runsOnce === true), isActor: false, began };
    }
  }

  /** Of all kinds, the ones used last first. */
  idle(): PoolWorker[] {
    return [...this.#workers.values()].filter((worker) => isIdle(worker)).sort((a, b) => b.lastUse - a.lastUse);
  }

  /** A look at these idle ones: which of them were so at more looks before this one than their place in the row allows, without a use between them. */
  stillIdle(idle: readonly PoolWorker[], looksMax: (place: number) => number): PoolWorker[] {
    return idle.filter((worker, place) => {
      worker.idleLooks = worker.idleAtUse === worker.lastUse ? worker.idleLooks + 1 : 1;
      worker.idleAtUse = worker.lastUse;
      return worker.idleLooks > looksMax(place);
    });
  }
}

/** Of a program of these. */
export function isOfAny(worker: PoolWorker, jobs: ReadonlySet<JobId>): boolean {
  const jobId = jobOfWorker(worker);
  return jobId !== null && jobs.has(jobId);
}

export function activeSlots(worker: PoolWorker): number {
  let slots = 0;
  for (const lease of worker.leases.values()) slots += lease.slots;
  return slots;
}

/** Its job, also before it is used if that is known. */
export function jobOfWorker({ jobId, meantFor }: PoolWorker): JobId | null {
  return jobId ?? meantFor;
}

function worksFor(worker: PoolWorker, rootId: WorkerId | null): boolean {
  return worker.rootId === null || worker.rootId === rootId;
}

export function isIdle(worker: PoolWorker): boolean {
  return worker.actorId === null && !worker.isStopping && worker.leases.size === 0;
}

/** One whose task waits with its accelerators runs no other meanwhile: the environment variable that names them is all of the worker's. */
export function isFreeForTasks(worker: PoolWorker): boolean {
  if (worker.actorId !== null || worker.isStopping) return false;
  if (worker.isForOne) return worker.leases.size === 0;
  for (const { slots, acceleratorIds } of worker.leases.values()) if (slots > 0 || acceleratorIds !== null) return false;
  return true;
}
