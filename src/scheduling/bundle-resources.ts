import type { AcceleratorIds, PlacementGroupId, ResourceAmounts } from "../base/mod.ts";
import type { BundleRecord } from "../protocol/mod.ts";

/**
 * The resources of placement groups, named as Ray names them: a bundle of 2 CPU that is set aside on a node is there as 2 of
 * `CPU_group_0_<id>`, and as part of `CPU_group_<id>`, which is what all bundles of the group have on that node. A task in one bundle
 * takes from both, a task in any bundle from the latter: so neither can take what the other has.
 */
const MARK = "_group_";
/** What everybody in the group takes, so that those who take nothing else are seen, too. No resource of a user has no name. */
const PRESENCE = "";
/** More tasks than can be, in units. */
const PRESENCE_UNITS = 10_000_000;
const PRESENCE_UNITS_TAKEN = 10;

/** Resources of users must not look like those of groups. */
export function isGroupResource(name: string): boolean {
  return name.includes(MARK);
}

/** For a resource of a user. Null if it can. */
export function whyNoResourceName(name: string): string | null {
  if (name !== "" && !isGroupResource(name)) return null;
  return `${JSON.stringify(name)} cannot be the name of a resource${name === "" ? "" : `: resources of placement groups look so; give schedulingStrategy: { type: "placementGroup", … } instead`}`;
}

function ofGroup(name: string, groupId: PlacementGroupId): string {
  return `${name}${MARK}${groupId}`;
}

function ofBundle(name: string, groupId: PlacementGroupId, index: number): string {
  return `${name}${MARK}${index}_${groupId}`;
}

/** What somebody with these resources takes from the node: those of its bundle, or as they are where it has none. */
export function takenFromNode(resources: ResourceAmounts, bundle: BundleRecord | null): ResourceAmounts {
  if (bundle === null) return resources;
  return inBundle({ ...resources, [PRESENCE]: PRESENCE_UNITS_TAKEN }, bundle);
}

/** The same of a part of them. */
export function inBundle(resources: ResourceAmounts, { groupId, bundleIndex }: BundleRecord): ResourceAmounts {
  // Without a prototype it has no hidden class either: names that no other object has would make one each.
  const taken = Object.create(null) as Record<string, number>;
  for (const name in resources) {
    if (bundleIndex >= 0) taken[ofBundle(name, groupId, bundleIndex)] = resources[name] as number;
    taken[ofGroup(name, groupId)] = resources[name] as number;
  }
  return taken;
}

/** What a node has more when it has set a bundle aside. */
export function givenByBundle(resources: ResourceAmounts, groupId: PlacementGroupId, bundleIndex: number): ResourceAmounts {
  return inBundle({ ...resources, [PRESENCE]: PRESENCE_UNITS }, { groupId, bundleIndex, capturesChildren: false });
}

/** Of these, those of single bundles. */
export function bundleNamesOf(given: ResourceAmounts): ResourceAmounts {
  return Object.fromEntries(Object.entries(given).filter(([name]) => groupNameOf(name) !== name));
}

/** The accelerators of a bundle by the names that its tasks take them by. */
export function acceleratorsOfBundle(ids: AcceleratorIds, groupId: PlacementGroupId, bundleIndex: number): AcceleratorIds {
  return Object.fromEntries(Object.entries(ids).map(([name, given]) => [ofBundle(name, groupId, bundleIndex), given]));
}

/** The name of all bundles of the group together, for that of one; others as they are. */
export function groupNameOf(name: string): string {
  const mark = name.indexOf(MARK);
  const bundle = mark < 0 ? -1 : name.indexOf("_", mark + MARK.length);
  return bundle < 0 ? name : name.slice(0, mark + MARK.length) + name.slice(bundle + 1);
}

/** As whoever uses them knows them, whatever bundle they are of. */
export function plainName(name: string): string {
  const mark = name.indexOf(MARK);
  return mark < 0 ? name : name.slice(0, mark);
}

export function plainAccelerators(ids: AcceleratorIds): AcceleratorIds {
  return Object.fromEntries(Object.entries(ids).map(([name, given]) => [plainName(name), given]));
}

/** For messages: "CPU", "CPU of bundle 0 of placement group 5f…"; null for what only says that somebody is in a group. */
export function describeResource(name: string): string | null {
  const plain = plainName(name);
  if (plain === name) return name;
  if (plain === PRESENCE) return null;
  const rest = name.slice(plain.length + MARK.length);
  const bundle = rest.indexOf("_");
  return bundle < 0 ? `${plain} of placement group ${rest}` : `${plain} of bundle ${rest.slice(0, bundle)} of placement group ${rest.slice(bundle + 1)}`;
}

/** Those that are the node's own, for who asks what the cluster has. */
export function withoutGroups(amounts: ResourceAmounts): ResourceAmounts {
  return Object.fromEntries(Object.entries(amounts).filter(([name]) => !isGroupResource(name)));
}
