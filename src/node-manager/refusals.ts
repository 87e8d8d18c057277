import type { ActorId, ResourceAmounts, SystemErrorRecord } from "../base/mod.ts";
import type { StrategyRecord } from "../protocol/mod.ts";
import { describeInfeasible, describeRefusal, feasibleNodes, type NodeView } from "../scheduling/mod.ts";

/** Why none of these nodes could ever take this, as the error for whoever asked; null when one could. `actorId` null: of a task. */
export function refusalOf(views: readonly NodeView[], work: { readonly resources: ResourceAmounts; readonly strategy: StrategyRecord | null }, actorId: ActorId | null): SystemErrorRecord | null {
  if (feasibleNodes(views, work).length > 0) return null;
  const message = describeRefusal(describeInfeasible(views, work), work.strategy, actorId === null ? "run" : "start");
  return { kind: actorId === null ? "TaskUnschedulableError" : "ActorUnschedulableError", message, subjectId: actorId };
}
