import { Piscina } from "piscina";
import { builtFile } from "../built-file.ts";
import { tellFirstResult } from "./first-result.ts";

const pool = new Piscina({ filename: builtFile("double-worker").href, maxThreads: 2 });
tellFirstResult(await pool.run(21));
await pool.destroy();
