import { ObjectFreedError, ObjectLostError, type RayError, type SystemErrorRecord } from "../base/mod.ts";
import type { EncodedValueRecord, StoredRecord } from "../protocol/mod.ts";
import { FAILED, type Failure, ObjectEntry, systemFailure } from "./object-entry.ts";
import type { Recovered } from "./repeated-call.ts";
import { EncodedArg, type PendingTask } from "./task.ts";
import type { TasksBetweenRuns } from "./tasks-between-runs.ts";

/** Whether the bytes of an object are gone from where they were looked for, as the store says it. */
export function isLoss(error: unknown): error is RayError {
  return error instanceof Error && (error.name === ObjectLostError.name || error.name === ObjectFreedError.name);
}

/** At the worker: a task or call cannot begin. */
export class LostArgument extends Error {
  readonly index: number;
  readonly stored: StoredRecord;
  constructor(index: number, stored: StoredRecord, cause: RayError) {
    super(cause.message, { cause });
    this.index = index;
    this.stored = stored;
  }
}

export interface LostArgumentsEnvironment {
  recover(entry: ObjectEntry, lost: Pick<StoredRecord, "node" | "id">, recovered: Recovered): void;
  readonly betweenRuns: TasksBetweenRuns;
}

/** Tasks and calls that their workers could not begin, for an argument in the object store is lost, until it is there again. That costs no retry. */
export class LostArguments {
  readonly #env: LostArgumentsEnvironment;

  constructor(environment: LostArgumentsEnvironment) {
    this.#env = environment;
  }

  /** True if it takes the task: it runs when the argument is there, or fails from here. */
  takes(task: PendingTask, index: number, lost: Pick<StoredRecord, "node" | "id">, message: string): boolean {
    const { betweenRuns } = this.#env;
    if (!betweenRuns.add(task, task.isDone)) return false;
    const arg = task.args[index];
    if (arg instanceof ObjectEntry) {
      this.#env.recover(arg, lost, (refusal) => this.#recovered(task, arg, refusal));
    } else {
      const what = arg instanceof EncodedArg && arg.value.stored !== undefined ? "was passed by value" : "is not in the object store";
      betweenRuns.fail(task, systemFailure({ kind: "ObjectReconstructionFailedError", message: `argument ${index + 1} of ${task.name}() ${what} and is lost: ${message}; make the call again`, subjectId: null, reason: "put" }));
    }
    return true;
  }

  #recovered(task: PendingTask, arg: ObjectEntry, refusal: SystemErrorRecord | null): void {
    const failure = refusal !== null ? systemFailure(refusal) : arg.status === FAILED ? (arg.content as Failure) : null;
    if (failure !== null) this.#env.betweenRuns.fail(task, failure);
    else this.#env.betweenRuns.runAgain(task);
  }
}

export function storedIn({ content }: ObjectEntry): StoredRecord | undefined {
  return (content as EncodedValueRecord).stored;
}
