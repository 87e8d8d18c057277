/** In a thread or in a process: answers how long an array was on its way. */
import { parentPort } from "node:worker_threads";
import type { ArrayMessage } from "../peers/delivery.ts";

const NS_PER_MS = 1e6;

function msUntilHere({ sentAtNs, array }: ArrayMessage): number {
  if (array.at(-1) !== 1) throw new Error("the array arrived with other numbers");
  return Number(process.hrtime.bigint() - sentAtNs) / NS_PER_MS;
}

if (parentPort !== null) {
  const port = parentPort;
  port.on("message", (message: ArrayMessage) => port.postMessage(msUntilHere(message)));
} else {
  process.on("message", (message: ArrayMessage) => process.send!(msUntilHere(message)));
}
