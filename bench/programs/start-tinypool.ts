import { Tinypool } from "tinypool";
import { builtFile } from "../built-file.ts";
import { tellFirstResult } from "./first-result.ts";

const pool = new Tinypool({ filename: builtFile("double-worker").href, runtime: "worker_threads", maxThreads: 2 });
tellFirstResult(await pool.run(21));
await pool.destroy();
