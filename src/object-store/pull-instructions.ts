import type { NodeKey, SystemErrorRecord } from "../base/mod.ts";
import type { RemoteObject } from "./remote-object.ts";

/** What a pull is for, most urgent first: somebody is blocked, a task is to start, somebody may want it later. */
export type PullPriority = "get" | "argument" | "prefetch";

export type PullInstruction =
  /** Memory for all of it; answered by `roomGranted` or `failed`. */
  | { readonly type: "reserve"; readonly key: string; readonly object: RemoteObject }
  /** Tell the primary's node that a copy is being made; answered by `opened` or `failed`. */
  | { readonly type: "open"; readonly key: string; readonly object: RemoteObject }
  /** Answered by `received`, `redirected`, `refused` or `failed`. `insists`: a redirection has not worked. */
  | { readonly type: "request"; readonly requestId: number; readonly node: NodeKey; readonly key: string; readonly object: RemoteObject; readonly chunk: number; readonly insists: boolean }
  /** Ask another holder to say when it has the chunk; answered by `ready` or `refused`. */
  | { readonly type: "awaitChunk"; readonly requestId: number; readonly node: NodeKey; readonly key: string; readonly object: RemoteObject; readonly chunk: number }
  /** The answer is not wanted any more, and bytes that still come must not be written to the copy. */
  | { readonly type: "cancelRequest"; readonly requestId: number; readonly node: NodeKey }
  /** The chunk can be had from here. */
  | { readonly type: "arrived"; readonly key: string; readonly chunk: number }
  | { readonly type: "completed"; readonly key: string; readonly object: RemoteObject; readonly askIds: readonly number[] }
  | { readonly type: "askFailed"; readonly askIds: readonly number[]; readonly failure: SystemErrorRecord }
  /** Nobody wants it, or it cannot be had: its memory goes back. */
  | { readonly type: "abandon"; readonly key: string; readonly object: RemoteObject }
  /** Nothing comes from there: drop the connection, which is `unreachable` then. */
  | { readonly type: "disconnect"; readonly node: NodeKey };

export function nodeLostRecord(id: number, reason: string): SystemErrorRecord {
  return { kind: "ObjectLostError", message: `the node that had this object has ended: ${reason}`, subjectId: String(id) };
}
