import { forgetOldest, type ActorId, type JobId, type WorkerId } from "../base/mod.ts";
import { type WorkerKind, workerKindKeyOf } from "../protocol/mod.ts";

/**
 * Which worker each shared actor lives in. Pure: events in, instructions out.
 *
 * A *host* is a worker that shared actors of one job, which want one kind of worker and descend from one root, or are detached, have for themselves.
 *
 *             place (1)           hostPlaced (2)
 *   (none) ──────────────▶ opening ─────────────▶ open ◀──── answered ──── silent
 *                                                │  │ └── not answered (4) ──▶ │
 *                              last actor gone,  │  │                          │ not answered (5)
 *                              idle (3)          ▼  ▼ worker lost (6)          ▼
 *                                             retired  gone ◀───────────────  ended
 *
 * (1) An actor goes to the open host of its job that has the fewest. Another host is opened when all have
 *     `ACTORS_BEFORE_NEXT_HOST`, up to `hostsMax`; until it is open, actors still go to those that are.
 * (2) Actors that had to wait for their first host are placed.
 * (3) Asked to end. It may refuse, as others may use objects of its.
 * (4) Whoever waits for calls says so, and a host is asked whether its event loop turns, also behind actors that it is to start.
 *     After `SILENT_MS_MAX` without an answer no more actors go there; another host may be opened in its place.
 * (5) After `BLOCKED_MS_MAX` it is ended: what a blocked thread holds cannot be moved out of it.
 * (6) Whoever was running when a host was blocked or lost is a troublemaker: started again, it gets a host of its own, on whichever node.
 */
export type SharedHostInstruction =
  | { readonly type: "openHost"; readonly hostId: string; readonly jobId: JobId; readonly kind: WorkerKind; readonly rootId: WorkerId | null }
  | { readonly type: "placed"; readonly actorId: ActorId; readonly workerId: WorkerId; readonly number: number }
  | { readonly type: "ping"; readonly workerId: WorkerId }
  /** `actorId`: who runs there, if that is known. */
  | { readonly type: "silent"; readonly workerId: WorkerId; readonly actorId: ActorId | null; readonly actorCount: number }
  | { readonly type: "endHost"; readonly workerId: WorkerId; readonly actorId: ActorId | null }
  | { readonly type: "retire"; readonly workerId: WorkerId };

interface Host {
  readonly hostId: string;
  readonly jobId: JobId;
  /** Null: of detached actors. Their work ends with this host, and so does that of those which start again elsewhere. */
  readonly rootId: WorkerId | null;
  readonly kindKey: string;
  /** For one troublemaker alone. */
  readonly isExclusive: boolean;
  workerId: WorkerId | null;
  /** Its actors, each with its number. */
  readonly numbers: Map<ActorId, number>;
  /** Of these, those that were told to end. */
  readonly ending: Set<ActorId>;
  nextNumber: number;
  /** Ticks since it was asked; null when it has answered. */
  unansweredTicks: number | null;
  emptyTicks: number;
  isRetiring: boolean;
}

/** Each host has so many actors before another one is opened. */
export const ACTORS_BEFORE_NEXT_HOST = 16;
/** How often hosts are looked at while one of them has not answered or is empty. */
export const TICK_MS = 1_000;
/** So long may a host be silent before actors avoid it and the user is told. */
export const SILENT_MS_MAX = 2_000;
/** So long may a host be silent before it is ended. */
export const BLOCKED_MS_MAX = 30_000;
/** A host without actors stays so long for new ones. */
const EMPTY_MS_MAX = 1_000;
const TROUBLEMAKERS_MAX = 1_000;

export class SharedHostState {
  readonly #hostsMax: number;
  readonly #hosts = new Map<string, Host>();
  readonly #byWorker = new Map<WorkerId, Host>();
  readonly #troublemakers = new Set<ActorId>();
  #nextHost = 1;

  /** `hostsMax`: of one job and root, troublemakers' own and silent ones not counted. */
  constructor(hostsMax: number) {
    this.#hostsMax = hostsMax;
  }

  has(workerId: WorkerId): boolean {
    return this.#byWorker.has(workerId);
  }

  /** (1) */
  place(actorId: ActorId, jobId: JobId, kind: WorkerKind, rootId: WorkerId | null): SharedHostInstruction[] {
    if (this.#troublemakers.has(actorId)) {
      const { host, instruction } = this.#open(jobId, kind, rootId, true);
      host.numbers.set(actorId, host.nextNumber++);
      return [instruction];
    }
    const kindKey = workerKindKeyOf(kind);
    let count = 0;
    let isOneOpening = false;
    let least: Host | undefined;
    for (const host of this.#hosts.values()) {
      if (host.jobId !== jobId || host.rootId !== rootId || host.kindKey !== kindKey || host.isExclusive || host.isRetiring || isSilent(host)) continue;
      count++;
      if (host.workerId === null) isOneOpening = true;
      if (least === undefined || isBetter(host, least)) least = host;
    }
    const instructions: SharedHostInstruction[] = [];
    if (least === undefined || (count < this.#hostsMax && !isOneOpening && least.numbers.size >= ACTORS_BEFORE_NEXT_HOST)) {
      const opened = this.#open(jobId, kind, rootId, false);
      instructions.push(opened.instruction);
      least ??= opened.host;
    }
    const number = least.nextNumber++;
    least.numbers.set(actorId, number);
    if (least.workerId !== null) this.#give(least, least.workerId, actorId, number, instructions);
    return instructions;
  }

  #open(jobId: JobId, kind: WorkerKind, rootId: WorkerId | null, isExclusive: boolean): { host: Host; instruction: SharedHostInstruction } {
    const hostId = `shared-host-${this.#nextHost++}`;
    const host: Host = { hostId, jobId, rootId, kindKey: workerKindKeyOf(kind), isExclusive, workerId: null, numbers: new Map(), ending: new Set(), nextNumber: 1, unansweredTicks: null, emptyTicks: 0, isRetiring: false };
    this.#hosts.set(hostId, host);
    return { host, instruction: { type: "openHost", hostId, jobId, kind, rootId } };
  }

  /** The question comes behind the actor: a constructor may block too. */
  #give(host: Host, workerId: WorkerId, actorId: ActorId, number: number, instructions: SharedHostInstruction[]): void {
    instructions.push({ type: "placed", actorId, workerId, number });
    if (host.unansweredTicks !== null) return;
    host.unansweredTicks = 0;
    instructions.push({ type: "ping", workerId });
  }

  isHost(hostId: string): boolean {
    return this.#hosts.has(hostId);
  }

  /** (2) */
  hostPlaced(hostId: string, workerId: WorkerId): SharedHostInstruction[] {
    const host = this.#hosts.get(hostId);
    if (host === undefined) return [];
    host.workerId = workerId;
    this.#byWorker.set(workerId, host);
    const instructions: SharedHostInstruction[] = [];
    for (const [actorId, number] of host.numbers) this.#give(host, workerId, actorId, number, instructions);
    return instructions;
  }

  /** There will be no such worker here. Answers for whom. */
  hostRefused(hostId: string): ActorId[] {
    const host = this.#hosts.get(hostId);
    this.#hosts.delete(hostId);
    return [...(host?.numbers.keys() ?? [])];
  }

  /** It is not wanted any more, before it was placed. */
  cancel(actorId: ActorId): void {
    for (const host of this.#hosts.values()) if (host.workerId === null) host.numbers.delete(actorId);
  }

  ending(workerId: WorkerId, actorId: ActorId): void {
    const host = this.#byWorker.get(workerId);
    if (host?.numbers.has(actorId) === true) host.ending.add(actorId);
  }

  /** Of a job, some that were told to. */
  areEnding(jobId: JobId): boolean {
    for (const host of this.#byWorker.values()) if (host.jobId === jobId && host.ending.size > 0) return true;
    return false;
  }

  actorEnded(workerId: WorkerId, actorId: ActorId): void {
    const host = this.#byWorker.get(workerId);
    host?.ending.delete(actorId);
    if (host === undefined || !host.numbers.delete(actorId) || host.numbers.size > 0) return;
    host.emptyTicks = 0;
  }

  /** (6) `culprit`: who is known to have brought it about. Answers who was running, if nobody has said more. */
  workerLost(workerId: WorkerId, culprit: ActorId | null, runningNumber: number): ActorId | null {
    const host = this.#byWorker.get(workerId);
    if (host === undefined) return null;
    this.#hosts.delete(host.hostId);
    this.#byWorker.delete(workerId);
    const actorId = culprit ?? actorOf(host, runningNumber);
    if (actorId !== null) this.noteTroublemaker(actorId);
    return actorId;
  }

  /** Also one that was on another node. */
  noteTroublemaker(actorId: ActorId): void {
    this.#troublemakers.add(actorId);
    forgetOldest(this.#troublemakers, TROUBLEMAKERS_MAX);
  }

  /** (4) */
  callsWait(workerId: WorkerId): SharedHostInstruction[] {
    const host = this.#byWorker.get(workerId);
    if (host === undefined || host.unansweredTicks !== null) return [];
    host.unansweredTicks = 0;
    return [{ type: "ping", workerId }];
  }

  answered(workerId: WorkerId): void {
    const host = this.#byWorker.get(workerId);
    if (host !== undefined) host.unansweredTicks = null;
  }

  retireRefused(workerId: WorkerId): void {
    const host = this.#byWorker.get(workerId);
    if (host === undefined) return;
    host.isRetiring = false;
    host.emptyTicks = 0;
  }

  needsTicks(): boolean {
    for (const host of this.#byWorker.values()) if (host.unansweredTicks !== null || (host.numbers.size === 0 && !host.isRetiring)) return true;
    return false;
  }

  /** (3) (4) (5) Every `TICK_MS`, while `needsTicks`. `runningNumber`: of the actor that a worker is in just now; 0 if not known. */
  tick(runningNumber: (workerId: WorkerId) => number): SharedHostInstruction[] {
    const instructions: SharedHostInstruction[] = [];
    for (const [workerId, host] of this.#byWorker) {
      if (host.numbers.size === 0 && !host.isRetiring && ++host.emptyTicks > EMPTY_MS_MAX / TICK_MS) {
        host.isRetiring = true;
        instructions.push({ type: "retire", workerId });
      }
      if (host.unansweredTicks === null) continue;
      // The first tick may come at once: so many whole ones have passed.
      const silentTicks = host.unansweredTicks++;
      if (silentTicks === SILENT_MS_MAX / TICK_MS) {
        instructions.push({ type: "silent", workerId, actorId: actorOf(host, runningNumber(workerId)), actorCount: host.numbers.size });
      }
      if (silentTicks === BLOCKED_MS_MAX / TICK_MS) {
        const actorId = actorOf(host, runningNumber(workerId));
        if (actorId !== null) this.noteTroublemaker(actorId);
        instructions.push({ type: "endHost", workerId, actorId });
      }
    }
    return instructions;
  }

  /** For state queries and tests. */
  snapshot(): { workerId: WorkerId | null; jobId: JobId; actors: number; isSilent: boolean }[] {
    return Array.from(this.#hosts.values(), (host) => ({ workerId: host.workerId, jobId: host.jobId, actors: host.numbers.size, isSilent: isSilent(host) }));
  }
}

function isSilent(host: Host): boolean {
  return host.unansweredTicks !== null && host.unansweredTicks > SILENT_MS_MAX / TICK_MS;
}

/** One that is open, before one that is not; then the one with fewer actors. */
function isBetter(host: Host, other: Host): boolean {
  if ((host.workerId === null) !== (other.workerId === null)) return host.workerId !== null;
  return host.numbers.size < other.numbers.size;
}

function actorOf(host: Host, wanted: number): ActorId | null {
  if (wanted !== 0) for (const [actorId, number] of host.numbers) if (number === wanted) return actorId;
  return null;
}
