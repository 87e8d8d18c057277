export { ActorPool } from "./actor-pool.ts";
export { Queue, type QueueOptions, type QueueWaitOptions } from "./queue.ts";
