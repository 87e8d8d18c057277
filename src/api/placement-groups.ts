import { InvalidArgumentError, PlacementGroupNotFoundError, type PlacementGroupId, type ResourceAmounts, toAmounts, toQuantities } from "../base/mod.ts";
import { DESCRIBE, describe, type RuntimeObject } from "../core-worker/mod.ts";
import type { BundleRecord, PlacementGroupRecord, PlacementGroupRow, RuntimeDescriptor } from "../protocol/mod.ts";
import { fits, sumOf, whyNoResourceName } from "../scheduling/mod.ts";
import { aGpuAmount, anAmount, aString, checkOptions, oneOf } from "./option-checks.ts";
import type { ObjectRef } from "./object-ref.ts";
import { currentRuntime, type Runtime } from "./runtime.ts";
import type { PlacementGroup, PlacementOptions, PlacementStrategy } from "./types.ts";

const WAIT_MS_DEFAULT = 30_000;

type GroupDescriptor = RuntimeDescriptor & { readonly kind: "placementGroup" };

/** A placement group, here or in a value that has arrived: which one it is, and what it has. */
class PlacementGroupObject implements PlacementGroup, RuntimeObject {
  readonly #amounts: readonly ResourceAmounts[];
  readonly id: string;
  readonly bundles: readonly Record<string, number>[];

  constructor(id: string, amounts: readonly ResourceAmounts[]) {
    this.id = id;
    this.#amounts = amounts;
    this.bundles = Object.freeze(amounts.map((bundle) => Object.freeze(toQuantities(bundle))));
  }

  ready(): ObjectRef<PlacementGroup> {
    return currentRuntime().core.groups.ready(this.id, this) as ObjectRef<PlacementGroup>;
  }

  async wait(timeoutMs = WAIT_MS_DEFAULT): Promise<boolean> {
    if (typeof timeoutMs !== "number" || !(timeoutMs >= 0)) throw new InvalidArgumentError(`wait() of a placement group takes a number of milliseconds, 0 or more, but got ${describe(timeoutMs)}`);
    return currentRuntime().core.groups.wait(this.id, timeoutMs);
  }

  [DESCRIBE](): GroupDescriptor {
    return { kind: "placementGroup", groupId: this.id, bundles: this.#amounts };
  }

  toJSON(): string {
    return `PlacementGroup(${this.id})`;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `PlacementGroup(${this.id})`;
  }

  static is(value: unknown): value is PlacementGroupObject {
    return typeof value === "object" && value !== null && #amounts in value;
  }

  static amountsOf(group: PlacementGroupObject): readonly ResourceAmounts[] {
    return group.#amounts;
  }
}

export function reviveGroup({ groupId, bundles }: GroupDescriptor): PlacementGroup {
  return new PlacementGroupObject(groupId, bundles);
}

/** Undefined for what is no placement group. */
export function groupIdOf(value: unknown): PlacementGroupId | undefined {
  return PlacementGroupObject.is(value) ? value.id : undefined;
}

function groupOf(value: unknown, where: string): PlacementGroupObject {
  if (!PlacementGroupObject.is(value)) throw new InvalidArgumentError(`${where} must be a placement group, as placementGroup() makes them, but is ${describe(value)}`);
  return value;
}

// ------------------------------------------------------------------ making and ending them

export interface PlacementGroupOptions {
  /** Default `"PACK"`. */
  strategy?: PlacementStrategy;
  /** For `getPlacementGroup`; taken within the namespace until the group is removed. */
  name?: string;
  /** The group does not end with the actor or program that makes it. */
  lifetime?: "detached";
}

const OPTIONS = { strategy: oneOf("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"), name: aString, lifetime: oneOf("detached") };

/**
 * Reserves resources for several tasks and actors together: all of the bundles, or none until there is room for all. A bundle is an
 * amount of each resource, `{ CPU: 2, GPU: 1 }`, and lies on one node; `strategy` says how the bundles lie to each other. Returns at
 * once: `ready()` and `wait()` say when the group is there. Give it to tasks and actors as their `schedulingStrategy`.
 *
 * A group ends by `removePlacementGroup`, or with the actor that made it, or else with the program.
 *
 * @throws InvalidArgumentError for no bundles, an empty bundle, amounts that are none, and unknown options.
 */
export function placementGroup(bundles: Record<string, number>[], options: PlacementGroupOptions = {}): PlacementGroup {
  const amounts = checkedBundles(bundles);
  checkOptions(options, OPTIONS, "placementGroup()");
  const { core, namespace } = currentRuntime();
  core.submission.checkRunning("placementGroup()");
  const { strategy = "PACK", name = null, lifetime } = options;
  const actorId = core.currentActor()?.spec.actorId ?? null;
  const groupId = core.groups.create({ bundles: amounts, strategy, name, namespace, jobId: core.env.jobId, actorId, isDetached: lifetime === "detached" });
  return new PlacementGroupObject(groupId, amounts);
}

const OPTION_FOR: Readonly<Record<string, string>> = { numCpus: "CPU", numGpus: "GPU", cpu: "CPU", gpu: "GPU" };

function checkedBundles(bundles: unknown): ResourceAmounts[] {
  if (!Array.isArray(bundles) || bundles.length === 0) throw new InvalidArgumentError(`placementGroup() takes a list of bundles, at least one, but got ${Array.isArray(bundles) ? "an empty list" : describe(bundles)}`);
  return bundles.map((bundle: unknown, index) => {
    const where = `bundle ${index} of placementGroup()`;
    if (typeof bundle !== "object" || bundle === null || Array.isArray(bundle)) throw new InvalidArgumentError(`${where} must be an object like { CPU: 1 }, but is ${describe(bundle)}`);
    for (const [name, quantity] of Object.entries(bundle as Record<string, unknown>)) {
      const known = OPTION_FOR[name];
      if (known !== undefined) throw new InvalidArgumentError(`${where} has '${name}'; resources in bundles go by their own names: write { ${known}: … }`);
      const wrong = whyNoResourceName(name);
      if (wrong !== null) throw new InvalidArgumentError(`${where}: ${wrong}`);
      const wanted = name === "GPU" ? aGpuAmount(quantity) : anAmount(quantity);
      if (wanted !== undefined) throw new InvalidArgumentError(`'${name}' in ${where} must be ${wanted}, but is ${describe(quantity)}`);
    }
    const amounts = toAmounts(bundle as Record<string, number>);
    if (Object.keys(amounts).length === 0) throw new InvalidArgumentError(`${where} is empty; a bundle has something of at least one resource, as { CPU: 1 }`);
    return amounts;
  });
}

/**
 * Removes a group. Tasks and actors in it end, and fail with PlacementGroupRemovedError, as do those that wait for it. Resolves when
 * all that it had has been given back. Does nothing for a group that is removed already.
 */
export async function removePlacementGroup(group: PlacementGroup): Promise<void> {
  const { id } = groupOf(group, "what removePlacementGroup() is given");
  await currentRuntime().core.groups.remove(id);
}

/**
 * The group with this name in the namespace of the program, there or not yet.
 *
 * @throws PlacementGroupNotFoundError
 */
export async function getPlacementGroup(name: string): Promise<PlacementGroup> {
  if (typeof name !== "string" || name === "") throw new InvalidArgumentError(`getPlacementGroup() takes a name, but got ${describe(name)}`);
  const { core, namespace } = currentRuntime();
  const found = await core.requests.ask<PlacementGroupRecord | null>((requestId) => ({ type: "findPlacementGroup", requestId, name, namespace }));
  if (found === null) throw new PlacementGroupNotFoundError(`no placement group is named '${name}' in namespace '${namespace}'; names are given with placementGroup(bundles, { name }), and end with their group`);
  return new PlacementGroupObject(found.groupId, found.bundles);
}

/** What is known of a placement group. */
export interface PlacementGroupInfo {
  readonly placementGroupId: string;
  readonly name: string | undefined;
  readonly namespace: string;
  readonly strategy: PlacementStrategy;
  readonly bundles: readonly Record<string, number>[];
  /** The node of each bundle; undefined while it is nowhere. */
  readonly bundlesToNodeId: readonly (string | undefined)[];
  /** `PREPARED`: its resources are set aside, and it is about to be there. `RESCHEDULING`: a node with bundles was lost, and they look for another. */
  readonly state: "PENDING" | "PREPARED" | "CREATED" | "RESCHEDULING" | "REMOVED";
  readonly isDetached: boolean;
  readonly creatorJobId: string;
  /** Why it has no place, or why it was removed; undefined otherwise. */
  readonly reason: string | undefined;
}

/** One group, or all by their ids, those removed last included. */
export async function placementGroupTable(): Promise<Record<string, PlacementGroupInfo>>;
export async function placementGroupTable(group: PlacementGroup): Promise<PlacementGroupInfo>;
export async function placementGroupTable(group?: PlacementGroup): Promise<unknown>;
export async function placementGroupTable(group?: PlacementGroup): Promise<unknown> {
  const groupId = group === undefined ? null : groupOf(group, "what placementGroupTable() is given").id;
  const { core } = currentRuntime();
  const rows = await core.requests.ask<PlacementGroupRow[]>((requestId) => ({ type: "listPlacementGroups", requestId, groupId }));
  const infos = rows.map(infoOf);
  if (groupId === null) return Object.fromEntries(infos.map((info) => [info.placementGroupId, info]));
  if (infos.length === 0) throw new PlacementGroupNotFoundError(`placement group ${groupId} is not known any more: it was removed long ago`);
  return infos[0];
}

function infoOf({ groupId, name, namespace, strategy, bundles, nodeIds, phase, isDetached, jobId, infeasible, removal }: PlacementGroupRow): PlacementGroupInfo {
  return {
    placementGroupId: groupId, name: name ?? undefined, namespace, strategy, bundles: bundles.map(toQuantities), bundlesToNodeId: nodeIds.map((nodeId) => nodeId ?? undefined),
    state: phase, isDetached, creatorJobId: jobId, reason: removal ?? infeasible ?? undefined,
  };
}

// ------------------------------------------------------------------ tasks and actors in them

/** Where a task or actor runs, and what there is for all of its kind at once; null for that when it is not known. */
export interface ChosenBundle {
  readonly bundle: BundleRecord | null;
  readonly capacity: ResourceAmounts | null;
}

const NO_BUNDLE: ChosenBundle = { bundle: null, capacity: null };

/**
 * The bundle that is named, or else what the running code's own group is to capture.
 *
 * @throws InvalidArgumentError for a bundle that the group has not, and for resources that none of its bundles has.
 */
export function bundleFor({ schedulingStrategy = "DEFAULT" }: PlacementOptions, resources: ResourceAmounts, runtime: Runtime, label: string): ChosenBundle {
  if (schedulingStrategy === "DEFAULT") {
    const groupId = runtime.core.capturedGroup;
    return groupId === null ? NO_BUNDLE : { bundle: { groupId, bundleIndex: -1, capturesChildren: true }, capacity: null };
  }
  if (typeof schedulingStrategy === "string" || schedulingStrategy.type !== "placementGroup" || schedulingStrategy.placementGroup === null) return NO_BUNDLE;
  const group = groupOf(schedulingStrategy.placementGroup, `'placementGroup' in option 'schedulingStrategy' of ${label}`);
  const { bundleIndex = -1, captureChildTasks = false } = schedulingStrategy;
  const amounts = PlacementGroupObject.amountsOf(group);
  if (bundleIndex >= amounts.length) throw new InvalidArgumentError(`'bundleIndex' in option 'schedulingStrategy' of ${label} is ${bundleIndex}, but the placement group has ${amounts.length === 1 ? "one bundle, 0" : `${amounts.length} bundles, 0 to ${amounts.length - 1}`}; -1 stands for any`);
  const possible = bundleIndex < 0 ? amounts : amounts.slice(bundleIndex, bundleIndex + 1);
  if (!possible.some((bundle) => fits(resources, bundle))) {
    const has = `has ${possible.map((bundle) => JSON.stringify(toQuantities(bundle))).join(", ")}`;
    throw new InvalidArgumentError(`${label} needs ${JSON.stringify(toQuantities(resources))}, but ${bundleIndex < 0 ? `no bundle of its placement group has so much: it ${has}` : `bundle ${bundleIndex} of its placement group ${has}`}`);
  }
  return { bundle: { groupId: group.id, bundleIndex, capturesChildren: captureChildTasks }, capacity: sumOf(possible) };
}

/** Options as a descriptor holds them: plain data. */
export function withGroupDescribed<O extends PlacementOptions>(options: O): O {
  return withGroup(options, (group) => (PlacementGroupObject.is(group) ? group[DESCRIBE]() : group));
}

/** The same, the other way round. */
export function withGroupRevived<O extends PlacementOptions>(options: O): O {
  return withGroup(options, (descriptor) => reviveGroup(descriptor as GroupDescriptor));
}

function withGroup<O extends PlacementOptions>(options: O, changed: (group: unknown) => unknown): O {
  const { schedulingStrategy } = options;
  if (typeof schedulingStrategy !== "object" || schedulingStrategy.type !== "placementGroup" || schedulingStrategy.placementGroup === null) return options;
  return { ...options, schedulingStrategy: { ...schedulingStrategy, placementGroup: changed(schedulingStrategy.placementGroup) as PlacementGroup } };
}

/** Throws InvalidArgumentError unless it is a group, or null for none. */
export function checkGroup(group: unknown, where: string): void {
  if (group !== null) groupOf(group, `'placementGroup' in ${where}`);
}
