import type { NodeKey, SystemErrorRecord, WorkerId } from "../base/mod.ts";
import type { Copy } from "./node-copies.ts";

/** Where the bytes of a chunk go. */
export interface Target {
  readonly node: NodeKey;
  readonly copy: Copy;
  readonly chunk: number;
}

export interface Asker {
  readonly key: string;
  /** Null for one that is no worker; its number for one that waits. */
  readonly request: { readonly workerId: WorkerId; readonly requestId: number | null } | null;
  /** It is complete at this moment, and stays during the call. */
  done(copy: Copy): void;
  failed(failure: SystemErrorRecord): void;
}
