import { InvalidArgumentError } from "../base/mod.ts";
import type { NodePreference, StrategyRecord } from "../protocol/mod.ts";
import { parseLabelSelector } from "../scheduling/mod.ts";
import { aBoolean, aString, anything, type Check, checkOptions, oneOf, recordOf, wholeNumber } from "./option-checks.ts";
import { checkGroup } from "./placement-groups.ts";
import type { PlacementOptions, SchedulingStrategy } from "./types.ts";

type Strategy = Exclude<SchedulingStrategy, string>;

export const aSelector: Check = recordOf(aString);
const TYPES: Readonly<Record<Strategy["type"], Readonly<Record<string, Check>>>> = {
  nodeAffinity: { type: anything, nodeId: aString, soft: aBoolean },
  nodeLabel: { type: anything, hard: aSelector, soft: aSelector },
  placementGroup: { type: anything, placementGroup: anything, bundleIndex: wholeNumber(-1), captureChildTasks: aBoolean },
};

/** Throws InvalidArgumentError for a selector that cannot be parsed, and for a strategy that is none. */
export function checkStrategy(options: PlacementOptions, label: string): void {
  strategyOf(options, label);
}

/** Null where any node will do: without these options, and with the default. */
export function strategyOf({ labelSelector = {}, schedulingStrategy = "DEFAULT" }: PlacementOptions, label: string): StrategyRecord | null {
  const required = parseLabelSelector(labelSelector, `option 'labelSelector' of ${label}`);
  if (typeof schedulingStrategy === "string") {
    if (schedulingStrategy === "SPREAD") return { required, preference: { type: "spread" } };
    return required.length === 0 ? null : { required, preference: { type: "pack" } };
  }
  const where = `option 'schedulingStrategy' of ${label}`;
  checkFields(schedulingStrategy, where);
  switch (schedulingStrategy.type) {
    case "nodeAffinity":
      return { required, preference: { type: "node", nodeId: schedulingStrategy.nodeId, isSoft: schedulingStrategy.soft } };
    case "nodeLabel": {
      const { hard = {}, soft = {} } = schedulingStrategy;
      const preferred = parseLabelSelector(soft, `${where}, in 'soft'`);
      const preference: NodePreference = preferred.length === 0 ? { type: "pack" } : { type: "labels", preferred };
      return { required: [...required, ...parseLabelSelector(hard, `${where}, in 'hard'`)], preference };
    }
    case "placementGroup":
      return required.length === 0 ? null : { required, preference: { type: "pack" } };
  }
}

function checkFields(strategy: Strategy, where: string): void {
  const wanted = oneOf(...Object.keys(TYPES))(strategy.type);
  if (wanted !== undefined) throw new InvalidArgumentError(`${where} must be "DEFAULT", "SPREAD", or an object whose 'type' is ${wanted}`);
  checkOptions(strategy, TYPES[strategy.type], where);
  if (strategy.type === "nodeAffinity" && (strategy.nodeId === undefined || strategy.soft === undefined)) throw new InvalidArgumentError(`${where} needs 'nodeId', of a node that nodes() shows, and 'soft': whether another node will do when that one is gone`);
  if (strategy.type === "placementGroup") checkGroup(strategy.placementGroup, where);
  if (strategy.type === "nodeLabel" && strategy.hard === undefined && strategy.soft === undefined) throw new InvalidArgumentError(`${where} needs 'hard' or 'soft': a selector of labels`);
}
