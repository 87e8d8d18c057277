import type { ActorId, ObjectId, PlacementGroupId } from "../base/mod.ts";
import { ActorClient } from "./actor-client.ts";
import { type ObjectEntry, PENDING } from "./object-entry.ts";
import { AwaitedGroup } from "./placement-groups.ts";

/** What somebody asks about. */
export type PendingTarget =
  | { readonly kind: "object"; readonly objectId: ObjectId }
  | { readonly kind: "actor"; readonly actorId: ActorId }
  | { readonly kind: "placementGroup"; readonly groupId: PlacementGroupId };

/** Null if the object is there. */
export function targetOf({ status, content, id }: ObjectEntry): PendingTarget | null {
  if (status !== PENDING) return null;
  if (content instanceof ActorClient) return { kind: "actor", actorId: content.actorId };
  if (content instanceof AwaitedGroup) return { kind: "placementGroup", groupId: content.groupId };
  return { kind: "object", objectId: id };
}
