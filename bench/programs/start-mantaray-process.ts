import * as ray from "mantaray";
import { tellFirstResult } from "./first-result.ts";

await ray.init({ address: "local", numCpus: 2, isolation: "process" });
const double = ray.remote((value: number) => 2 * value);
tellFirstResult(await ray.get(double.remote(21)));
await ray.shutdown();
