import { Worker } from "node:worker_threads";
import * as Comlink from "comlink";
import nodeEndpoint from "comlink/dist/esm/node-adapter.mjs";
import { builtFile } from "../built-file.ts";
import { tellFirstResult } from "./first-result.ts";

const worker = new Worker(builtFile("comlink-worker"));
tellFirstResult(await Comlink.wrap<{ increment(): number }>(nodeEndpoint(worker)).increment());
await worker.terminate();
