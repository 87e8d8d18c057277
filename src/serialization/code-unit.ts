import type { CodeOrigin } from "../protocol/mod.ts";

/** A function or class with everything it captures, ready to travel. Made once per function object. */
export interface CodeUnit {
  /** `${workerId}/${n}`; unique. */
  readonly id: string;
  readonly name: string;
  readonly blob: Uint8Array;
  /** Ids of the units that must be loaded before this one. */
  readonly needs: readonly string[];
  /** Runtime objects captured, in order. */
  readonly descriptors: readonly unknown[];
  readonly kind: "function" | "class";
  readonly isAsync: boolean;
  readonly isGenerator: boolean;
  /** `file:line`, for messages. */
  readonly where: string;
  /** Whose files its modules are; null where nobody can be asked for them. */
  readonly origin: CodeOrigin | null;
}
