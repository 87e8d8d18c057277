export { describeInfeasible, describeRefusal, feasibleNodes } from "./infeasibility.ts";
export { describeCondition, meetsCondition, meetsConditions, parseLabelSelector, whyNoLabelKey, whyNoLabelValue } from "./label-selector.ts";
export { checkNodeLabels, labelsOfNode } from "./node-labels.ts";
export { type NodeView, takesWork } from "./node-view.ts";
export type { PlacementRequest } from "./placement-request.ts";
export { chooseNode, distribute, type Distribution, type NodeAnswer } from "./policies.ts";
export { describeLack, fits, keptWhileWaiting, lacking, ResourceLedger, sumOf, without } from "./resources.ts";
export { acceleratorsOfBundle, bundleNamesOf, describeResource, givenByBundle, groupNameOf, inBundle, isGroupResource, plainAccelerators, plainName, takenFromNode, withoutGroups } from "./bundle-resources.ts";
export { type BundleNode, type BundlesAnswer, type BundlesRequest, placeBundles } from "./bundles.ts";
