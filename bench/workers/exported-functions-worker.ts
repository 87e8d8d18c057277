/** For Piscina and Tinypool: the default export is the task, other exports are tasks by name. */
import { samplePi } from "../peers/sample-pi.ts";

export default function empty(): void {}

/** Keeps its worker until the gate opens. */
export function waitAtGate(gate: Int32Array): void {
  Atomics.wait(gate, 0, 0);
}

export function pi({ samples, seed }: { samples: number; seed: number }): number {
  return samplePi(samples, seed);
}
