import type { WorkerId } from "../base/mod.ts";
import type { Answer } from "./store-control.ts";

/** Why a reader cannot have an object. */
export type LossReason = "freed" | "ownerDied" | "damaged" | "unreadable" | "full" | "diskFull";

export type StoreInstruction =
  | { readonly type: "answer"; readonly slot: number; readonly sequence: number; readonly answer: Answer; readonly rows: readonly number[] }
  | { readonly type: "fetched"; readonly workerId: WorkerId; readonly requestId: number; readonly row: number }
  | { readonly type: "fetchFailed"; readonly workerId: WorkerId; readonly requestId: number; readonly id: number; readonly reason: LossReason }
  /** Write these objects to disk; they stay in memory until that is done. */
  | { readonly type: "spill"; readonly objects: readonly { readonly id: number; readonly row: number }[] }
  /** From disk, or from another node. */
  | { readonly type: "restore"; readonly id: number; readonly row: number }
  /** There is no room for a copy. */
  | { readonly type: "copyRefused"; readonly id: number; readonly reason: LossReason }
  /** Its memory was needed. */
  | { readonly type: "copyDropped"; readonly id: number }
  | { readonly type: "watchedGone"; readonly id: number; readonly reason: LossReason }
  /** It waits for room; after a while it shall not any longer. */
  | { readonly type: "expectRoom"; readonly id: number; readonly attempt: number }
  | { readonly type: "forgetSpilled"; readonly id: number }
  /** Ask these workers to run their garbage collectors, and say when they have or when that took too long. */
  | { readonly type: "collect"; readonly workerIds: readonly WorkerId[] }
  /** After a while, `collectAgain`. */
  | { readonly type: "collectLater" }
  /** Results of a worker that has ended, on their way to their owners: after a while nobody will ask for them. */
  | { readonly type: "expectAdoption"; readonly producerId: WorkerId };
