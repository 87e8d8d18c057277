import type { NodeKey, SystemErrorRecord } from "../base/mod.ts";

/** From a node that gets copies to one that has the objects. Which node it is, the other side knows from the handshake. */
export type ToHolder =
  | { readonly type: "open"; readonly id: number }
  | { readonly type: "chunk"; readonly requestId: number; readonly node: NodeKey; readonly id: number; readonly chunk: number; readonly insists: boolean }
  | { readonly type: "awaitChunk"; readonly requestId: number; readonly node: NodeKey; readonly id: number; readonly chunk: number }
  | { readonly type: "cancel"; readonly requestId: number }
  /** It has no copy of this object of the other's any more. */
  | { readonly type: "closed"; readonly id: number }
  /** After a connection was lost: of these objects of the other's it has copies. */
  | { readonly type: "holding"; readonly ids: readonly number[] };

export type ToReceiver =
  | { readonly type: "opened"; readonly id: number }
  | { readonly type: "openFailed"; readonly id: number; readonly failure: SystemErrorRecord }
  /** The chunk follows as bulk. */
  | { readonly type: "bytes"; readonly requestId: number }
  | { readonly type: "redirect"; readonly requestId: number; readonly node: NodeKey }
  | { readonly type: "ready" | "refuse"; readonly requestId: number }
  /** The chunks of this object that it awaits from the other are still to come there. */
  | { readonly type: "coming"; readonly key: string }
  | { readonly type: "freed"; readonly id: number };
