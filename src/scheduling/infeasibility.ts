import { type ResourceAmounts, UNITS_PER_RESOURCE } from "../base/mod.ts";
import type { LabelCondition, StrategyRecord } from "../protocol/mod.ts";
import { describeCondition, meetsCondition, meetsConditions } from "./label-selector.ts";
import { type NodeView, takesWork } from "./node-view.ts";
import type { PlacementRequest } from "./placement-request.ts";
import { describeLack, fits } from "./resources.ts";

/**
 * The nodes that could hold it when nothing else ran there, as they are known now: alive, with the labels and the resources. Of an
 * affinity that is hard, or whose node is among them, that node alone.
 */
export function feasibleNodes<V extends NodeView>(views: Iterable<V>, { resources, strategy }: Pick<PlacementRequest, "resources" | "strategy">): V[] {
  const able: V[] = [];
  for (const view of views) {
    if (takesWork(view) && fits(resources, view.totals) && (strategy === null || meetsConditions(view.labels, strategy.required))) able.push(view);
  }
  if (strategy?.preference.type !== "node") return able;
  const { nodeId, isSoft } = strategy.preference;
  const one = able.filter((view) => view.nodeId === nodeId);
  return one.length > 0 || !isSoft ? one : able;
}

/**
 * Why no node could ever hold it, with what no node has, as a clause that follows "needs …": `8 CPU, but no node has more than 4`.
 * Only to be asked when `feasibleNodes` has found none.
 */
export function describeInfeasible(views: Iterable<NodeView>, { resources, strategy }: Pick<PlacementRequest, "resources" | "strategy">): string {
  const all = [...views];
  const required = strategy?.required ?? [];
  if (strategy?.preference.type === "node" && !strategy.preference.isSoft) return aboutNode(strategy.preference.nodeId, all, resources, required);
  const working = all.filter(takesWork);
  if (working.length === 0) return "a node that takes work, but the cluster has none";
  const labelled = working.filter((view) => meetsConditions(view.labels, required));
  if (labelled.length === 0) return aboutLabels(required, working);
  return aboutResources(resources, labelled, working.length === 1, required);
}

/** With that reason, and what to do about it; follows the name of the task or actor. */
export function describeRefusal(reason: string, strategy: StrategyRecord | null, verb: "run" | "start"): string {
  if (strategy === null) return `needs ${reason}, so it can never ${verb} in this cluster as it is; ask for less, or start a node that has it`;
  return `needs ${reason}; change its labelSelector, schedulingStrategy or resources, or give the cluster a node that has all of this`;
}

function aboutNode(nodeId: string, all: readonly NodeView[], resources: ResourceAmounts, required: readonly LabelCondition[]): string {
  const view = all.find((one) => one.nodeId === nodeId);
  if (view === undefined) return `node ${nodeId}, but the cluster has no such node`;
  if (!view.isAlive) return `node ${nodeId}, but that node has ended`;
  if (view.isDraining) return `node ${nodeId}, but that node is about to end and takes nothing new`;
  const unmet = required.filter((condition) => !meetsCondition(view.labels, condition));
  if (unmet.length > 0) return `node ${nodeId} with the labels { ${unmet.map(describeCondition).join(", ")} }, but there ${unmet.map(({ key }) => saidBy(key, [view])).join(" and ")}`;
  return lacks(resources, (name) => amountOf(view, name), `node ${nodeId} has`);
}

function aboutLabels(required: readonly LabelCondition[], working: readonly NodeView[]): string {
  const unmet = required.filter((condition) => !working.some((view) => meetsCondition(view.labels, condition)));
  if (unmet.length > 0) return `a node with the labels { ${unmet.map(describeCondition).join(", ")} }, but in the cluster ${unmet.map(({ key }) => saidBy(key, working)).join(" and ")}`;
  return `a node with all of the labels { ${required.map(describeCondition).join(", ")} }, but each node lacks one of them`;
}

/** "'zone' is a or b", "no node has 'zone'". */
function saidBy(key: string, views: readonly NodeView[]): string {
  const values = [...new Set(views.flatMap(({ labels }) => (Object.hasOwn(labels, key) ? [labels[key] as string] : [])))].sort();
  return values.length === 0 ? `no node has a label '${key}'` : `'${key}' is ${values.join(" or ")}`;
}

function aboutResources(resources: ResourceAmounts, views: readonly NodeView[], isOnlyNode: boolean, required: readonly LabelCondition[]): string {
  if (isOnlyNode) return describeLack(resources, (views[0] as NodeView).totals);
  const such = required.length === 0 ? "" : ` with { ${required.map(describeCondition).join(", ")} }`;
  const most = (name: string): number => Math.max(...views.map((view) => amountOf(view, name)));
  const lack = lacks(resources, most, `no node${such} has more than`);
  if (lack !== "") return lack;
  return `${Object.entries(resources).map(([name, units]) => `${units / UNITS_PER_RESOURCE} ${name}`).join(" and ")} on one node, but no node${such} has all of it`;
}

function lacks(wanted: ResourceAmounts, most: (name: string) => number, whoHas: string): string {
  const names = Object.keys(wanted).filter((name) => most(name) < (wanted[name] as number));
  return names.map((name) => `${(wanted[name] as number) / UNITS_PER_RESOURCE} ${name}, but ${whoHas} ${most(name) / UNITS_PER_RESOURCE}`).join("; ");
}

function amountOf({ totals }: NodeView, name: string): number {
  return totals[name] ?? 0;
}
