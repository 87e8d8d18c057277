import { creatorOf, forgetOldest, nodeKeyOf, RenewedMap, RenewedSet, type ActorId, type JobId, type NodeKey, type PlacementGroupId, type ResourceAmounts, type WorkerId } from "../base/mod.ts";
import { type PlacementGroupPhase, type PlacementGroupRecord, type PlacementGroupRow, type PlacementGroupSpec, REMOVED_BY_PROGRAM } from "../protocol/mod.ts";
import { type BundleNode, placeBundles, sumOf } from "../scheduling/mod.ts";

/**
 * The life of every placement group, and who has which name. Pure: events in, instructions out.
 *
 *  create (1)          all prepared (3)        all committed (4)
 *  ─────────▶ PENDING ─────────────────▶ PREPARED ─────────────▶ CREATED
 *             │  ▲ │                        │                     │  ▲
 *    plan (2) └──┘ └─▶◀── refused (5), ─────┘          node lost  │  │ (2), (3), (4) for the
 *                         node lost (6)                    (6)    ▼  │ bundles that were there
 *                                                               RESCHEDULING
 *  from anywhere: removed, its job or actor ended (7) ──▶ REMOVED
 *
 * (1) A taken name is refused. Whoever made the group hears of all that becomes of it.
 * (2) Groups are tried in the order in which they were made, and one that finds no room, or never will, does not hold up those behind
 *     it. The nodes that are to have its bundles set the resources aside. Where no room is now and one node would have all, that
 *     node keeps the wish, the first of each form, and grants it before anything else: tasks that come and go leave no gap otherwise.
 * (3) All of them have: they are told to go ahead. Until then nobody can use any of it, and it can be taken back.
 * (4) Tasks and actors may run in it.
 * (5) One has no room after all: what the others have set aside is given back. Tried again when nodes have changed.
 * (6) The bundles that were there are placed again; the others stay, and so does what runs in them.
 *     A node that drains is as good as lost, but who uses its bundles may end by himself.
 * (7) Everything goes back, and who uses it is ended. A group ends with the actor that made it, or else with its job, unless it is
 *     detached. A worker that has it removed takes it for removed from then on, and is told when all has come back, but no more.
 *
 * Every attempt has a number, so that an answer to an earlier one changes nothing, but is told that nothing comes of it.
 */
export type PlacementGroupInstruction =
  | { readonly type: "prepare"; readonly node: NodeKey; readonly groupId: PlacementGroupId; readonly attempt: number; readonly bundles: readonly (readonly [index: number, resources: ResourceAmounts])[]; readonly waits: boolean }
  | { readonly type: "commit" | "cancel"; readonly node: NodeKey; readonly groupId: PlacementGroupId; readonly attempt: number }
  | { readonly type: "return"; readonly node: NodeKey; readonly groupId: PlacementGroupId; readonly reason: string }
  | { readonly type: "publish"; readonly watchers: readonly WorkerId[]; readonly nodes: readonly NodeKey[]; readonly record: PlacementGroupRecord }
  /** To who asked for the removal: all is given back. */
  | { readonly type: "removalDone"; readonly workerId: WorkerId; readonly requestId: number }
  /** Somebody asks for a group that is not known; its maker may be about to tell of it. */
  | { readonly type: "askCreator"; readonly groupId: PlacementGroupId; readonly creatorId: WorkerId };

/** The ids of nodes in full are not known here. */
export type GroupRow = Omit<PlacementGroupRow, "nodeIds">;

/** Bundles on their way to nodes. */
interface Plan {
  readonly attempt: number;
  /** By index. */
  readonly nodes: ReadonlyMap<number, NodeKey>;
  /** Nodes that have not answered yet. */
  readonly awaited: Set<NodeKey>;
  isCommitting: boolean;
  /** The form of a group that waits at its node for room; null for one that does not. */
  readonly waitsAs: string | null;
}

interface Group {
  readonly spec: PlacementGroupSpec;
  phase: PlacementGroupPhase;
  readonly nodes: (NodeKey | null)[];
  /** By which attempt each bundle came where it is. */
  readonly placedBy: number[];
  plan: Plan | null;
  attempts: number;
  infeasible: string | null;
  removal: string | null;
  isNameTaken: boolean;
  /** Nodes that drain, where somebody may still use what were its bundles. Null for none. */
  leftAt: Set<NodeKey> | null;
  readonly watchers: Set<WorkerId>;
  /** Nodes where somebody asks for tasks in it. Null for none. */
  watchingNodes: Set<NodeKey> | null;
}

/** What is still to come back of a removed group, and who waits for that. */
interface Removal {
  readonly awaited: Set<NodeKey>;
  readonly askers: { readonly workerId: WorkerId; readonly requestId: number }[];
}

/** Removed groups that are remembered, so that late users learn why, and the table shows them. */
const REMOVED_MAX = 1_000;
/** Groups that were removed before who made them told of them. */
const REMOVED_EARLY_MAX = 1_000;

export class PlacementGroupState {
  readonly #groups = new RenewedMap<PlacementGroupId, Group>();
  /** Those with bundles that are nowhere, in the order in which they were made. */
  readonly #pending = new RenewedSet<Group>();
  /** Of these, those that are to be tried. */
  readonly #untried = new RenewedSet<Group>();
  /** Of the pending ones, those that no node that is there could ever hold. */
  readonly #infeasible = new Set<Group>();
  /** Forms of groups that wait at a node. */
  readonly #waitingForms = new Set<string>();
  readonly #names = new Map<string, PlacementGroupId>();
  readonly #removals = new RenewedMap<PlacementGroupId, Removal>();
  readonly #removed = new RenewedMap<PlacementGroupId, Group>();
  readonly #removedEarly = new Map<PlacementGroupId, string>();
  /** Who watches groups that are not known yet. */
  readonly #awaited = new Map<PlacementGroupId, { readonly watchers: Set<WorkerId>; readonly nodes: Set<NodeKey> }>();

  /** (1) */
  create(spec: PlacementGroupSpec): PlacementGroupInstruction[] {
    const { groupId } = spec;
    if (this.#groups.has(groupId) || this.#removed.has(groupId)) return [];
    const group: Group = { spec, phase: "PENDING", nodes: spec.bundles.map(() => null), placedBy: [], plan: null, attempts: 0, infeasible: null, removal: null, isNameTaken: false, leftAt: null, watchers: new Set([creatorOf(groupId)]), watchingNodes: null };
    const awaited = this.#awaited.get(groupId);
    this.#awaited.delete(groupId);
    for (const watcherId of awaited?.watchers ?? []) group.watchers.add(watcherId);
    for (const node of awaited?.nodes ?? []) (group.watchingNodes ??= new Set()).add(node);
    this.#groups.set(groupId, group);
    const removedEarly = this.#removedEarly.get(groupId);
    this.#removedEarly.delete(groupId);
    if (removedEarly !== undefined) return this.#remove(group, removedEarly);
    if (spec.name !== null) {
      const nameKey = nameKeyOf(spec.namespace, spec.name);
      group.isNameTaken = this.#names.has(nameKey);
      if (group.isNameTaken) return this.#remove(group, `another placement group is named '${spec.name}' in namespace '${spec.namespace}'`);
      this.#names.set(nameKey, groupId);
    }
    this.#pending.add(group);
    this.#untried.add(group);
    return awaited === undefined ? [] : [this.#publication(group)];
  }

  // ------------------------------------------------------------------ placing

  /** Whether `place` has something to do. */
  get isAnyUntried(): boolean {
    return this.#untried.size > 0;
  }

  /** (2) `nodes`: those that are alive and take work. */
  place(nodes: readonly BundleNode[]): PlacementGroupInstruction[] {
    const untried = [...this.#untried];
    this.#untried.clear();
    const out: PlacementGroupInstruction[] = [];
    const offers = new Offers(nodes);
    const hopeless = new Set<string>();
    for (const group of untried) {
      if (!this.#pending.has(group) || (group.plan !== null && group.plan.waitsAs === null)) continue;
      const form = hopeless.size === 0 ? null : formOf(group);
      if (form === null || !hopeless.has(form)) this.#placeOne(group, offers, hopeless, out);
    }
    return out;
  }

  #placeOne(group: Group, offers: Offers, hopeless: Set<string>, out: PlacementGroupInstruction[]): void {
    const missing = missingOf(group);
    const bundles = missing.map((index) => group.spec.bundles[index] as ResourceAmounts);
    const answer = placeBundles(offers.nodes, { bundles, strategy: group.spec.strategy, occupied: group.nodes.filter((node) => node !== null) });
    group.infeasible = answer.type === "infeasible" ? answer.reason : null;
    if (answer.type === "infeasible") this.#infeasible.add(group);
    else this.#infeasible.delete(group);
    if (answer.type === "nodes") {
      // The node that it waits at has room now, and says so by itself.
      if (group.plan !== null && answer.nodes.every((node) => group.plan?.awaited.has(node))) return;
      out.push(...this.#dropPlan(group, null));
      for (const [position, node] of answer.nodes.entries()) offers.promise(node, bundles[position] as ResourceAmounts);
      return this.#plan(group, missing, answer.nodes, null, out);
    }
    const form = formOf(group);
    hopeless.add(form);
    if (group.plan !== null || answer.type === "infeasible" || answer.nodes === null || new Set(answer.nodes).size > 1 || this.#waitingForms.has(form)) return;
    this.#waitingForms.add(form);
    this.#plan(group, missing, answer.nodes, form, out);
  }

  #plan(group: Group, indices: readonly number[], places: readonly NodeKey[], waitsAs: string | null, out: PlacementGroupInstruction[]): void {
    const { groupId, bundles } = group.spec;
    const attempt = ++group.attempts;
    const nodes = new Map(indices.map((index, position) => [index, places[position] as NodeKey]));
    group.plan = { attempt, nodes, awaited: new Set(places), isCommitting: false, waitsAs };
    for (const node of group.plan.awaited) {
      const there = indices.filter((index) => nodes.get(index) === node).map((index) => [index, bundles[index] as ResourceAmounts] as const);
      out.push({ type: "prepare", node, groupId, attempt, bundles: there, waits: waitsAs !== null });
    }
  }

  /** Nodes have come, or have room again: `place` has something to do. */
  nodesChanged(): void {
    for (const group of this.#pending) this.#untried.add(group);
  }

  /** (3) */
  prepared(node: NodeKey, groupId: PlacementGroupId, attempt: number): PlacementGroupInstruction[] {
    const group = this.#groups.get(groupId);
    const plan = group?.plan ?? null;
    if (group === undefined || plan === null || plan.attempt !== attempt) return group?.placedBy.includes(attempt) === true ? [] : [{ type: "cancel", node, groupId, attempt }];
    if (plan.isCommitting) return [];
    plan.awaited.delete(node);
    if (plan.awaited.size > 0) return [];
    if (group.phase === "PENDING") group.phase = "PREPARED";
    this.#waitsNoMore(plan);
    plan.isCommitting = true;
    for (const one of plan.nodes.values()) plan.awaited.add(one);
    return Array.from(plan.awaited, (one) => ({ type: "commit", node: one, groupId, attempt }));
  }

  /** (5) */
  refused(node: NodeKey, groupId: PlacementGroupId, attempt: number): PlacementGroupInstruction[] {
    const group = this.#groups.get(groupId);
    const plan = group?.plan ?? null;
    if (group === undefined || plan === null || plan.attempt !== attempt) return [];
    const out = this.#dropPlan(group, node);
    // What is asked for whole may be there only in parts: the node knows better, and says when it has it.
    const form = formOf(group);
    const isOneNode = [...plan.nodes.values()].every((other) => other === node);
    if (plan.waitsAs === null && !plan.isCommitting && isOneNode && !this.#waitingForms.has(form)) {
      this.#waitingForms.add(form);
      this.#plan(group, [...plan.nodes.keys()], [...plan.nodes.values()], form, out);
    }
    return out;
  }

  /** What was set aside for it, anywhere but at `except`, goes back. */
  #dropPlan(group: Group, except: NodeKey | null): PlacementGroupInstruction[] {
    const { plan, spec: { groupId } } = group;
    if (plan === null) return [];
    group.plan = null;
    this.#waitsNoMore(plan);
    if (group.phase === "PREPARED") group.phase = "PENDING";
    return [...new Set(plan.nodes.values())].filter((node) => node !== except).map((node) => ({ type: "cancel", node, groupId, attempt: plan.attempt }));
  }

  /** The next one of its form may wait in its place. */
  #waitsNoMore(plan: Plan): void {
    if (plan.waitsAs === null || !this.#waitingForms.delete(plan.waitsAs)) return;
    for (const group of this.#pending) if (group.plan === null) this.#untried.add(group);
  }

  /** (4) */
  committed(node: NodeKey, groupId: PlacementGroupId, attempt: number): PlacementGroupInstruction[] {
    const group = this.#groups.get(groupId);
    const plan = group?.plan ?? null;
    if (group === undefined || plan === null || plan.attempt !== attempt || !plan.isCommitting) return [];
    plan.awaited.delete(node);
    if (plan.awaited.size > 0) return [];
    for (const [index, at] of plan.nodes) {
      group.nodes[index] = at;
      group.placedBy[index] = attempt;
    }
    group.plan = null;
    // A node with others may have been lost meanwhile.
    if (missingOf(group).length > 0) {
      this.#untried.add(group);
      return [this.#publication(group)];
    }
    this.#pending.delete(group);
    group.phase = "CREATED";
    return [this.#publication(group)];
  }

  /** (6) */
  nodeLost(node: NodeKey): PlacementGroupInstruction[] {
    const out: PlacementGroupInstruction[] = [];
    for (const group of this.#groups.values()) {
      group.watchingNodes?.delete(node);
      group.leftAt?.delete(node);
      if (group.plan !== null && [...group.plan.nodes.values()].includes(node)) {
        out.push(...this.#dropPlan(group, node));
        this.#untried.add(group);
      }
      if (group.nodes.includes(node)) out.push(this.#reschedule(group, node));
    }
    for (const groupId of [...this.#removals.keys()]) out.push(...this.returned(node, groupId));
    for (const [groupId, { nodes }] of [...this.#awaited]) {
      if (nodeKeyOf(creatorOf(groupId)) === node) out.push(...this.creatorTold(groupId));
      else if (nodes.delete(node)) this.#forgetIfUnawaited(groupId);
    }
    return out;
  }

  /** (6) It takes no bundles any more. */
  nodeDrains(node: NodeKey): PlacementGroupInstruction[] {
    const out: PlacementGroupInstruction[] = [];
    for (const group of this.#groups.values()) {
      if (group.plan !== null && [...group.plan.nodes.values()].includes(node)) {
        out.push(...this.#dropPlan(group, null));
        this.#untried.add(group);
      }
      const attempts = new Set(group.placedBy.filter((_, index) => group.nodes[index] === node));
      if (attempts.size === 0) continue;
      (group.leftAt ??= new Set()).add(node);
      for (const attempt of attempts) out.push({ type: "cancel", node, groupId: group.spec.groupId, attempt });
      out.push(this.#reschedule(group, node));
    }
    return out;
  }

  #reschedule(group: Group, from: NodeKey): PlacementGroupInstruction {
    for (const [index, at] of group.nodes.entries()) if (at === from) group.nodes[index] = null;
    group.phase = "RESCHEDULING";
    this.#pending.add(group);
    this.#untried.add(group);
    return this.#publication(group);
  }

  // ------------------------------------------------------------------ removal

  /** (7) By a program: `asker` is told when all is given back. */
  remove(groupId: PlacementGroupId, asker: { readonly workerId: WorkerId; readonly requestId: number }): PlacementGroupInstruction[] {
    const group = this.#groups.get(groupId);
    if (group === undefined && !this.#removed.has(groupId)) {
      this.#removedEarly.set(groupId, REMOVED_BY_PROGRAM);
      forgetOldest(this.#removedEarly, REMOVED_EARLY_MAX);
    }
    const out = group === undefined ? [] : this.#remove(group, REMOVED_BY_PROGRAM, asker.workerId);
    const removal = this.#removals.get(groupId);
    if (removal === undefined) return [...out, { type: "removalDone", ...asker }];
    removal.askers.push(asker);
    return out;
  }

  jobEnded(jobId: JobId): PlacementGroupInstruction[] {
    return this.#removeWhere(({ spec }) => spec.jobId === jobId && !spec.isDetached && spec.actorId === null, `its job (${jobId}) ended`);
  }

  actorEnded(actorId: ActorId): PlacementGroupInstruction[] {
    if (this.#groups.size === 0) return [];
    return this.#removeWhere(({ spec }) => spec.actorId === actorId && !spec.isDetached, `the actor that made it (${actorId}) ended`);
  }

  #removeWhere(isConcerned: (group: Group) => boolean, reason: string): PlacementGroupInstruction[] {
    return [...this.#groups.values()].filter(isConcerned).flatMap((group) => this.#remove(group, reason));
  }

  /** `askerId`: who knows by itself. */
  #remove(group: Group, reason: string, askerId: WorkerId | null = null): PlacementGroupInstruction[] {
    const { groupId, name, namespace } = group.spec;
    const { plan } = group;
    const nodes = new Set<NodeKey>(group.leftAt);
    for (const node of plan?.nodes.values() ?? []) nodes.add(node);
    for (const node of group.nodes) if (node !== null) nodes.add(node);
    group.plan = null;
    if (plan !== null) this.#waitsNoMore(plan);
    group.nodes.fill(null);
    group.phase = "REMOVED";
    group.removal = reason;
    group.infeasible = null;
    this.#groups.delete(groupId);
    this.#pending.delete(group);
    this.#untried.delete(group);
    this.#infeasible.delete(group);
    this.#removed.set(groupId, group);
    forgetOldest(this.#removed, REMOVED_MAX);
    if (name !== null && this.#names.get(nameKeyOf(namespace, name)) === groupId) this.#names.delete(nameKeyOf(namespace, name));
    if (nodes.size > 0) this.#removals.set(groupId, { awaited: nodes, askers: [] });
    if (askerId !== null) group.watchers.delete(askerId);
    const out: PlacementGroupInstruction[] = [this.#publication(group)];
    for (const node of nodes) out.push({ type: "return", node, groupId, reason });
    return out;
  }

  returned(node: NodeKey, groupId: PlacementGroupId): PlacementGroupInstruction[] {
    const removal = this.#removals.get(groupId);
    if (removal === undefined || !removal.awaited.delete(node) || removal.awaited.size > 0) return [];
    this.#removals.delete(groupId);
    return removal.askers.map((asker) => ({ type: "removalDone", ...asker }));
  }

  // ------------------------------------------------------------------ who wants to know

  watch(groupId: PlacementGroupId, watcherId: WorkerId): PlacementGroupInstruction[] {
    const record = this.find(groupId);
    if (record === null) {
      this.#awaitedOf(groupId).watchers.add(watcherId);
      return [this.#askCreator(groupId)];
    }
    this.#groups.get(groupId)?.watchers.add(watcherId);
    return [{ type: "publish", watchers: [watcherId], nodes: [], record }];
  }

  watchFromNode(groupId: PlacementGroupId, node: NodeKey): PlacementGroupInstruction[] {
    const record = this.find(groupId);
    if (record === null) {
      this.#awaitedOf(groupId).nodes.add(node);
      return [this.#askCreator(groupId)];
    }
    const group = this.#groups.get(groupId);
    if (group !== undefined) (group.watchingNodes ??= new Set()).add(node);
    return [{ type: "publish", watchers: [], nodes: [node], record }];
  }

  #awaitedOf(groupId: PlacementGroupId): { readonly watchers: Set<WorkerId>; readonly nodes: Set<NodeKey> } {
    const awaited = this.#awaited.get(groupId) ?? { watchers: new Set<WorkerId>(), nodes: new Set<NodeKey>() };
    this.#awaited.set(groupId, awaited);
    return awaited;
  }

  #askCreator(groupId: PlacementGroupId): PlacementGroupInstruction {
    return { type: "askCreator", groupId, creatorId: creatorOf(groupId) };
  }

  #forgetIfUnawaited(groupId: PlacementGroupId): void {
    const awaited = this.#awaited.get(groupId);
    if (awaited !== undefined && awaited.watchers.size === 0 && awaited.nodes.size === 0) this.#awaited.delete(groupId);
  }

  /** Its maker has said all that it has to say of it, or is gone: whoever still waits for it waits for nothing. */
  creatorTold(groupId: PlacementGroupId): PlacementGroupInstruction[] {
    const awaited = this.#awaited.get(groupId);
    this.#awaited.delete(groupId);
    if (awaited === undefined) return [];
    const removal = this.#removedEarly.get(groupId) ?? "it is not known any more: it was removed, or whoever made it has ended";
    return [{ type: "publish", watchers: [...awaited.watchers], nodes: [...awaited.nodes], record: { groupId, phase: "REMOVED", bundles: [], nodes: [], removal, isNameTaken: false } }];
  }

  workerLost(workerId: WorkerId): PlacementGroupInstruction[] {
    for (const group of this.#groups.values()) group.watchers.delete(workerId);
    for (const removal of this.#removals.values()) removal.askers.splice(0, Infinity, ...removal.askers.filter((asker) => asker.workerId !== workerId));
    const out: PlacementGroupInstruction[] = [];
    for (const [groupId, { watchers }] of [...this.#awaited]) {
      if (creatorOf(groupId) === workerId) out.push(...this.creatorTold(groupId));
      else if (watchers.delete(workerId)) this.#forgetIfUnawaited(groupId);
    }
    return out;
  }

  #publication(group: Group): PlacementGroupInstruction {
    return { type: "publish", watchers: [...group.watchers], nodes: [...(group.watchingNodes ?? [])], record: recordOf(group) };
  }

  // ------------------------------------------------------------------ questions

  find(groupId: PlacementGroupId): PlacementGroupRecord | null {
    const group = this.#groups.get(groupId) ?? this.#removed.get(groupId);
    return group === undefined ? null : recordOf(group);
  }

  findByName(name: string, namespace: string): PlacementGroupRecord | null {
    const groupId = this.#names.get(nameKeyOf(namespace, name));
    return groupId === undefined ? null : this.find(groupId);
  }

  /** Of one group, or of all, those that were removed last included. */
  rows(groupId: PlacementGroupId | null): GroupRow[] {
    if (groupId === null) return [...this.#groups.values(), ...this.#removed.values()].map(rowOf);
    const group = this.#groups.get(groupId) ?? this.#removed.get(groupId);
    return group === undefined ? [] : [rowOf(group)];
  }

  /** Those that no node that is there could ever hold. */
  infeasible(): GroupRow[] {
    return Array.from(this.#infeasible, rowOf);
  }
}

/** Nodes, and what was promised in the same turn: they have not been told yet. Their copies name each field: V8 makes a shape anew for each that is spread. */
class Offers {
  readonly nodes: BundleNode[];

  constructor(nodes: readonly BundleNode[]) {
    this.nodes = [...nodes];
  }

  promise(key: NodeKey, amounts: ResourceAmounts): void {
    const position = this.nodes.findIndex((node) => node.key === key);
    const node = this.nodes[position] as BundleNode;
    const { totals, available, promised } = node;
    this.nodes[position] = { key, totals, available, promised: promised === null ? amounts : sumOf([promised, amounts]) };
  }
}

function missingOf({ nodes }: Group): number[] {
  const missing: number[] = [];
  for (const [index, node] of nodes.entries()) if (node === null) missing.push(index);
  return missing;
}

/** The same for groups that have the same to be placed. */
function formOf(group: Group): string {
  return JSON.stringify([group.spec.strategy, missingOf(group).map((index) => group.spec.bundles[index]), group.nodes.filter((node) => node !== null)]);
}

function recordOf({ spec, phase, nodes, removal, isNameTaken }: Group): PlacementGroupRecord {
  return { groupId: spec.groupId, phase, bundles: spec.bundles, nodes: [...nodes], removal, isNameTaken };
}

function rowOf(group: Group): GroupRow {
  const { name, namespace, strategy, jobId, isDetached } = group.spec;
  return { ...recordOf(group), name, namespace, strategy, jobId, isDetached, infeasible: group.infeasible };
}

function nameKeyOf(namespace: string, name: string): string {
  return JSON.stringify([namespace, name]);
}

