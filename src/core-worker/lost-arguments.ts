import { ObjectFreedError, ObjectLostError, type RayError, type SystemErrorRecord } from "../base/mod.ts";
import type { EncodedValueRecord, StoredRecord } from "../protocol/mod.ts";
import { FAILED, type Failure, ObjectEntry, systemFailure } from "./object-entry.ts";
import type { Recovered } from "./repeated-call.ts";
import { EncodedArg, type PendingTask } from "./task.ts";

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
  /** Lets it run. */
  runAgain(task: PendingTask): void;
  /** It does not run again after all: nothing is to wait for it. */
  giveUp(task: PendingTask): void;
  /** Makes this its outcome. */
  fail(task: PendingTask, failure: Failure): void;
}

/** Tasks and calls that their workers could not begin, for an argument in the object store is lost, until it is there again. That costs no retry. */
export class LostArguments {
  readonly #env: LostArgumentsEnvironment;
  readonly #waiting = new Set<PendingTask>();

  constructor(environment: LostArgumentsEnvironment) {
    this.#env = environment;
  }

  get waiting(): Iterable<PendingTask> {
    return this.#waiting;
  }

  /** True if it takes the task: it runs when the argument is there, or fails from here. */
  takes(task: PendingTask, index: number, lost: Pick<StoredRecord, "node" | "id">, message: string): boolean {
    if (task.isDone) {
      this.#env.giveUp(task);
      return false;
    }
    this.#waiting.add(task);
    const arg = task.args[index];
    if (arg instanceof ObjectEntry) {
      this.#env.recover(arg, lost, (refusal) => this.#recovered(task, arg, refusal));
    } else {
      const what = arg instanceof EncodedArg && arg.value.stored !== undefined ? "was passed by value" : "is not in the object store";
      this.#fail(task, systemFailure({ kind: "ObjectReconstructionFailedError", message: `argument ${index + 1} of ${task.name}() ${what} and is lost: ${message}; make the call again`, subjectId: null, reason: "put" }));
    }
    return true;
  }

  #recovered(task: PendingTask, arg: ObjectEntry, refusal: SystemErrorRecord | null): void {
    const failure = refusal !== null ? systemFailure(refusal) : arg.status === FAILED ? (arg.content as Failure) : null;
    if (failure !== null) this.#fail(task, failure);
    else if (this.#waiting.delete(task)) this.#env.runAgain(task);
  }

  #fail(task: PendingTask, failure: Failure): void {
    if (this.giveUp(task)) this.#env.fail(task, failure);
  }

  /** It is not to run any more. False if it does not wait here. */
  giveUp(task: PendingTask): boolean {
    if (!this.#waiting.delete(task)) return false;
    this.#env.giveUp(task);
    return true;
  }

  /** Those that wait, taken out; nothing runs here any more. */
  takeAll(): PendingTask[] {
    const tasks = [...this.#waiting];
    this.#waiting.clear();
    return tasks;
  }
}

export function storedIn({ content }: ObjectEntry): StoredRecord | undefined {
  return (content as EncodedValueRecord).stored;
}
