import { forgetOldest, invariant, nodeKeyOf, type ActorEndReason, type ActorId, type JobId, type NodeKey, type PlacementGroupId, type SystemErrorRecord, type WorkerId } from "../base/mod.ts";
import { type ActorDeath, type ActorPhase, type ActorSpec, type ActorStateRecord, type FoundActor, partsOf, specFrom, type TaskErrorRecord, type WaitingActorRecord, type WorkerDeath } from "../protocol/mod.ts";

/**
 * The life of every actor, and who has which name. Pure: events in, instructions out.
 *
 *   create (1)                placed (2), started (3)
 *  ───────────▶ PENDING_CREATION ──────────────────▶ ALIVE
 *                  │        ▲                        │  │
 *   constructor    │        └──── RESTARTING ◀───────┘  │ killed (5), exited (6), out of scope (7),
 *   threw (4),     │              worker lost,          │ worker lost with no restart left (8),
 *   killed (5)     ▼              restarts left (8)     ▼ owner lost (9)
 *                 DEAD ◀─────────────────────────────────
 *
 * (1) A taken name is an error, or with `getIfExists` makes the new id an alias of the actor that has it.
 * (2) The node manager found a worker; it gets the class and the arguments.
 * (3) The constructor has run. Who watches learns where to send calls.
 * (4) DEAD with what the constructor threw; never restarted.
 * (5) `kill`: the worker ends at once. Restarted only with `noRestart: false`.
 * (6) `exitActor` and `terminate`: the worker says so before it ends. Never restarted.
 * (7) No handle is left anywhere: the worker ends after the calls it has. Not for detached actors.
 * (8) `maxRestarts` counts these.
 * (9) An actor shares the fate of its owner unless it is detached.
 * (10) A *shared* actor has its worker with others: where another's worker would be ended, only it is; its worker says when it
 *     is gone, which is to it what the loss of the worker is to another (8). What it created depends on it as on an owner (9).
 *
 * (11) Its node drains: one that may restart does so elsewhere, after the calls that have arrived, and that does not count as a restart.
 *     Nor does it count if the node ends before.
 *
 * A handle may be elsewhere before the owner has created the actor: who watches it waits until the owner does (1), says
 * that it never will, or is lost.
 */
export type ActorInstruction =
  | { readonly type: "place"; readonly spec: ActorSpec }
  | { readonly type: "cancelPlacement"; readonly actorId: ActorId }
  | { readonly type: "start"; readonly workerId: WorkerId; readonly spec: ActorSpec; readonly number: number; readonly wasRestarted: boolean }
  /** `graceful`: after the calls that have arrived. */
  | { readonly type: "endWorker"; readonly workerId: WorkerId; readonly graceful: boolean; readonly reason: string }
  | { readonly type: "endShared"; readonly workerId: WorkerId; readonly actorId: ActorId; readonly graceful: boolean; readonly mayRestart: boolean; readonly reason: string; readonly endReason: ActorEndReason }
  /** End it there after the calls that have arrived; it starts again elsewhere. */
  | { readonly type: "move"; readonly workerId: WorkerId; readonly actorId: ActorId }
  /** Somebody watches an actor that is not known; its owner may be about to create it. */
  | { readonly type: "askOwner"; readonly ownerId: WorkerId; readonly actorId: ActorId }
  | { readonly type: "publish"; readonly watchers: readonly WorkerId[]; readonly state: ActorStateRecord };

export type CreateOutcome = { readonly instructions: readonly ActorInstruction[]; readonly error: SystemErrorRecord | null };

/** Actors that cannot be called yet and that are told of when somebody asks why. */
const WAITING_TOLD_MAX = 10_000;

interface Actor {
  spec: ActorSpec;
  phase: ActorPhase;
  workerId: WorkerId | null;
  /** Which of the actors of its worker. */
  number: number;
  restarts: number;
  /** Set when the next loss of the worker is the end, with why. */
  endReason: string | null;
  /** `kill` with a restart left: what comes of it is no crash. */
  isBeingKilled: boolean;
  /** (11) */
  isMoving: boolean;
  death: ActorStateRecord["death"];
  /** Beside its owner. Null for nobody: most of a hundred thousand actors have no other. */
  watchers: Set<WorkerId> | null;
}

/** Dead actors that are still remembered, so that late callers learn why they died; also those that ended before they began. */
const DEAD_ACTORS_MAX = 10_000;

export class ActorState {
  readonly #actors = new Map<ActorId, Actor>();
  /** Of actors that have a worker for themselves. */
  readonly #byWorker = new Map<WorkerId, ActorId>();
  /** What shared actors have created. */
  readonly #children = new Map<ActorId, Set<ActorId>>();
  readonly #names = new Map<string, ActorId>();
  readonly #aliases = new Map<ActorId, ActorId>();
  readonly #dead: ActorId[] = [];
  readonly #draining = new Set<NodeKey>();
  /** Why actors end that were killed before they were created. */
  readonly #endedEarly = new Map<ActorId, string>();
  /** Watchers of actors that are not created yet. */
  readonly #awaited = new Map<ActorId, { readonly ownerId: WorkerId; readonly watchers: Set<WorkerId> }>();

  create(spec: ActorSpec): CreateOutcome {
    if (this.#actors.has(spec.actorId) || this.#aliases.has(spec.actorId)) return { instructions: [], error: null };
    const endReason = this.#endedEarly.get(spec.actorId);
    if (endReason !== undefined) {
      this.#endedEarly.delete(spec.actorId);
      return { instructions: this.#die(this.#add(spec), "killed", endReason), error: null };
    }
    const nameKey = spec.name === null ? null : keyOf(spec.namespace, spec.name);
    const holder = nameKey === null ? undefined : this.#names.get(nameKey);
    if (holder !== undefined) {
      if (!spec.getIfExists) {
        const message = `an actor named '${spec.name}' exists already in namespace '${spec.namespace}'; choose another name, get it with getActor('${spec.name}'), or pass getIfExists: true`;
        return { instructions: [], error: { kind: "ActorAlreadyExistsError", message, subjectId: holder } };
      }
      this.#aliases.set(spec.actorId, holder);
      return { instructions: [this.#publishTo(this.#actor(holder), [spec.ownerId, ...this.#takeAwaiting(spec.actorId)], spec.actorId)], error: null };
    }
    this.#add(spec);
    if (nameKey !== null) this.#names.set(nameKey, spec.actorId);
    return { instructions: [{ type: "place", spec }], error: null };
  }

  #add(spec: ActorSpec): Actor {
    const actor: Actor = { spec, phase: "PENDING_CREATION", workerId: null, number: 0, restarts: 0, endReason: null, isBeingKilled: false, isMoving: false, death: null, watchers: null };
    this.#actors.set(spec.actorId, actor);
    for (const watcherId of this.#takeAwaiting(spec.actorId)) watch(actor, watcherId);
    if (spec.parentId !== null && !spec.isDetached) this.#addChild(spec.parentId, spec.actorId);
    return actor;
  }

  #addChild(parentId: ActorId, actorId: ActorId): void {
    const children = this.#children.get(parentId);
    if (children === undefined) this.#children.set(parentId, new Set([actorId]));
    else children.add(actorId);
  }

  watch(watcherId: WorkerId, actorId: ActorId, ownerId: WorkerId): ActorInstruction[] {
    const actor = this.#find(actorId);
    if (actor === undefined) {
      const awaited = this.#awaited.get(actorId);
      if (awaited !== undefined) {
        awaited.watchers.add(watcherId);
        return [];
      }
      this.#awaited.set(actorId, { ownerId, watchers: new Set([watcherId]) });
      return [{ type: "askOwner", ownerId, actorId }];
    }
    return [this.#publishTo(actor, [watcherId], actorId)];
  }

  /** The owner's word, or what is known of the owner's end. */
  notCreated(actorId: ActorId, death: ActorDeath): ActorInstruction[] {
    const watchers = this.#takeAwaiting(actorId);
    if (watchers.length === 0) return [];
    return [{ type: "publish", watchers, state: { actorId, phase: "DEAD", workerId: null, number: 0, death, aliasOf: null } }];
  }

  #takeAwaiting(actorId: ActorId): WorkerId[] {
    const awaited = this.#awaited.get(actorId);
    this.#awaited.delete(actorId);
    return awaited === undefined ? [] : [...awaited.watchers];
  }

  placed(actorId: ActorId, workerId: WorkerId, number: number): ActorInstruction[] {
    const actor = this.#actor(actorId);
    if (actor.phase === "DEAD") return endOf(actor.spec, workerId, false, "its actor was ended before it started", actor.death?.reason ?? "unknown");
    // It is not there yet, so it may as well begin elsewhere. Of a shared one the worker would still speak.
    if (this.#draining.has(nodeKeyOf(workerId)) && !actor.spec.isShared) return [...endOf(actor.spec, workerId, false, "its node drains", "unknown"), { type: "place", spec: actor.spec }];
    actor.workerId = workerId;
    actor.number = number;
    if (!actor.spec.isShared) this.#byWorker.set(workerId, actorId);
    return [{ type: "start", workerId, spec: actor.spec, number, wasRestarted: actor.phase === "RESTARTING" }];
  }

  placementRefused(actorId: ActorId, error: SystemErrorRecord): ActorInstruction[] {
    return this.#die(this.#actor(actorId), "notCreated", error.message, null, error.kind === "ActorUnschedulableError" || error.kind === "PlacementGroupRemovedError" || error.kind === "RuntimeEnvSetupError" ? error.kind : null);
  }

  started(actorId: ActorId, error: TaskErrorRecord | null): ActorInstruction[] {
    const actor = this.#actor(actorId);
    if (actor.phase === "DEAD") {
      // It was asked to end after its calls, but now there is nothing that could run them.
      const ending = error === null ? undefined : this.#workerOf(actorId);
      return ending === undefined ? [] : [{ type: "endWorker", workerId: ending, graceful: false, reason: "the constructor of its actor threw" }];
    }
    if (error === null) {
      actor.phase = "ALIVE";
      if (actor.spec.isShared && actor.spec.maxRestarts === 0) actor.spec = withoutArgs(actor.spec);
      return [this.#publish(actor), ...this.#moveIfDraining(actor)];
    }
    const workerId = actor.workerId;
    const instructions = this.#die(actor, "constructorThrew", `its constructor threw ${firstLine(error.message)}`, error);
    // Of a shared one nothing is left there.
    if (workerId !== null && !actor.spec.isShared) instructions.push({ type: "endWorker", workerId, graceful: false, reason: "the constructor of its actor threw" });
    return instructions;
  }

  #workerOf(actorId: ActorId): WorkerId | undefined {
    for (const [workerId, hosted] of this.#byWorker) if (hosted === actorId) return workerId;
    return undefined;
  }

  /** The actor's worker announces an end of its own. */
  exiting(actorId: ActorId, reason: string): ActorInstruction[] {
    const actor = this.#find(actorId);
    if (actor === undefined || actor.phase === "DEAD") return [];
    actor.endReason = reason;
    return [];
  }

  /** What it is known by, if this is an alias. */
  idOf(actorId: ActorId): ActorId {
    return this.#find(actorId)?.spec.actorId ?? actorId;
  }

  kill(actorId: ActorId, noRestart: boolean): ActorInstruction[] {
    const actor = this.#find(actorId);
    const reason = "it was killed with kill()";
    if (actor === undefined) this.#endEarly(actorId, reason);
    if (actor === undefined || actor.phase === "DEAD") return [];
    const workerId = actor.workerId;
    if (!noRestart && workerId !== null) {
      actor.isBeingKilled = true;
      return endOf(actor.spec, workerId, false, reason, "killed", this.#hasRestartLeft(actor));
    }
    // It waits for a worker: the start that is under way counts as the restart.
    if (!noRestart && this.#takeRestart(actor)) return [];
    return [...this.#die(actor, "killed", reason), ...endOf(actor.spec, workerId, false, reason, "killed")];
  }

  #endEarly(actorId: ActorId, reason: string): void {
    this.#endedEarly.set(actorId, reason);
    forgetOldest(this.#endedEarly, DEAD_ACTORS_MAX);
  }

  outOfScope(actorId: ActorId): ActorInstruction[] {
    // Never by an alias: whoever made that does not own the actor.
    const actor = this.#actors.get(actorId);
    if (actor === undefined || actor.phase === "DEAD" || actor.spec.isDetached) return [];
    const reason = "no handle to it was left";
    const workerId = actor.workerId;
    return [...this.#die(actor, "outOfScope", reason), ...endOf(actor.spec, workerId, true, reason, "outOfScope")];
  }

  workerLost(workerId: WorkerId, death: WorkerDeath): ActorInstruction[] {
    const out: ActorInstruction[] = [];
    for (const [awaitedId, awaited] of this.#awaited) {
      awaited.watchers.delete(workerId);
      if (awaited.ownerId === workerId) out.push(...this.notCreated(awaitedId, { message: `its owner (worker ${workerId}) ended before it created it: ${death.reason}`, reason: "ownerEnded", creation: null, refusal: null }));
    }
    const lost: Actor[] = [];
    for (const actor of this.#actors.values()) {
      actor.watchers?.delete(workerId);
      if (actor.phase === "DEAD") continue;
      if (actor.workerId === workerId) lost.push(actor);
      else if (actor.spec.ownerId === workerId && !actor.spec.isDetached) out.push(...this.#endWithOwner(actor, `its owner (worker ${workerId}) ended: ${death.reason}`));
    }
    this.#byWorker.delete(workerId);
    // (9) The worker of one may have been its owner too: the task that created it ran there before.
    for (const actor of lost) out.push(...this.#gone(actor, `its worker ${death.reason}`, actor.spec.ownerId === workerId && !actor.spec.isDetached, death.isNodeDrained === true));
    return out;
  }

  /** (11) It takes no actors any more. */
  nodeDrains(node: NodeKey): ActorInstruction[] {
    this.#draining.add(node);
    return [...this.#actors.values()].flatMap((actor) => this.#moveIfDraining(actor));
  }

  nodeGone(node: NodeKey): void {
    this.#draining.delete(node);
  }

  #moveIfDraining(actor: Actor): ActorInstruction[] {
    const { workerId, phase, spec: { actorId } } = actor;
    if (phase !== "ALIVE" || workerId === null || !this.#draining.has(nodeKeyOf(workerId)) || !mayMove(actor)) return [];
    actor.phase = "RESTARTING";
    actor.isMoving = true;
    return [this.#publish(actor), { type: "move", workerId, actorId }];
  }

  /** Those that live, or may again, and are made of code of this program. */
  madeBy(driverId: WorkerId): ActorId[] {
    const found: ActorId[] = [];
    for (const { spec, phase } of this.#actors.values()) if (phase !== "DEAD" && spec.units.some(({ origin }) => origin?.driverId === driverId)) found.push(spec.actorId);
    return found;
  }

  nodesOf(actorIds: readonly ActorId[]): Set<NodeKey> {
    return new Set(actorIds.flatMap((actorId) => this.#actors.get(actorId)?.workerId ?? []).map(nodeKeyOf));
  }

  /** Those of a job that live, or may, each with a worker of its own. */
  alone(jobId: JobId): ActorId[] {
    const found: ActorId[] = [];
    for (const { spec, phase } of this.#actors.values()) if (spec.jobId === jobId && phase !== "DEAD" && !spec.isShared) found.push(spec.actorId);
    return found;
  }

  /** Of a node that is lost: those that an actor lives in, or that own or watch one. */
  workersOf(node: NodeKey): Set<WorkerId> {
    const found = new Set<WorkerId>();
    const note = (workerId: WorkerId | null): void => { if (workerId !== null && nodeKeyOf(workerId) === node) found.add(workerId); };
    for (const { spec, phase, workerId, watchers } of this.#actors.values()) {
      if (phase === "DEAD") continue;
      note(workerId);
      note(spec.ownerId);
      watchers?.forEach(note);
    }
    for (const { ownerId, watchers } of this.#awaited.values()) [ownerId, ...watchers].forEach(note);
    return found;
  }

  /** The placement group that they live in, or were to live in. */
  groupRemoved(groupId: PlacementGroupId, reason: string): ActorInstruction[] {
    const concerned = [...this.#actors.values()].filter(({ phase, spec }) => phase !== "DEAD" && spec.bundle?.groupId === groupId);
    return concerned.flatMap((actor) => {
      const { workerId } = actor;
      const message = `lived in placement group ${groupId}, which is removed: ${reason}`;
      return [...this.#die(actor, "killed", message, null, "PlacementGroupRemovedError"), ...endOf(actor.spec, workerId, false, `placement group ${groupId} is removed: ${reason}`, "killed")];
    });
  }

  /** (10) */
  ended(actorId: ActorId, reason: string): ActorInstruction[] {
    const actor = this.#actors.get(actorId);
    if (actor === undefined || actor.phase === "DEAD" || actor.workerId === null) return [];
    return this.#gone(actor, reason, false);
  }

  #gone(actor: Actor, reason: string, isOwnerLost: boolean, isNodeDrained = false): ActorInstruction[] {
    const isFree = (actor.isMoving || isNodeDrained) && mayMove(actor);
    actor.isMoving = false;
    actor.workerId = null;
    if (actor.phase === "DEAD") return [];
    if (actor.endReason !== null) return this.#die(actor, "exited", actor.endReason);
    if (isOwnerLost) return this.#die(actor, "ownerEnded", reason);
    if (!isFree && !this.#takeRestart(actor)) return this.#die(actor, actor.isBeingKilled ? "killed" : "workerLost", reason);
    actor.isBeingKilled = false;
    actor.phase = "RESTARTING";
    return [...this.#endChildren(actor.spec.actorId, reason), this.#publish(actor), { type: "place", spec: actor.spec }];
  }

  /** Of a shared actor, whose worker lives on. */
  #endChildren(actorId: ActorId, reason: string): ActorInstruction[] {
    const children = this.#children.get(actorId);
    if (children === undefined) return [];
    this.#children.delete(actorId);
    return Array.from(children, (childId) => this.#actors.get(childId)).flatMap((child) => (child === undefined || child.phase === "DEAD" ? [] : this.#endWithOwner(child, `its owner (actor ${actorId}) ended: ${reason}`)));
  }

  #endWithOwner(actor: Actor, reason: string): ActorInstruction[] {
    const { workerId } = actor;
    return [...this.#die(actor, "ownerEnded", reason), ...endOf(actor.spec, workerId, false, reason, "ownerEnded")];
  }

  /** Uses up one restart. False when none is left. */
  #takeRestart(actor: Actor): boolean {
    if (!this.#hasRestartLeft(actor)) return false;
    actor.restarts++;
    return true;
  }

  #hasRestartLeft({ spec, restarts, endReason }: Actor): boolean {
    return endReason === null && (spec.maxRestarts === -1 || restarts < spec.maxRestarts);
  }

  findByName(name: string, namespace: string): FoundActor | undefined {
    const actorId = this.#names.get(keyOf(namespace, name));
    return actorId === undefined ? undefined : foundAs(this.#actor(actorId).spec);
  }

  listNames(namespace: string | null): { name: string; namespace: string }[] {
    const found: { name: string; namespace: string }[] = [];
    for (const actorId of this.#names.values()) {
      const { spec } = this.#actor(actorId);
      if (spec.name !== null && (namespace === null || spec.namespace === namespace)) found.push({ name: spec.name, namespace: spec.namespace });
    }
    return found;
  }

  /** Those that cannot be called yet, of one program or all. */
  waiting(jobId: JobId | null): WaitingActorRecord[] {
    const waiting: WaitingActorRecord[] = [];
    for (const { spec, phase, workerId } of this.#actors.values()) {
      if ((phase !== "PENDING_CREATION" && phase !== "RESTARTING") || (jobId !== null && spec.jobId !== jobId)) continue;
      const { actorId, className, name, resources, bundle } = spec;
      if (waiting.push({ actorId, className, name, isRestarting: phase === "RESTARTING", workerId, resources, groupId: bundle?.groupId ?? null }) === WAITING_TOLD_MAX) break;
    }
    return waiting;
  }

  /** For messages to people. */
  describe(actorId: ActorId): string {
    const spec = this.#find(actorId)?.spec;
    if (spec === undefined) return `actor ${actorId}`;
    return `actor ${spec.className} (${spec.name === null ? actorId : `'${spec.name}', ${actorId}`})`;
  }

  phaseOf(actorId: ActorId): ActorPhase | undefined {
    return this.#find(actorId)?.phase;
  }

  #die(actor: Actor, reason: ActorEndReason, message: string, creation: TaskErrorRecord | null = null, refusal: ActorDeath["refusal"] = null): ActorInstruction[] {
    const { actorId } = actor.spec;
    actor.phase = "DEAD";
    actor.workerId = null;
    actor.death = { message, reason, creation, refusal };
    // The class and the arguments are not needed any more; only the reason is. A template is not this actor's alone.
    actor.spec = actor.spec.isShared ? withoutArgs(actor.spec) : { ...actor.spec, units: [], args: [] };
    if (actor.spec.parentId !== null) this.#forgetChild(actor.spec.parentId, actorId);
    if (actor.spec.name !== null) {
      const nameKey = keyOf(actor.spec.namespace, actor.spec.name);
      if (this.#names.get(nameKey) === actorId) this.#names.delete(nameKey);
    }
    this.#dead.push(actorId);
    if (this.#dead.length > DEAD_ACTORS_MAX) this.#forget(this.#dead.shift() as ActorId);
    return [this.#publish(actor), ...this.#endChildren(actorId, message)];
  }

  #forgetChild(parentId: ActorId, actorId: ActorId): void {
    const children = this.#children.get(parentId);
    if (children?.delete(actorId) === true && children.size === 0) this.#children.delete(parentId);
  }

  #forget(actorId: ActorId): void {
    this.#actors.delete(actorId);
    for (const [alias, target] of this.#aliases) if (target === actorId) this.#aliases.delete(alias);
  }

  /** To all who watch it. */
  #publish(actor: Actor): ActorInstruction {
    const { actorId, ownerId } = actor.spec;
    return this.#publication(actor, actor.watchers === null ? [ownerId] : [ownerId, ...actor.watchers], actorId);
  }

  /** From now on they watch it. */
  #publishTo(actor: Actor, watchers: readonly WorkerId[], askedAs: ActorId): ActorInstruction {
    for (const watcherId of watchers) watch(actor, watcherId);
    return this.#publication(actor, watchers, askedAs);
  }

  #publication(actor: Actor, watchers: readonly WorkerId[], askedAs: ActorId): ActorInstruction {
    const { actorId } = actor.spec;
    const state: ActorStateRecord = { actorId: askedAs, phase: actor.phase, workerId: actor.phase === "ALIVE" ? actor.workerId : null, number: actor.number, death: actor.death, aliasOf: askedAs === actorId ? null : foundAs(actor.spec) };
    return { type: "publish", watchers, state };
  }

  #find(actorId: ActorId): Actor | undefined {
    return this.#actors.get(this.#aliases.get(actorId) ?? actorId);
  }

  #actor(actorId: ActorId): Actor {
    const actor = this.#find(actorId);
    invariant(actor !== undefined, () => `actor ${actorId} is not in the table`);
    return actor;
  }
}

/** Also one that has used up its restarts. */
function mayMove({ spec, endReason }: Actor): boolean {
  return endReason === null && spec.maxRestarts !== 0;
}

function endOf({ actorId, isShared }: ActorSpec, workerId: WorkerId | null, graceful: boolean, reason: string, endReason: ActorEndReason, mayRestart = false): ActorInstruction[] {
  if (workerId === null) return [{ type: "cancelPlacement", actorId }];
  return isShared ? [{ type: "endShared", workerId, actorId, graceful, mayRestart, reason, endReason }] : [{ type: "endWorker", workerId, graceful, reason }];
}

function foundAs({ actorId, ownerId, isDetached, isShared, className, methods, rules }: ActorSpec): FoundActor {
  return { actorId, ownerId, isDetached, isShared, className, methods, rules };
}

function watch(actor: Actor, watcherId: WorkerId): void {
  if (watcherId !== actor.spec.ownerId) (actor.watchers ??= new Set()).add(watcherId);
}

function withoutArgs(spec: ActorSpec): ActorSpec {
  return spec.args.length === 0 ? spec : specFrom(partsOf(spec).template, spec.actorId, []);
}

function keyOf(namespace: string, name: string): string {
  return JSON.stringify([namespace, name]);
}

function firstLine(text: string): string {
  const end = text.indexOf("\n");
  return end < 0 ? text : text.slice(0, end);
}
