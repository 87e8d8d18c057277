import type { SystemErrorRecord } from "../base/mod.ts";
import { withOwnBuffers } from "../clients/mod.ts";
import type { EncodedValueRecord, TaskErrorRecord } from "../protocol/mod.ts";
import { cleanStack } from "../serialization/mod.ts";
import { classNamesOf } from "./retried-errors.ts";

export interface ThrowingCall {
  /** As the caller reads it: "f", "Counter.inc", "new Counter". */
  readonly functionName: string;
  readonly taskId: string;
  readonly pid: number;
  /** What the cause is called in an error about encoding it. */
  readonly label: string;
}

/** Thrown by `exitActor` to leave the method; carries what the caller gets. */
export class ActorExit extends Error {
  readonly record: SystemErrorRecord;
  constructor(record: SystemErrorRecord) {
    super(record.message);
    this.record = record;
  }
}

/** What user code threw, as it travels to the caller. */
export function recordOfThrown(thrown: unknown, call: ThrowingCall, encode: (value: unknown, label: string) => EncodedValueRecord): TaskErrorRecord {
  const isError = thrown instanceof Error;
  let cause: EncodedValueRecord | null = null;
  try {
    if (!isError || typeof thrown.stack === "string") {
      // A cause outlives the turn, but its buffers are views of the thrown value.
      cause = withOwnBuffers(encode(thrown, call.label));
    }
  } catch {
    // An error with a field that cannot travel still arrives, by its message and stack.
  }
  return {
    functionName: call.functionName,
    taskId: call.taskId,
    pid: call.pid,
    message: isError ? thrown.message : String(thrown),
    stack: isError ? cleanStack(String(thrown.stack)) : `${String(thrown)}\n    (not an Error, so there is no stack)`,
    classNames: classNamesOf(thrown),
    cause,
  };
}
