import type { CodeOrigin } from "./module-messages.ts";
import type { StoredRecord } from "./store-messages.ts";

/** Values and code as they travel. Structurally what `serialization/` produces; named here because messages carry them. */

export interface EncodedValueRecord {
  /** 0: v8's own format; 1: the graph format of `serialization/`. */
  readonly format: 0 | 1;
  readonly header: Uint8Array;
  readonly buffers: readonly Uint8Array[];
  /** Runtime objects inside the value, see `RuntimeDescriptor`. */
  readonly descriptors: readonly unknown[];
  /** Ids of the code units that the value's classes and functions come from. */
  readonly code: readonly string[];
  /** Header and buffers lie in shared memory. Here are no buffers, and the header only if it is short and there is exactly one buffer. */
  readonly stored?: StoredRecord;
}

export interface CodeUnitRecord {
  readonly id: string;
  readonly name: string;
  readonly blob: Uint8Array;
  readonly needs: readonly string[];
  readonly descriptors: readonly unknown[];
  readonly kind: "function" | "class";
  readonly isAsync: boolean;
  readonly isGenerator: boolean;
  readonly where: string;
  /** Whose files its modules are; null where nobody can be asked for them. */
  readonly origin: CodeOrigin | null;
}

/** Where an object of plain data lies, so that whoever gets a ref need not ask its owner. It may have moved since. */
export interface ObjectPlace {
  readonly format: EncodedValueRecord["format"];
  readonly header: Uint8Array;
  readonly stored: StoredRecord;
}

/** How objects of the runtime are written inside values and closures. */
export type RuntimeDescriptor =
  | { readonly kind: "objectRef"; readonly objectId: string; readonly ownerId: string; readonly place?: ObjectPlace }
  | { readonly kind: "actorHandle"; readonly actorId: string; readonly ownerId: string; readonly isDetached: boolean; readonly isShared: boolean; readonly className: string; readonly methods: ActorMethods; readonly rules: CallRules }
  | { readonly kind: "placementGroup"; readonly groupId: string; readonly bundles: readonly Readonly<Record<string, number>>[] }
  | { readonly kind: "remoteFunction"; readonly unitId: string; readonly name: string; readonly isGenerator: boolean; readonly options: object }
  | { readonly kind: "actorClass"; readonly unitId: string; readonly name: string; readonly methods: ActorMethods; readonly options: object };

/** What a handle must know of each public method: whether calls of it stream, and the call options declared with the class. */
export type ActorMethods = Readonly<Record<string, { readonly isGenerator: boolean; readonly options: object | null }>>;

/** How an actor takes calls, as its callers must know it. */
export interface CallRules {
  /** Of calls that do not say otherwise; -1 without limit. */
  readonly maxTaskRetries: number;
  /** Of one caller that have no outcome yet; -1 without limit. */
  readonly maxPendingCalls: number;
  /** Calls at once in each concurrency group. */
  readonly groups: Readonly<Record<string, number>>;
  /** Whether a call whose arguments are there may overtake one whose arguments are not. */
  readonly allowsOvertaking: boolean;
}

/** What a task or call threw, as it travels back to its owner. */
export interface TaskErrorRecord {
  readonly functionName: string;
  readonly taskId: string;
  readonly pid: number;
  readonly message: string;
  readonly stack: string;
  /** Of the thrown error's class and of those that it extends, nearest first; empty for what is no Error. */
  readonly classNames: readonly string[];
  /** The thrown value; null when it could not be encoded. */
  readonly cause: EncodedValueRecord | null;
}
