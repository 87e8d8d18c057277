import workerpool from "workerpool";
import { tellFirstResult } from "./first-result.ts";

const pool = workerpool.pool({ workerType: "thread", maxWorkers: 2 });
tellFirstResult(await pool.exec((value: number) => 2 * value, [21]));
await pool.terminate();
