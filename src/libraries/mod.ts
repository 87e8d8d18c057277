export { ActorPool } from "./actor-pool.ts";
