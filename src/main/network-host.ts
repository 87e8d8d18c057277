import { createSocket } from "node:dgram";
import { isIPv6 } from "node:net";
import { RuntimeStateError } from "../base/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";

/** The address of this machine that is used on the way to another. Sends nothing. @throws RuntimeStateError when there is no way. */
export function localHostTowards({ host, port }: NetworkAddress): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(host) ? "udp6" : "udp4");
    const failed = (cause: Error): void => {
      socket.close();
      reject(new RuntimeStateError(`${host} cannot be reached from this machine: ${cause.message}`, { cause }));
    };
    socket.once("error", failed);
    socket.connect(port, host, () => {
      const { address } = socket.address();
      socket.close();
      resolve(address);
    });
  });
}
