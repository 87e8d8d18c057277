import { forgetOldest, type Clock, type PlacementGroupId, type ResourceAmounts, type SystemErrorRecord, type Timer, UNITS_PER_RESOURCE, type WorkerId } from "../base/mod.ts";
import type { BundleOrder, BundleReport, FromNode, LeaseShape, PlacementGroupRecord, WorkerDeath } from "../protocol/mod.ts";
import { fits } from "../scheduling/mod.ts";
import type { LeaseInstruction } from "./lease-instruction.ts";
import type { LeaseState } from "./lease-state.ts";

/** How long tasks of a removed group may go on. Idle leases end meanwhile, so that no worker ends that only had one. */
const REMOVED_GRACE_MS = 1_000;
/** Groups that tasks were submitted for here, and workers that ended with one. */
const REMEMBERED_MAX = 10_000;

export interface NodeGroupsEnvironment {
  readonly clock: Clock;
  readonly state: LeaseState;
  act(instructions: readonly LeaseInstruction[]): void;
  /** Of the demands of this node's owners that no node has taken yet. */
  refuseWaiting(groupId: PlacementGroupId, errorFor: (shape: LeaseShape) => SystemErrorRecord | null): void;
  /** To the GCS; its answer may come before this returns. */
  report(report: BundleReport): void;
  send(workerId: WorkerId, message: FromNode): void;
  /** Ends a worker at once. */
  end(workerId: WorkerId, reason: string): void;
}

/** Placement groups as a node has to do with them: it sets bundles aside for the GCS, and says who may run in a group. */
export class NodeGroups {
  readonly #env: NodeGroupsEnvironment;
  /** Groups that somebody here asks for tasks in; null until the GCS has said what is known. */
  readonly #known = new Map<PlacementGroupId, PlacementGroupRecord | null>();
  /** Workers that were ended with a group. */
  readonly #ended = new Map<WorkerId, { readonly groupId: PlacementGroupId; readonly reason: string }>();
  readonly #timers = new Set<Timer>();

  constructor(environment: NodeGroupsEnvironment) {
    this.#env = environment;
  }

  ordered(order: BundleOrder): void {
    const { state } = this.#env;
    switch (order.type) {
      case "prepareBundles":
        return this.#env.act(state.prepareBundles(order.groupId, order.attempt, order.bundles, order.waits));
      case "commitBundles":
        return this.#env.act(state.commitBundles(order.groupId, order.attempt));
      case "cancelBundles":
        return this.#env.act(state.endBundles(order.groupId, order.attempt));
      case "returnBundles":
        this.#env.act(state.endBundles(order.groupId, null));
        return this.#endUsersSoon(order.groupId, order.reason);
      case "placementGroupChanged":
        return this.#changed(order.record);
    }
  }

  /** Those that have not ended by themselves. */
  #endUsersSoon(groupId: PlacementGroupId, reason: string): void {
    if (this.#env.state.leasesIn(groupId).length === 0) return;
    const timer = this.#env.clock.after(REMOVED_GRACE_MS, () => {
      this.#timers.delete(timer);
      for (const workerId of new Set(this.#env.state.leasesIn(groupId).map((lease) => lease.workerId))) {
        this.#ended.set(workerId, { groupId, reason });
        forgetOldest(this.#ended, REMEMBERED_MAX);
        this.#env.end(workerId, `was ended with placement group ${groupId}: ${reason}`);
      }
    });
    this.#timers.add(timer);
  }

  /** What is told of the end of a worker, if it ended with a group. */
  deathWithGroup(workerId: WorkerId, death: WorkerDeath): WorkerDeath {
    const removedGroup = this.#ended.get(workerId);
    if (removedGroup === undefined) return death;
    this.#ended.delete(workerId);
    return { ...death, isForced: true, removedGroup };
  }

  #changed(record: PlacementGroupRecord): void {
    this.#remember(record.groupId, record);
    const errorFor = (shape: LeaseShape): SystemErrorRecord | null => refusalIn(record, shape);
    this.#env.act(this.#env.state.refuseInGroup(record.groupId, errorFor));
    this.#env.refuseWaiting(record.groupId, errorFor);
  }

  #remember(groupId: PlacementGroupId, record: PlacementGroupRecord | null): void {
    this.#known.set(groupId, record);
    forgetOldest(this.#known, REMEMBERED_MAX);
  }

  /** Why tasks of this shape will never run; null where they may, once their group is there. */
  refusal(shape: LeaseShape): SystemErrorRecord | null {
    if (shape.bundle === null) return null;
    const { groupId } = shape.bundle;
    if (!this.#known.has(groupId)) {
      this.#remember(groupId, null);
      this.#env.report({ type: "nodeWatchesGroup", groupId });
    }
    const record = this.#known.get(groupId) ?? null;
    return record === null ? null : refusalIn(record, shape);
  }

  stop(): void {
    for (const timer of this.#timers) timer.cancel();
  }
}

function refusalIn(record: PlacementGroupRecord, { resources, bundle }: LeaseShape): SystemErrorRecord | null {
  const { groupId, phase, bundles, removal } = record;
  if (phase === "REMOVED") return { kind: "PlacementGroupRemovedError", message: `cannot run in placement group ${groupId}, which is removed: ${removal}`, subjectId: groupId };
  const bundleIndex = bundle?.bundleIndex ?? -1;
  const possible = bundleIndex < 0 ? bundles : bundles.slice(bundleIndex, bundleIndex + 1);
  if (possible.some((one) => fits(resources, one))) return null;
  const where = bundleIndex < 0 ? `no bundle of placement group ${groupId} has so much` : `bundle ${bundleIndex} of placement group ${groupId} has ${bundleIndex < bundles.length ? describe(bundles[bundleIndex] as ResourceAmounts) : "never been"}`;
  return { kind: "TaskUnschedulableError", message: `needs ${describe(resources)}, but ${where}; ask for less, or make the group with larger bundles`, subjectId: groupId };
}

function describe(amounts: ResourceAmounts): string {
  return Object.entries(amounts).map(([name, units]) => `${units / UNITS_PER_RESOURCE} ${name}`).join(" and ");
}
