import { openMessageLink, type MessageLink } from "../clients/mod.ts";
import type { NetworkAddress, NodeDescription } from "../protocol/mod.ts";
import { connectSocket } from "../transport/mod.ts";
import { clusterToken, FOR_DESCRIPTION } from "./cluster-greeting.ts";
import { localHostTowards } from "./network-host.ts";
import { realRandom } from "./real-random.ts";

/** What `findRemoteNode` reads. */
export type LookupOutcome =
  /** `ownHost`: where this machine is reached from there. */
  | { readonly description: NodeDescription; readonly ownHost: string }
  | { readonly failure: string };


async function lookUp(address: NetworkAddress): Promise<LookupOutcome> {
  const ownHost = await localHostTowards(address);
  const link: MessageLink<never, NodeDescription> = openMessageLink(await connectSocket(address, { workerId: FOR_DESCRIPTION + realRandom.hex(8), token: clusterToken() }));
  link.ref();
  return new Promise((resolve) => {
    link.onMessage((description) => {
      resolve({ description, ownHost });
      link.close();
    });
    link.onClose(() => resolve({ failure: "The other side closed the connection." }));
  });
}

/** The entry of a process that asks a node of a cluster what programs must know to join it, and prints that. */
lookUp(JSON.parse(process.argv[2] as string) as NetworkAddress)
  .catch((error: Error): LookupOutcome => ({ failure: error.message }))
  .then((outcome) => process.stdout.write(JSON.stringify(outcome)));
