import type { SystemErrorRecord } from "../base/mod.ts";
import type { ActorClient } from "./actor-client.ts";
import type { ObjectEntry } from "./object-entry.ts";
import type { CallStream, CallTemplate, PendingTask } from "./task.ts";

/** A task or call that was over and runs again, with what it was given then. */
export interface RepeatedCall {
  readonly template: CallTemplate;
  /** Of a call. */
  readonly client: ActorClient<PendingTask> | null;
  /** Null for a number of its own: the first run may go on. */
  readonly sequence: number | null;
  /** Primitives, EncodedArgs and ObjectEntries. */
  readonly args: unknown[];
  readonly entries: ObjectEntry | ObjectEntry[];
  readonly stream: CallStream | null;
  readonly retriesLeft: number;
}

/** Called once a lost object is there again or has failed, with null; or with why it cannot be had now. */
export type Recovered = (refusal: SystemErrorRecord | null) => void;
