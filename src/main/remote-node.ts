import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { newJobId, RuntimeStateError } from "../base/mod.ts";
import { makeOwnedFolder } from "../object-store/mod.ts";
import { PROTOCOL_VERSION, textOf, type NetworkAddress } from "../protocol/mod.ts";
import { Caretaker } from "./caretaker.ts";
import { clusterToken } from "./cluster-greeting.ts";
import { realRandom } from "./real-random.ts";
import type { LookupOutcome } from "./remote-lookup.ts";
import { clusterAddressIn, findRuntime, networkAddressText, nodeOfCluster, type Ticket } from "./runtime-address.ts";

const ENTRY = fileURLToPath(new URL("./remote-lookup.js", import.meta.url));
const LOOKUP_MS_MAX = 15_000;

/** Whether a program can join `address` from here, before it is started. @throws what `init` would. */
export function checkJoinable(address: string): void {
  const networkAddress = clusterAddressIn(address);
  if (networkAddress === null) findRuntime(address);
  else if (nodeOfCluster(address, networkAddress) === null) described(networkAddress);
}

/**
 * What a program must know to join a cluster of which no node runs on its machine. The runtime begins without waiting, so this is asked in
 * a process of its own, whose end can be waited for. @throws RuntimeStateError.
 */
export function findRemoteNode(address: NetworkAddress): { readonly ticket: Ticket; readonly caretaker: Caretaker } {
  const { description: { nodeId, isolation, labels, pid }, ownHost } = described(address);
  const sessionDir = join(tmpdir(), `mantaray-${process.pid}-${newJobId(realRandom)}`);
  const caretaker = new Caretaker([sessionDir]);
  caretaker.start();
  makeOwnedFolder(sessionDir);
  const ticket: Ticket = {
    protocolVersion: PROTOCOL_VERSION, surroundings: `another machine: ${address.host}`, pid,
    session: { nodeId, isolation, totals: {}, labels, sessionDir, store: null, token: clusterToken(), address: networkAddressText(address), networkHost: ownHost },
    node: { clusterAddress: textOf(address), name: null, isHead: true, isForTest: false },
  };
  return { ticket, caretaker };
}

function described(address: NetworkAddress): Exclude<LookupOutcome, { readonly failure: string }> {
  const outcome = lookedUp(address);
  if ("failure" in outcome) throw new RuntimeStateError(`no node of the cluster at '${textOf(address)}' runs on this machine, and that address cannot be joined from here: ${outcome.failure} Check the address, that the head runs, and that MANTARAY_CLUSTER_TOKEN is the same as there if it is set`);
  return outcome;
}

function lookedUp(address: NetworkAddress): LookupOutcome {
  // Few programs join so, and all would wait for it at their start: with it come sockets.
  const { execFileSync } = process.getBuiltinModule("node:child_process");
  try {
    return JSON.parse(execFileSync(process.execPath, [ENTRY, JSON.stringify(address)], { encoding: "utf8", timeout: LOOKUP_MS_MAX, stdio: ["ignore", "pipe", "ignore"] })) as LookupOutcome;
  } catch (error) {
    return { failure: `It did not answer within ${LOOKUP_MS_MAX / 1000} s (${(error as Error).message.split("\n")[0] ?? ""}).` };
  }
}
