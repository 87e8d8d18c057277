export { ActorHandleObject } from "./actor-handle.ts";
export { CoreWorker, type CoreWorkerEnvironment, type Reviver } from "./core-worker.ts";
export type { Execution } from "./execution.ts";
export type { WaitOptions } from "./object-access.ts";
export { DESCRIBE, ObjectRef, type GetOptions, type RuntimeObject } from "./object-ref.ts";
export { returnsOf, unconsumedMaxOf } from "./submission.ts";
export { isGeneratorFunction, type CodeSource, type TaskTemplate } from "./task.ts";
export { RefGenerator } from "./value-stream.ts";
export { describe } from "./object-access.ts";
