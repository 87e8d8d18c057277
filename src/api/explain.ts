import { InvalidArgumentError, ObjectFreedError } from "../base/mod.ts";
import { ActorHandleObject, actorKey, describe, type Explanations, groupKey, ObjectRef, type PendingReason, type PendingTarget, RefGenerator, surveyWaits, targetOf } from "../core-worker/mod.ts";
import { aBoolean, checkOptions } from "./option-checks.ts";
import type { ObjectRef as PublicRef } from "./object-ref.ts";
import { groupIdOf } from "./placement-groups.ts";
import { currentRuntime } from "./runtime.ts";
import type { ActorHandleBase, ObjectRefGenerator, PlacementGroup } from "./types.ts";

export type { PendingReason, ResourceShortage, WaitReason } from "../core-worker/mod.ts";

/** A worker that is busy with one computation for longer is left out: what it runs counts as running. */
const ANSWER_MS_MAX = 1_000;
const REASONS_MAX = 1_000;

const EXPLAIN = { allPrograms: aBoolean };

export interface ExplainOptions {
  /** Not only of this program, but of all that use the cluster. Default false. */
  allPrograms?: boolean;
}

/**
 * Why something is not there yet: the task or call behind a ref or generator, an actor with its calls, a placement group; or, without
 * argument, everything of this program that is pending, up to 1,000 things. What waits for something else that is pending has that thing's
 * reasons in `because`, and so on to the end of the chain. An empty list: nothing is pending.
 *
 * It is looked up now, in all workers and nodes; until then it costs nothing. What changes quickly may have changed when the answer is here. Tasks
 * and calls in a worker that is busy with one computation for more than a second are told as running.
 *
 * @throws InvalidArgumentError for something else than these, and for wrong options; ObjectFreedError for a ref that was released.
 */
export async function explain(target?: PublicRef<any> | ObjectRefGenerator<any> | ActorHandleBase | PlacementGroup, options: ExplainOptions = {}): Promise<PendingReason[]> {
  checkOptions(options, EXPLAIN, "explain()");
  const { core } = currentRuntime();
  const of = target === undefined ? undefined : targetFrom(target);
  if (of === null) return [];
  const objectId = of?.kind === "object" ? of.objectId : null;
  // Who makes a borrowed object may work for another program.
  const found = await surveyWaits(core.requests, { jobId: options.allPrograms === true || objectId !== null ? null : core.env.jobId, objectId, timeoutMs: ANSWER_MS_MAX });
  return found.of(of === undefined ? found.graph.keys().slice(0, REASONS_MAX) : keysOf(of, found));
}

function targetFrom(target: unknown): PendingTarget | null {
  const ofRef = ObjectRef.entryOf(target);
  if (ofRef !== undefined && ObjectRef.isReleased(target as ObjectRef)) throw new ObjectFreedError(`${ofRef.id} was released with release() or at the end of a using block; ask before that`, { objectId: ofRef.id });
  const entry = ofRef ?? RefGenerator.endOf(target);
  if (entry !== undefined) return targetOf(entry);
  if (ActorHandleObject.isHandle(target)) return { kind: "actor", actorId: ActorHandleObject.clientOf(target).actorId };
  const groupId = groupIdOf(target);
  if (groupId !== undefined) return { kind: "placementGroup", groupId };
  throw new InvalidArgumentError(`explain() takes an ObjectRef, an ObjectRefGenerator, the handle of an actor or a placement group, but got ${describe(target)}; without an argument it explains all that is pending`);
}

function keysOf(target: PendingTarget, { graph }: Explanations): string[] {
  switch (target.kind) {
    case "object": {
      const key = graph.makerOf(target.objectId);
      return key === undefined ? [] : [key];
    }
    case "actor": return [actorKey(target.actorId), ...graph.callsOf(target.actorId)].slice(0, REASONS_MAX);
    case "placementGroup": return [groupKey(target.groupId)];
  }
}
