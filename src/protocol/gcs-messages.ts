import type { ToNode } from "./node-messages.ts";
import type { PlacementGroupRequest } from "./placement-group-messages.ts";

/** What core workers ask of the GCS, or tell it: their node passes it on unread. */
export type ForGcs = PlacementGroupRequest | Extract<ToNode, {
  readonly type:
    | "createActor" | "createSharedActor" | "watchActor" | "actorNotCreated" | "findActor" | "listNamedActors" | "killActor"
    | "actorOutOfScope" | "actorStarted" | "actorExiting" | "actorEnded" | "getCode" | "clusterState" | "listWaiting";
}>;
