import { fork } from "node:child_process";
import { once } from "node:events";
import { builtFile } from "../built-file.ts";
import { deliverTo } from "./delivery.ts";
import type { Peer } from "./peer.ts";

/** Node's own channel between processes, with structured clone. */
export function openChildProcess(): Peer {
  const child = fork(builtFile("array-receiver"), { serialization: "advanced" });
  return {
    deliverArray: (byteLength, times) =>
      deliverTo({ send: (message) => child.send(message as object), reply: async () => (await once(child, "message"))[0] as number }, byteLength, times),
    async close() {
      const exited = once(child, "exit");
      child.disconnect();
      await exited;
    },
  };
}
