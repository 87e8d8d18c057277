import { creatorOf, foldAlike, moreWait, type ActorId, type Clock, type JobId, type NodeKey, type PlacementGroupId, type SystemErrorRecord, type Timer, UNITS_PER_RESOURCE, type WorkerId } from "../base/mod.ts";
import type { BundleClient } from "../clients/mod.ts";
import type { ActorSpec, BundleReport, FromNode, PlacementGroupRecord, PlacementGroupRequest, PlacementGroupRow, WaitingGroupRecord } from "../protocol/mod.ts";
import { fits } from "../scheduling/mod.ts";
import { type GroupRow, PlacementGroupState, type PlacementGroupInstruction } from "./placement-group-state.ts";

/** How long a group that no node can hold waits for one that can before that is said. */
const INFEASIBLE_MS = 2_500;
/** Stands among the watchers of a group for the GCS itself, which places actors in it. */
const GCS_ITSELF = "";

export interface PlacementGroupsEnvironment {
  readonly clock: Clock;
  readonly nodes: BundleClient;
  send(workerId: WorkerId, message: FromNode): void;
  /** With others of this turn in one frame. */
  sendSoon(workerId: WorkerId, message: FromNode): void;
  /** Whether that worker lives, as far as is known. */
  isConnected(workerId: WorkerId): boolean;
  /** Its group is there. */
  placeActor(spec: ActorSpec): void;
  refuseActor(actorId: ActorId, error: SystemErrorRecord): void;
  /** Those that are in the group already. */
  endActors(groupId: PlacementGroupId, reason: string): void;
}

/** The placement groups of the cluster: PlacementGroupState decides, this acts. Actors wait here for their groups. */
export class PlacementGroups {
  readonly #env: PlacementGroupsEnvironment;
  readonly #state = new PlacementGroupState();
  readonly #waitingActors = new Map<PlacementGroupId, Map<ActorId, ActorSpec>>();
  readonly #told = new Set<PlacementGroupId>();
  #timer: Timer | null = null;
  #isActing = false;
  readonly #due: PlacementGroupInstruction[] = [];

  constructor(environment: PlacementGroupsEnvironment) {
    this.#env = environment;
  }

  fromWorker(senderId: WorkerId, message: PlacementGroupRequest): void {
    switch (message.type) {
      case "createPlacementGroup":
        return this.#act(this.#state.create(message.spec));
      case "removePlacementGroup":
        return this.#act(this.#state.remove(message.groupId, { workerId: senderId, requestId: message.requestId }));
      case "watchPlacementGroup":
        return this.#act(this.#state.watch(message.groupId, senderId));
      case "placementGroupTold":
        return this.#act(this.#state.creatorTold(message.groupId));
      case "findPlacementGroup":
        return this.#reply(senderId, message.requestId, this.#state.findByName(message.name, message.namespace));
      case "listPlacementGroups":
        return this.#reply(senderId, message.requestId, this.#state.rows(message.groupId).map((row): PlacementGroupRow => ({ ...row, nodeIds: row.nodes.map((node) => (node === null ? null : this.#env.nodes.nodeIdOf(node))) })));
    }
  }

  #reply(workerId: WorkerId, requestId: number, result: unknown): void {
    this.#env.send(workerId, { type: "reply", requestId, result, error: null });
  }

  // ------------------------------------------------------------------ nodes

  bundlesReported(node: NodeKey, report: BundleReport): void {
    const { groupId } = report;
    switch (report.type) {
      case "bundlesPrepared":
        return this.#act(this.#state.prepared(node, groupId, report.attempt));
      case "bundlesRefused":
        return this.#act(this.#state.refused(node, groupId, report.attempt));
      case "bundlesCommitted":
        return this.#act(this.#state.committed(node, groupId, report.attempt));
      case "bundlesReturned":
        return this.#act(this.#state.returned(node, groupId));
      case "nodeWatchesGroup":
        return this.#act(this.#state.watchFromNode(groupId, node));
    }
  }

  /** Nodes have come, or have room again. */
  nodesChanged(): void {
    this.#state.nodesChanged();
    this.#act([]);
  }

  nodeDrains(node: NodeKey): void {
    this.#act(this.#state.nodeDrains(node));
  }

  nodeLost(node: NodeKey): void {
    this.#act(this.#state.nodeLost(node));
  }

  // ------------------------------------------------------------------ ends

  jobEnded(jobId: JobId): void {
    this.#act(this.#state.jobEnded(jobId));
  }

  actorEnded(actorId: ActorId): void {
    this.#act(this.#state.actorEnded(actorId));
  }

  workerLost(workerId: WorkerId): void {
    this.#act(this.#state.workerLost(workerId));
  }

  // ------------------------------------------------------------------ actors

  /** As soon as its group is there. */
  placeActor(spec: ActorSpec): void {
    const groupId = spec.bundle?.groupId as PlacementGroupId;
    const waiting = this.#waitingActors.get(groupId) ?? new Map<ActorId, ActorSpec>();
    waiting.set(spec.actorId, spec);
    this.#waitingActors.set(groupId, waiting);
    this.#act(this.#state.watch(groupId, GCS_ITSELF));
  }

  cancelActor(actorId: ActorId): void {
    for (const [groupId, waiting] of this.#waitingActors) if (waiting.delete(actorId) && waiting.size === 0) this.#waitingActors.delete(groupId);
  }

  #groupOfActorsChanged(record: PlacementGroupRecord): void {
    const { groupId, phase, removal } = record;
    if (phase !== "CREATED" && phase !== "REMOVED") return;
    const waiting = [...(this.#waitingActors.get(groupId)?.values() ?? [])];
    this.#waitingActors.delete(groupId);
    for (const spec of waiting) {
      const error = refusalOf(spec, record);
      if (error === null) this.#env.placeActor(spec);
      else this.#env.refuseActor(spec.actorId, error);
    }
    if (phase === "REMOVED") this.#env.endActors(groupId, removal ?? "");
  }

  // ------------------------------------------------------------------ acting

  /** Nodes in this thread answer at once: what comes of an answer waits for its turn. */
  #act(instructions: readonly PlacementGroupInstruction[]): void {
    this.#due.push(...instructions);
    if (this.#isActing) return;
    this.#isActing = true;
    for (;;) {
      if (this.#due.length === 0 && this.#state.isAnyUntried) this.#place();
      const next = this.#due.shift();
      if (next === undefined) break;
      this.#one(next);
    }
    this.#isActing = false;
  }

  #place(): void {
    this.#due.push(...this.#state.place(this.#env.nodes.bundleNodes().map(({ key, totals, available }) => ({ key, totals, available, promised: null }))));
    if (this.#timer === null && this.#untold().length > 0) this.#timer = this.#env.clock.after(INFEASIBLE_MS, () => this.#tellInfeasible());
  }

  #one(instruction: PlacementGroupInstruction): void {
    switch (instruction.type) {
      case "prepare": {
        const { node, groupId, attempt, bundles, waits } = instruction;
        return this.#env.nodes.orderBundles(node, { type: "prepareBundles", groupId, attempt, bundles, waits });
      }
      case "commit":
      case "cancel":
        return this.#env.nodes.orderBundles(instruction.node, { type: instruction.type === "commit" ? "commitBundles" : "cancelBundles", groupId: instruction.groupId, attempt: instruction.attempt });
      case "return":
        return this.#env.nodes.orderBundles(instruction.node, { type: "returnBundles", groupId: instruction.groupId, reason: instruction.reason });
      case "publish":
        return this.#publish(instruction.watchers, instruction.nodes, instruction.record);
      case "removalDone":
        return this.#env.sendSoon(instruction.workerId, { type: "reply", requestId: instruction.requestId, result: null, error: null });
      case "askCreator":
        if (this.#env.isConnected(instruction.creatorId)) return this.#env.send(instruction.creatorId, { type: "wherePlacementGroup", groupId: instruction.groupId });
        return this.#act(this.#state.creatorTold(instruction.groupId));
    }
  }

  #publish(watchers: readonly WorkerId[], nodes: readonly NodeKey[], record: PlacementGroupRecord): void {
    for (const node of nodes) this.#env.nodes.orderBundles(node, { type: "placementGroupChanged", record });
    for (const watcher of watchers) {
      if (watcher === GCS_ITSELF) this.#groupOfActorsChanged(record);
      else this.#env.sendSoon(watcher, { type: "placementGroupState", groupId: record.groupId, phase: record.phase, removal: record.removal, isNameTaken: record.isNameTaken });
    }
    if (record.phase === "REMOVED") this.#told.delete(record.groupId);
  }

  // ------------------------------------------------------------------ groups that no node can hold

  #untold(): GroupRow[] {
    return this.#state.infeasible().filter(({ groupId }) => !this.#told.has(groupId));
  }

  #tellInfeasible(): void {
    this.#timer = null;
    const untold = this.#untold();
    for (const { groupId } of untold) this.#told.add(groupId);
    for (const alike of foldAlike(untold, ({ groupId, strategy, infeasible }) => [creatorOf(groupId), strategy, infeasible].join(" "))) {
      const { groupId, name, strategy, infeasible } = alike.first;
      const called = name === null ? groupId : `'${name}' (${groupId})`;
      this.#env.send(creatorOf(groupId), { type: "warning", text: `placement group ${called}, ${strategy}, has no place: ${infeasible}; it waits until the cluster has such nodes: ask for less, or give the cluster more${moreWait(alike)}` });
    }
  }

  /** Those that are not there yet, of one program or all. */
  waiting(jobId: JobId | null): WaitingGroupRecord[] {
    const rows = this.#state.rows(null).filter((row) => (row.phase === "PENDING" || row.phase === "RESCHEDULING") && (jobId === null || row.jobId === jobId));
    return rows.map(({ groupId, name, strategy, bundles, infeasible }) => ({ groupId, name, strategy, bundles, infeasible }));
  }

  stop(): void {
    this.#timer?.cancel();
  }
}

function refusalOf({ actorId, resources, bundle }: ActorSpec, { groupId, phase, bundles, removal }: PlacementGroupRecord): SystemErrorRecord | null {
  if (phase === "REMOVED") return { kind: "PlacementGroupRemovedError", message: `was to live in placement group ${groupId}, which is removed: ${removal}`, subjectId: actorId };
  const index = bundle?.bundleIndex ?? -1;
  if ((index < 0 ? bundles : bundles.slice(index, index + 1)).some((one) => fits(resources, one))) return null;
  const wanted = Object.entries(resources).map(([name, units]) => `${units / UNITS_PER_RESOURCE} ${name}`).join(" and ");
  return { kind: "ActorUnschedulableError", message: `needs ${wanted}, but ${index < 0 ? "no bundle" : `bundle ${index}`} of placement group ${groupId} has not so much; ask for less, or make the group with larger bundles`, subjectId: actorId };
}

