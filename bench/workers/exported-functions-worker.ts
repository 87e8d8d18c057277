/** For Piscina and Tinypool: the default export is the task, other exports are tasks by name. */
import { samplePi } from "../peers/sample-pi.ts";

export default function empty(): void {}

export function pi({ samples, seed }: { samples: number; seed: number }): number {
  return samplePi(samples, seed);
}
