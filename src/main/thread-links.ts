import { MessageChannel } from "node:worker_threads";
import { availableParallelism } from "node:os";
import { performance } from "node:perf_hooks";
import type { WorkerId } from "../base/mod.ts";
import type { CoreWorker } from "../core-worker/mod.ts";
import { TASK_SLOTS_MAX, type FromNode } from "../protocol/mod.ts";
import { connectLasting, connectSocket, createSpinPermitMemory, createThreadChannelPair, LoopSpinner, openThreadChannel, SpinPermits, ThreadPoller, transferList } from "../transport/mod.ts";
import type { TransferListItem } from "node:worker_threads";
import type { PeerEnd, ThreadLink } from "./bootstrap.ts";
import { realClock } from "./real-clock.ts";

/** One of these looks after all channels of a thread. */
export function createPoller(spinPermits: SharedArrayBuffer): ThreadPoller {
  return new ThreadPoller({ nowMs: () => performance.now(), spinPermits: new SpinPermits(spinPermits, () => hrtimeMs()) });
}

/** How many threads of this process may spin at once: none where there is one processor, which the awaited one needs. */
export function newSpinPermits(): SharedArrayBuffer {
  return createSpinPermitMemory(availableParallelism() > 1 ? availableParallelism() : 0);
}

/** One of these for all sockets of a thread through which it waits for answers. */
export function createLoopSpinner(spinPermits: SharedArrayBuffer): LoopSpinner {
  return new LoopSpinner({ nowMs: () => performance.now(), spinPermits: new SpinPermits(spinPermits, () => hrtimeMs()), nextTurn: setImmediate });
}

export function createThreadLinkPair(): [ThreadLink, ThreadLink] {
  const [channelA, channelB] = createThreadChannelPair();
  const { port1, port2 } = new MessageChannel();
  return [{ channel: channelA, broker: port1 }, { channel: channelB, broker: port2 }];
}

export function linkTransferList(link: ThreadLink): TransferListItem[] {
  return [...transferList(link.channel), link.broker];
}

/** The two ends of a channel between the core workers `a` and `b`, with the claims that each direction needs. */
export function createPeerEnds(a: WorkerId, b: WorkerId): [forA: PeerEnd, forB: PeerEnd] {
  const [channelA, channelB] = createThreadChannelPair();
  const fromA = new SharedArrayBuffer(TASK_SLOTS_MAX * Int32Array.BYTES_PER_ELEMENT);
  const fromB = new SharedArrayBuffer(TASK_SLOTS_MAX * Int32Array.BYTES_PER_ELEMENT);
  return [
    { peerId: b, channel: channelA, claims: { outgoing: fromA, incoming: fromB } },
    { peerId: a, channel: channelB, claims: { outgoing: fromB, incoming: fromA } },
  ];
}

export function peerTransferList(end: PeerEnd): TransferListItem[] {
  return transferList(end.channel);
}

export function openPeer(core: CoreWorker, end: PeerEnd, poller: ThreadPoller): void {
  const channel = openThreadChannel(end.channel, { peerId: end.peerId, poller });
  core.peerConnected(end.peerId, channel, { outgoing: new Int32Array(end.claims.outgoing), incoming: new Int32Array(end.claims.incoming) });
}

export interface PeerIdentity {
  readonly workerId: WorkerId;
  readonly token: string;
  readonly spinner: LoopSpinner;
}

/** Connects to a worker process on the node manager's word; to one of another node so that nothing is lost when the connection breaks. */
export function connectToProcess(core: CoreWorker, message: FromNode & { readonly type: "connectSocket" }, identity: PeerIdentity): void {
  const connecting = typeof message.address === "string" ? connectSocket({ path: message.address }, identity) : connectLasting(message.address, identity, realClock);
  connecting.then(
    (channel) => core.peerConnected(message.workerId, channel, null),
    // It has ended meanwhile, which the node manager says, or cannot be reached.
    () => core.peerNotConnected(message.workerId),
  );
}

/** One origin for all threads of the process, which `performance.now` does not have. */
function hrtimeMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
