export { invariant, InvariantError, unreachable } from "./assert.ts";
export type { Clock, Timer } from "./clock.ts";
export { Deque } from "./deque.ts";
export * from "./errors.ts";
export { forgetOldest } from "./forget-oldest.ts";
export { newActorId, newJobId, newNodeId, newWorkerId, sequencedId } from "./ids.ts";
export type { ActorId, JobId, NodeId, ObjectId, TaskId, WorkerId } from "./ids.ts";
export type { RandomSource } from "./random.ts";
export { isZero, toAmounts, toQuantities, type ResourceAmounts, UNITS_PER_RESOURCE } from "./resource-amounts.ts";
