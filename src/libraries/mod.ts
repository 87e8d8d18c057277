export { ActorPool } from "./actor-pool.ts";
export { AsyncResult } from "./async-result.ts";
export { Pool, type PoolMapOptions, type PoolOptions } from "./pool.ts";
export { Queue, type QueueOptions, type QueueWaitOptions } from "./queue.ts";
