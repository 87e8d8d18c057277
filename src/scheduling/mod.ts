export { describeInfeasible, feasibleNodes } from "./infeasibility.ts";
export { describeCondition, meetsCondition, meetsConditions, parseLabelSelector, whyNoLabelKey, whyNoLabelValue } from "./label-selector.ts";
export { checkNodeLabels, labelsOfNode } from "./node-labels.ts";
export { type NodeView, takesWork } from "./node-view.ts";
export type { PlacementRequest } from "./placement-request.ts";
export { chooseNode, distribute, type Distribution, type NodeAnswer } from "./policies.ts";
export { describeLack, fits, keptWhileWaiting, lacking, ResourceLedger, without } from "./resources.ts";
