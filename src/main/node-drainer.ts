import { RuntimeStateError } from "../base/mod.ts";
import { openMessageLink, type MessageLink } from "../clients/mod.ts";
import { type FromHead, type NetworkAddress, textOf, type ToHead } from "../protocol/mod.ts";
import { connectSocket, TransportError } from "../transport/mod.ts";
import { clusterToken, FOR_CONTROL } from "./cluster-greeting.ts";
import { realRandom } from "./real-random.ts";

export interface DrainRequest {
  /** The beginning of its id, its address `HOST:PORT`, or its name. */
  readonly node: string;
  /** How long it may take to do what it has; null: as long as it needs. */
  readonly timeLeftMs: number | null;
  /** It takes nothing new from now on. */
  onDraining?(nodeId: string): void;
}

export interface DrainOutcome {
  readonly nodeId: string;
  /** How it left; follows "the node …". */
  readonly reason: string;
  /** False if it was lost while it drained. */
  readonly isDrained: boolean;
}

/** Lets a node finish what it has and leave; resolves when it has left. @throws RuntimeStateError when there is no such head or node, or the head is lost. */
export async function drainNode(head: NetworkAddress, { node, timeLeftMs, onDraining }: DrainRequest): Promise<DrainOutcome> {
  const where = `the head at ${textOf(head)}`;
  const channel = await connectSocket(head, { workerId: FOR_CONTROL + realRandom.hex(8), token: clusterToken() }).catch((cause: Error) => {
    throw new RuntimeStateError(`${where} could not be asked to drain a node: ${cause instanceof TransportError ? cause.message : String(cause)}`, { cause });
  });
  const link: MessageLink<ToHead, FromHead> = openMessageLink(channel);
  link.ref();
  try {
    return await new Promise<DrainOutcome>((resolve, reject) => {
      link.onMessage((answer) => {
        if (answer.type === "refused") reject(new RuntimeStateError(answer.reason));
        else if (answer.type === "nodeDrains") onDraining?.(answer.nodeId);
        else resolve(answer);
      });
      link.onClose(() => reject(new RuntimeStateError(`${where} closed the connection before node '${node}' had left: it has ended, or it is no head of a cluster`)));
      link.send({ type: "drainNode", node, timeLeftMs });
    });
  } finally {
    link.close();
  }
}
