import type { RandomSource } from "./random.ts";

/** 16 hexadecimal digits: one core worker (a driver, a worker thread or a worker process). */
export type WorkerId = string;
/** The owner's worker id followed by 12 hexadecimal digits that count within it. */
export type ObjectId = string;
export type TaskId = string;
/** 16 hexadecimal digits. */
export type ActorId = string;
export type NodeId = string;
export type JobId = string;

const WORKER_ID_BYTES = 8;
const SEQUENCE_DIGITS = 12;

export function newWorkerId(random: RandomSource): WorkerId {
  return random.hex(WORKER_ID_BYTES);
}
export const newActorId: (random: RandomSource) => ActorId = newWorkerId;
export const newNodeId: (random: RandomSource) => NodeId = newWorkerId;
export function newJobId(random: RandomSource): JobId {
  return random.hex(4);
}

/** Ids of tasks and objects are built from their owner and a count, so that making one needs no randomness and no agreement. */
export function sequencedId(owner: WorkerId, sequence: number): ObjectId {
  return owner + sequence.toString(16).padStart(SEQUENCE_DIGITS, "0");
}
