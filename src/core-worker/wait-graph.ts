import { type ActorId, megabytes, nodeKeyOf, type ObjectId, type PlacementGroupId, type ResourceAmounts, UNITS_PER_RESOURCE, type WorkerId } from "../base/mod.ts";
import type { NodeWaits, PendingRecord, RoomWaitRecord, RunRecord, WaitingActorRecord, WaitingGroupRecord, WaitsSurvey, WorkWait } from "../protocol/mod.ts";

/** Why something that was asked for is not there yet. */
export type WaitReason =
  | "arguments" | "order" | "resources" | "workerStarting" | "environment" | "placementGroup" | "actorStarting" | "actorRestarting" | "actorBusy"
  | "objects" | "storeFull" | "cycle" | "backpressure" | "retry" | "queued" | "running" | "sending";

/** How much of a resource is asked for, and what the nodes that are there have of it. */
export interface ResourceShortage {
  readonly resource: string;
  readonly asked: number;
  readonly nodes: readonly { readonly nodeId: string; readonly free: number; readonly total: number }[];
}

/** Follows the name of what waits. */
export interface Wait {
  readonly reason: WaitReason;
  readonly text: string;
  /** Keys of what it waits for, one by one. */
  readonly on: readonly string[];
  readonly shortages: readonly ResourceShortage[];
  /** Something runs that will end it, or it will be over in a moment. */
  readonly isGoingOn: boolean;
  /** Its program was told. */
  readonly wasTold: boolean;
}

/** What is no trouble by itself. */
const GOING_ON: ReadonlySet<WaitReason> = new Set<WaitReason>(["running", "sending", "retry", "queued", "objects", "storeFull", "backpressure", "arguments", "order", "actorBusy"]);

export interface PendingItem {
  readonly key: string;
  readonly kind: "task" | "call" | "actor" | "placementGroup" | "put";
  readonly id: string;
  readonly name: string;
  readonly actorId: ActorId | null;
  readonly callSite: string | null;
  /** Where it is; null where that is not known. */
  readonly workerId: WorkerId | null;
}

interface Task {
  readonly ownerId: WorkerId;
  readonly record: PendingRecord;
}

/**
 * Who waits for whom, put together from what all workers, nodes and the GCS say. Pure. Each of them has answered at a moment of its own, so what
 * this says of what changes quickly may be wrong; a cycle that is found twice was there all the time between.
 */
export class WaitGraph {
  readonly #tasks = new Map<string, Task>();
  readonly #makers = new Map<ObjectId, string>();
  readonly #runs = new Map<string, RunRecord & { readonly workerId: WorkerId }>();
  /** By actor and concurrency group. */
  readonly #running = new Map<string, string[]>();
  readonly #unanswered: ReadonlySet<WorkerId>;
  readonly #actors: ReadonlyMap<ActorId, WaitingActorRecord>;
  readonly #groups: ReadonlyMap<PlacementGroupId, WaitingGroupRecord>;
  readonly #nodes: readonly NodeWaits[];
  /** By the worker that sleeps. */
  readonly #roomWaits: ReadonlyMap<string, RoomWaitRecord>;
  readonly #waits = new Map<string, Wait>();
  #stuck: ReadonlySet<string> | null = null;

  constructor({ nodes, actors, groups }: WaitsSurvey) {
    this.#nodes = nodes;
    this.#roomWaits = new Map(nodes.flatMap(({ roomWaits }) => roomWaits.map((wait) => [roomKey(wait.workerId), wait])));
    this.#unanswered = new Set(nodes.flatMap(({ unansweredWorkerIds }) => unansweredWorkerIds));
    this.#actors = new Map(actors.map((actor) => [actor.actorId, actor]));
    this.#groups = new Map(groups.map((group) => [group.groupId, group]));
    for (const { workers } of nodes) for (const { workerId, pending, runs } of workers) {
      for (const record of pending) this.#addTask(workerId, record);
      for (const run of runs) this.#addRun(workerId, run);
    }
  }

  #addTask(ownerId: WorkerId, record: PendingRecord): void {
    const key = taskKey(ownerId, record.taskSequence);
    this.#tasks.set(key, { ownerId, record });
    for (const objectId of record.makes) this.#makers.set(objectId, key);
  }

  #addRun(workerId: WorkerId, run: RunRecord): void {
    const key = taskKey(run.ownerId, run.taskSequence);
    this.#runs.set(key, { ...run, workerId });
    if (!run.isStarted || run.actorId === null) return;
    const turns = turnsKey(run.actorId, run.group);
    const running = this.#running.get(turns);
    if (running === undefined) this.#running.set(turns, [key]);
    else running.push(key);
  }

  /** Everything that is not there yet: tasks and calls, actors, placement groups, objects without room. */
  keys(): string[] {
    return [...this.#tasks.keys(), ...Array.from(this.#actors.keys(), actorKey), ...Array.from(this.#groups.keys(), groupKey), ...this.#roomWaits.keys()];
  }

  has(key: string): boolean {
    return this.#tasks.has(key) || this.#actors.has(key.slice(ACTOR.length)) || this.#groups.has(key.slice(GROUP.length)) || this.#roomWaits.has(key);
  }

  /** What makes this object; undefined if that is not known, or there. */
  makerOf(objectId: ObjectId): string | undefined {
    return this.#makers.get(objectId);
  }

  /** Calls of this actor without an outcome. */
  callsOf(actorId: ActorId): string[] {
    return [...this.#tasks].filter(([, { record }]) => record.actorId === actorId).map(([key]) => key);
  }

  itemOf(key: string): PendingItem {
    const task = this.#tasks.get(key);
    if (task !== undefined) {
      const { taskSequence, name, actorId, callSite, workerId, makes } = task.record;
      return { key, kind: actorId === null ? "task" : "call", id: makes[0] ?? `${task.ownerId}/${taskSequence}`, name, actorId, callSite, workerId: this.#runs.get(key)?.workerId ?? workerId };
    }
    const actor = this.#actors.get(key.slice(ACTOR.length));
    if (actor !== undefined) return { key, kind: "actor", id: actor.actorId, name: actor.name === null ? actor.className : `${actor.className} '${actor.name}'`, actorId: actor.actorId, callSite: null, workerId: actor.workerId };
    const room = this.#roomWaits.get(key);
    if (room !== undefined) return { key, kind: "put", id: room.workerId, name: room.origin?.runs ?? "put", actorId: null, callSite: room.origin?.callSite ?? null, workerId: room.workerId };
    const group = this.#groups.get(key.slice(GROUP.length)) as WaitingGroupRecord;
    return { key, kind: "placementGroup", id: group.groupId, name: group.name ?? group.groupId, actorId: null, callSite: null, workerId: null };
  }

  waitOf(key: string): Wait {
    let wait = this.#waits.get(key);
    if (wait === undefined) this.#waits.set(key, (wait = this.#find(key)));
    return wait;
  }

  #find(key: string): Wait {
    const task = this.#tasks.get(key);
    if (task !== undefined) return this.#ofTask(key, task);
    const actor = this.#actors.get(key.slice(ACTOR.length));
    if (actor !== undefined) return this.#ofActor(actor);
    const room = this.#roomWaits.get(key);
    if (room !== undefined) return ofRoom(room);
    return ofGroup(this.#groups.get(key.slice(GROUP.length)) as WaitingGroupRecord, this.#nodes, this.#isAnyTaskRunning);
  }

  // ------------------------------------------------------------------ tasks and calls

  #ofTask(key: string, { ownerId, record }: Task): Wait {
    const run = this.#runs.get(key);
    if (record.missing.length > 0) return waits("arguments", `waits for ${count(record.missing.length, "argument")}`, this.#makersOf(record.missing));
    if (run !== undefined) return this.#ofRun(run);
    if (record.isBetweenRuns) return waits("retry", "threw, or lacks an argument that is made again, and runs again in a moment");
    if (record.workerId !== null) return this.#ofSent(record.workerId);
    if (record.behind !== null) return waits("order", "waits for an earlier call of the same caller, whose arguments are not there yet", [taskKey(ownerId, record.behind)]);
    if (record.actorId !== null) return this.#ofUnsentCall(record.actorId);
    return record.demand === null ? waits("sending", "is about to be sent") : this.#ofDemand(ownerId, record.demand);
  }

  #ofSent(workerId: WorkerId): Wait {
    if (this.#roomWaits.has(roomKey(workerId))) return waits("storeFull", `is at worker ${workerId}, which sleeps until there is room in the object store`, [roomKey(workerId)]);
    if (this.#unanswered.has(workerId)) return waits("running", `is at worker ${workerId}, which is busy with one computation`);
    return waits("sending", `is on its way to worker ${workerId}, or its result is on its way back`);
  }

  #ofRun({ workerId, actorId, group, isStarted, isPaused, awaits }: RunRecord & { readonly workerId: WorkerId }): Wait {
    if (!isStarted && actorId === null) return waits("queued", `waits in worker ${workerId} behind other tasks`);
    if (!isStarted) {
      const running = this.#running.get(turnsKey(actorId as ActorId, group)) ?? [];
      if (running.length === 0) return waits("actorBusy", `waits in worker ${workerId} for the actor to be ready`);
      return waits("actorBusy", `waits for its turn behind ${count(running.length, "call")} that ${running.length === 1 ? "runs" : "run"} in the actor`, running);
    }
    if (isPaused) return waits("backpressure", `is paused in worker ${workerId}: its generator goes on when values that it has yielded are consumed`);
    const missing = awaits.flatMap((one) => one.missing);
    if (missing.length > 0) return waits("objects", `runs in worker ${workerId} and waits for ${count(missing.length, "object")}`, this.#makersOf(missing));
    return waits("running", `runs in worker ${workerId}`);
  }

  #ofUnsentCall(actorId: ActorId): Wait {
    if (!this.#actors.has(actorId)) return waits("actorStarting", "waits for its actor, which is about to be created, or is full of calls");
    const { reason } = this.waitOf(actorKey(actorId));
    return waits(reason === "actorRestarting" ? "actorRestarting" : "actorStarting", "waits for its actor", [actorKey(actorId)]);
  }

  #ofDemand(ownerId: WorkerId, { key, resources, groupId, wasTold }: NonNullable<PendingRecord["demand"]>): Wait {
    if (groupId !== null && this.#groups.has(groupId)) return waits("placementGroup", "waits for its placement group", [groupKey(groupId)]);
    const found = this.#nodes.flatMap(({ nodeId, demands }) => demands.filter((demand) => demand.ownerId === ownerId && demand.key === key).map((demand) => ({ ...demand, nodeId })));
    const worker = found.find(({ hasRoom }) => hasRoom);
    if (worker !== undefined) return forWorker(worker);
    // The nodes have answered after its owner: what was free for it then, it has got meanwhile, or is about to get.
    return found.length === 0 && this.#isFree(resources) ? waits("sending", "is about to be sent") : this.#forResources(resources, wasTold, found);
  }

  /** Tasks give back what they have. */
  get #isAnyTaskRunning(): boolean {
    if (this.#unanswered.size > 0) return true;
    for (const { actorId, isStarted, awaits } of this.#runs.values()) if (actorId === null && isStarted && awaits.length === 0) return true;
    return false;
  }

  #isFree(wanted: ResourceAmounts): boolean {
    return this.#nodes.some(({ available, isDraining }) => !isDraining && Object.keys(wanted).every((name) => (available[name] ?? 0) >= (wanted[name] as number)));
  }

  #forResources(wanted: ResourceAmounts, wasTold: boolean, at: readonly WaitAtNode[]): Wait {
    const wait = forResources(wanted, this.#nodes);
    return { ...wait, text: `${wait.text}${at.map(describeShare).join("")}`, isGoingOn: this.#isAnyTaskRunning, wasTold };
  }

  // ------------------------------------------------------------------ actors

  #ofActor({ actorId, isRestarting, workerId, resources, groupId }: WaitingActorRecord): Wait {
    const why = this.#placementOf(actorId, workerId, resources, groupId);
    if (!isRestarting) return why;
    return { ...why, reason: why.reason === "actorStarting" ? "actorRestarting" : why.reason, text: `is restarting and ${why.text}` };
  }

  #placementOf(actorId: ActorId, workerId: WorkerId | null, resources: ResourceAmounts, groupId: PlacementGroupId | null): Wait {
    if (workerId !== null) return { ...waits("actorStarting", `starts in worker ${workerId}: its code is brought there, or its constructor runs`), isGoingOn: true };
    if (groupId !== null && this.#groups.has(groupId)) return waits("placementGroup", "waits for its placement group", [groupKey(groupId)]);
    for (const { nodeId, placements } of this.#nodes) {
      const placement = placements.find((one) => one.actorId === actorId);
      if (placement === undefined) continue;
      return placement.hasRoom ? forWorker({ ...placement, nodeId }) : this.#forResources(resources, placement.wasTold, [{ ...placement, nodeId }]);
    }
    return this.#isFree(resources) ? waits("actorStarting", "is about to get a worker") : this.#forResources(resources, false, []);
  }

  // ------------------------------------------------------------------ cycles

  #makersOf(objectIds: readonly ObjectId[]): string[] {
    return [...new Set(objectIds.flatMap((objectId) => this.#makers.get(objectId) ?? []))];
  }

  /** Tasks and calls that cannot go on by themselves: each waits for others of them, and for nothing else. */
  get stuck(): ReadonlySet<string> {
    return (this.#stuck ??= this.#findStuck());
  }

  /** What is left when all have gone on that can, and then all that wait for those. */
  #findStuck(): Set<string> {
    const stuck = new Set(this.#tasks.keys());
    for (let before = -1; before !== stuck.size; ) {
      before = stuck.size;
      for (const key of stuck) if (this.#canGoOn(key, stuck)) stuck.delete(key);
    }
    return stuck;
  }

  #canGoOn(key: string, stuck: ReadonlySet<string>): boolean {
    const { record } = this.#tasks.get(key) as Task;
    const isStuck = (objectId: ObjectId): boolean => stuck.has(this.#makers.get(objectId) ?? "");
    const run = this.#runs.get(key);
    if (record.missing.length > 0) return !record.missing.some(isStuck);
    // Of several things that it awaits at once, one is enough for it to go on, as far as anybody can tell.
    if (run?.isStarted === true) return run.isPaused || run.awaits.length === 0 || run.awaits.some(({ missing, missingCount, needed, endsByItself }) => endsByItself || missingCount - missing.filter(isStuck).length >= needed);
    const { reason, on } = this.waitOf(key);
    return (reason !== "actorBusy" && reason !== "order") || on.length === 0 || on.some((other) => !stuck.has(other));
  }

  /** The cycles among what is stuck, each as the keys along it; each begins with the smallest. */
  cycles(): string[][] {
    const cycles = new Map<string, string[]>();
    const done = new Set<string>();
    for (const start of this.stuck) {
      const path: string[] = [];
      let next: string | undefined = start;
      while (next !== undefined && !done.has(next) && !path.includes(next)) {
        path.push(next);
        next = this.waitOf(next).on.find((other) => this.stuck.has(other));
      }
      for (const key of path) done.add(key);
      const first = next === undefined ? -1 : path.indexOf(next);
      if (first < 0) continue;
      const cycle = fromSmallest(path.slice(first));
      cycles.set(cycle.join(), cycle);
    }
    return [...cycles.values()];
  }
}

const ACTOR = "actor ";
const GROUP = "group ";
const ROOM = "room ";

export function taskKey(ownerId: WorkerId, sequence: number): string {
  return `${ownerId}/${sequence}`;
}
export function actorKey(actorId: ActorId): string {
  return ACTOR + actorId;
}
export function groupKey(groupId: PlacementGroupId): string {
  return GROUP + groupId;
}

function roomKey(workerId: WorkerId): string {
  return ROOM + workerId;
}

function turnsKey(actorId: ActorId, group: string | null): string {
  return `${actorId}/${group ?? ""}`;
}

function waits(reason: WaitReason, text: string, on: readonly string[] = []): Wait {
  return { reason, text, on, shortages: [], isGoingOn: GOING_ON.has(reason), wasTold: false };
}

type WaitAtNode = WorkWait & { readonly nodeId: string };

function forWorker({ nodeId, startingCount, hasEnvironment }: WaitAtNode): Wait {
  const state = startingCount > 0 ? "is starting" : "is to be started, or to come free,";
  if (hasEnvironment) return waits("environment", `waits for a worker with its runtime environment, which ${state} on node ${nodeId}: what the environment needs is installed there first`);
  return waits("workerStarting", `waits for a worker, which ${state} on node ${nodeId}`);
}

/** Resources that are no user's own have no unit that a user knows. */
function forResources(wanted: ResourceAmounts, nodes: readonly NodeWaits[]): Wait {
  const able = nodes.filter(({ isDraining }) => !isDraining);
  const draining = nodes.length - able.length;
  const names = Object.keys(wanted);
  const isShort = (name: string): boolean => !able.some(({ available }) => (available[name] ?? 0) >= (wanted[name] as number));
  const short = names.some(isShort) ? names.filter(isShort) : names;
  const shortages = short.map((resource) => ({ resource, asked: inUnits(wanted[resource]), nodes: able.filter(({ totals }) => totals[resource] !== undefined).map(({ nodeId, available, totals }) => ({ nodeId, free: inUnits(available[resource]), total: inUnits(totals[resource]) })) }));
  const leaving = draining === 0 ? "" : `; ${count(draining, "node")} that ${draining === 1 ? "is" : "are"} about to leave take nothing new`;
  const text = shortages.length === 0 ? `waits for a node that takes it${leaving}` : `waits for ${shortages.map(describeShortage).join("; ")}${leaving}`;
  return { ...waits("resources", text), shortages };
}

function describeShare({ nodeId, share }: WaitAtNode): string {
  if (share === null) return "";
  const { part, otherPrograms } = share;
  const others = otherPrograms === 1 ? "1 other program that has no more waits" : `${otherPrograms} other programs that have no more wait`;
  return `; programs share a node evenly: this one has ${Math.round(part * 100)} % of node ${nodeId}, and ${others} there, so what comes free is theirs first`;
}

function describeShortage({ resource, asked, nodes }: ResourceShortage): string {
  if (nodes.length === 0) return `${asked} ${resource}, which no node has`;
  return `${asked} ${resource}, of which ${nodes.map(({ nodeId, free, total }) => `${free} of ${total} ${free === 1 ? "is" : "are"} free on node ${nodeId}`).join(", ")}`;
}

function ofGroup({ strategy, bundles, infeasible }: WaitingGroupRecord, nodes: readonly NodeWaits[], isGoingOn: boolean): Wait {
  if (infeasible !== null) return { ...waits("resources", `has no place: ${infeasible}`), wasTold: true };
  const all: Record<string, number> = {};
  for (const bundle of bundles) for (const name in bundle) all[name] = (all[name] ?? 0) + (bundle[name] as number);
  const asked = Object.entries(all).map(([name, units]) => `${inUnits(units)} ${name}`).join(" and ");
  const free = nodes.map(({ nodeId, available }) => `${Object.keys(all).map((name) => `${inUnits(available[name])} ${name}`).join(" and ")} on node ${nodeId}`).join(", ");
  return { ...waits("resources", `waits for ${asked} in ${count(bundles.length, "bundle")} (${strategy}); free are ${free}`), isGoingOn };
}

function ofRoom({ workerId, byteLength, waitedMs, usedBytes, capacityBytes }: RoomWaitRecord): Wait {
  return waits("storeFull", `waits in worker ${workerId} for room in the object store of its node, ${megabytes(byteLength)} for ${(waitedMs / 1000).toFixed(1)} s; ${megabytes(usedBytes)} of ${megabytes(capacityBytes)} are in use`);
}

function inUnits(amount: number | undefined): number {
  return (amount ?? 0) / UNITS_PER_RESOURCE;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

function fromSmallest(cycle: readonly string[]): string[] {
  const first = cycle.indexOf([...cycle].sort()[0] as string);
  return [...cycle.slice(first), ...cycle.slice(0, first)];
}

/** The node that a worker lives on, of those that have answered; undefined if it has not. */
export function nodeIdOf(workerId: WorkerId, nodes: readonly NodeWaits[]): string | undefined {
  return nodes.find(({ nodeId }) => nodeKeyOf(nodeId) === nodeKeyOf(workerId))?.nodeId;
}
