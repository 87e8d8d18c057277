import { ActorDiedError, systemErrorOf, TaskError, type WorkerId } from "../base/mod.ts";
import type { TaskErrorRecord, WorkerDeath } from "../protocol/mod.ts";
import { cleanStack, programPlaces, type Serializer } from "../serialization/mod.ts";
import type { CodeLoader } from "./code-loader.ts";
import { type CallSite, type Failure, systemFailure } from "./object-entry.ts";

export interface FailureContext {
  readonly serializer: Serializer;
  readonly code: CodeLoader;
}

/** The error that a `get` rejects with. Every `get` makes its own, so that stacks are not shared between callers. */
export async function errorOfFailure(failure: Failure, site: CallSite | null, context: FailureContext): Promise<Error> {
  switch (failure.kind) {
    case "taskError":
      return taskErrorOf(failure.error, site, context);
    case "systemError":
      return withSite(withoutTrace(() => systemErrorOf(failure.error)), site);
    case "creationError": {
      const { cause } = await taskErrorOf(failure.creation, null, context);
      const { message, subjectId, reason } = failure.error;
      return withSite(withoutTrace(() => new ActorDiedError(message, { actorId: subjectId ?? "", reason, cause })), site);
    }
  }
}

async function taskErrorOf(record: TaskErrorRecord, site: CallSite | null, context: FailureContext): Promise<TaskError> {
  const cause = await causeOf(record, context);
  const { functionName, taskId, pid } = record;
  const error = withoutTrace(() => new TaskError(`${functionName}() failed: ${record.message}`, { cause, functionName, taskId, pid }));
  const { message } = error;
  setStackLater(error, () => `TaskError: ${message}\n${indentedFrames(`${record.stack}\n    (in ${functionName}, pid ${pid})`)}${calledFrom(site)}`);
  return error;
}

/** What was thrown; null where its class or fields cannot be rebuilt here. */
export async function rebuiltCause(record: TaskErrorRecord, context: FailureContext): Promise<{ readonly cause: unknown } | null> {
  if (record.cause === null) return null;
  try {
    await context.code.ensureLoaded(record.cause.code);
    return { cause: context.serializer.decode(record.cause) };
  } catch {
    return null; // A class that only exists there.
  }
}

/** A plain Error with the message stands for what cannot be rebuilt. */
async function causeOf(record: TaskErrorRecord, context: FailureContext): Promise<unknown> {
  const rebuilt = await rebuiltCause(record, context);
  if (rebuilt !== null) return rebuilt.cause;
  const substitute = new Error(record.message);
  setStack(substitute, record.stack);
  return substitute;
}

/** What the GCS said to the creation of an actor. */
export function creationRefused(error: unknown): Failure {
  const kind = error instanceof Error && error.name === "ActorAlreadyExistsError" ? "ActorAlreadyExistsError" : error instanceof Error && error.name === "ActorUnschedulableError" ? "ActorUnschedulableError" : "RuntimeStateError";
  return systemFailure({ kind, message: error instanceof Error ? error.message : String(error), subjectId: null });
}

function withSite<E extends Error>(error: E, site: CallSite | null): E {
  const { name, message } = error;
  setStackLater(error, () => `${name}: ${message}${calledFrom(site)}`);
  return error;
}

function calledFrom(site: CallSite | null): string {
  const frames = site === null ? "" : site.places !== undefined ? programPlaces(site.places).map((place) => `    at ${place}`).join("\n") : framesOf(cleanStack(site.stack ?? ""));
  return frames === "" ? "" : `\n  called from:\n${frames}`;
}

/** The remote stack starts with the thrown error's own name and message, which say more than ours. */
function indentedFrames(stack: string): string {
  return stack.split("\n").map((line) => (line.startsWith("    ") ? line : `  ${line}`)).join("\n");
}

function framesOf(stack: string): string {
  return stack.split("\n").filter((line) => /^\s+at /.test(line)).join("\n");
}

/** Made without V8's own trace, which would be of the runtime, and takes longer than all the rest. */
function withoutTrace<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error;
  // Intrinsics may be frozen; then it takes longer.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}

/** Formatted when somebody looks at it: of thousands of errors few are shown. */
function setStackLater(error: Error, format: () => string): void {
  Object.defineProperty(error, "stack", {
    configurable: true,
    get: () => {
      const stack = format();
      setStack(error, stack);
      return stack;
    },
    set: (stack: string) => setStack(error, stack),
  });
}

function setStack(error: Error, stack: string): void {
  Object.defineProperty(error, "stack", { value: stack, writable: true, configurable: true });
}

/** Which worker it was, for the end of a message. */
export function whichWorker(workerId: WorkerId, { pid }: WorkerDeath): string {
  return pid === 0 ? `(worker ${workerId})` : `(worker ${workerId}, pid ${pid})`;
}
