export { partsOf, RecentTemplates, specFrom } from "./actor-template.ts";
export type * from "./cluster-messages.ts";
export type * from "./control-messages.ts";
export { type NetworkAddress, textOf } from "./network-address.ts";
export type * from "./gcs-messages.ts";
export type * from "./module-messages.ts";
export type * from "./node-messages.ts";
export type * from "./object-messages.ts";
export { FRAME_CONNECTION, FRAME_MESSAGE, FRAME_RESULTS, FRAME_TASKS, TASK_SLOTS_MAX } from "./peer-messages.ts";
export type { CallableTarget, ObjectOutcome, PeerMessage } from "./peer-messages.ts";
export * from "./placement-group-messages.ts";
export type * from "./runtime-env.ts";
export * from "./run-messages.ts";
export type * from "./store-messages.ts";
export { type LabelCondition, type NodePreference, strategyKeyOf, type StrategyRecord } from "./strategy-record.ts";
export type * from "./values.ts";
export type * from "./wait-messages.ts";
export { plainWorkerKind, type WorkerIsolation, type WorkerKind, workerKindKeyOf, workerKindOf } from "./worker-kind.ts";

/** Raised with every change of a message; parts that differ in it refuse each other. */
export const PROTOCOL_VERSION = 17;
