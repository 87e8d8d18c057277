import { initRuntime, move, shutdown, spawn } from "multithreading";
import { tellFirstResult } from "./first-result.ts";

initRuntime({ maxWorkers: 2 });
const result = await spawn(move(21), (value: number) => 2 * value).join();
if (!result.ok) throw result.error;
tellFirstResult(result.value);
shutdown();
