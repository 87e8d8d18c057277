import { fileURLToPath } from "node:url";
import { DynamicThreadPool } from "poolifier";
import { builtFile } from "../built-file.ts";
import { tellFirstResult } from "./first-result.ts";

// The dynamic pool starts its second worker when there is work for it, as the other pools do.
const pool = new DynamicThreadPool<number, number>(1, 2, fileURLToPath(builtFile("double-poolifier-worker")));
tellFirstResult(await pool.execute(21));
await pool.destroy();
