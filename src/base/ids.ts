import type { RandomSource } from "./random.ts";

/** The first 8 digits of a node's id, which no other node of the cluster has. */
export type NodeKey = string;
/** 20 hexadecimal digits: one core worker (a driver, a worker thread or a worker process). The first are the key of its node. */
export type WorkerId = string;
/** The owner's worker id followed by 12 hexadecimal digits that count within it. */
export type ObjectId = string;
export type TaskId = string;
/** 16 hexadecimal digits. */
export type ActorId = string;
export type NodeId = string;
export type JobId = string;
/** The worker id of whoever made the group, followed by 12 hexadecimal digits that count within it. */
export type PlacementGroupId = string;

const NODE_KEY_DIGITS = 8;
const WORKER_ID_BYTES = 6;
const WORKER_ID_DIGITS = NODE_KEY_DIGITS + 2 * WORKER_ID_BYTES;
const ID_BYTES = 8;
const SEQUENCE_DIGITS = 12;

/** Of a worker that lives on this node, so that everybody can see where. */
export function newWorkerId(random: RandomSource, node: NodeKey): WorkerId {
  return node + random.hex(WORKER_ID_BYTES);
}
export function newActorId(random: RandomSource): ActorId {
  return random.hex(ID_BYTES);
}
export function newNodeId(random: RandomSource): NodeId {
  return random.hex(ID_BYTES);
}
/** Of a node's id, or of that of a worker of its. */
export function nodeKeyOf(id: NodeId | WorkerId): NodeKey {
  return id.slice(0, NODE_KEY_DIGITS);
}
export function newJobId(random: RandomSource): JobId {
  return random.hex(4);
}

/** Ids of tasks and objects are built from their owner and a count, so that making one needs no randomness and no agreement. */
export function sequencedId(owner: WorkerId, sequence: number): ObjectId {
  return owner + sequence.toString(16).padStart(SEQUENCE_DIGITS, "0");
}

/** The count in an id that was made so. */
export function sequenceIn(id: ObjectId): number {
  return Number.parseInt(id.slice(-SEQUENCE_DIGITS), 16);
}

/** The worker that made this group. */
export function creatorOf(groupId: PlacementGroupId): WorkerId {
  return groupId.slice(0, WORKER_ID_DIGITS);
}
