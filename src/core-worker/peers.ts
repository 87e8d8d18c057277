import { type Clock, forgetOldest, type WorkerId } from "../base/mod.ts";
import { TASK_SLOTS_MAX, type WorkerDeath } from "../protocol/mod.ts";
import type { Channel } from "../transport/mod.ts";
import { LoopbackChannel } from "./loopback-channel.ts";
import { Peer } from "./peer.ts";

/** How long a dead worker's channel may take to say that it is closed. */
const LAST_WORDS_MS_MAX = 200;
/** How long the node manager may take to say that a worker is dead whose channel broke. */
const BROKEN_MS_MAX = 2_000;
/** Workers whose end is remembered, so that late callers get an error instead of silence. */
const DEATHS_REMEMBERED_MAX = 10_000;

export interface PeersEnvironment {
  readonly workerId: WorkerId;
  readonly clock: Clock;
  /** Asks for a channel to this worker; it comes with `connected`. */
  connect(workerId: WorkerId): void;
  onFrame(peer: Peer, frame: Uint8Array): void;
  /** There is no channel to it any more, or none could be had, and nobody says that it has ended. */
  broken(workerId: WorkerId): void;
  /** It has ended, and all that it sent was read. */
  lost(workerId: WorkerId, peer: Peer, death: WorkerDeath): void;
}

/** The other workers that this one has to do with, from the first word to their end. */
export class Peers {
  readonly #env: PeersEnvironment;
  readonly #peers = new Map<WorkerId, Peer>();
  readonly #deaths = new Map<WorkerId, WorkerDeath>();

  constructor(environment: PeersEnvironment) {
    this.#env = environment;
  }

  /** Made at its first use; what is sent before its channel is there waits in it. */
  peer(workerId: WorkerId): Peer {
    let peer = this.#peers.get(workerId);
    if (peer === undefined) {
      peer = new Peer(workerId);
      peer.isLost = this.#deaths.has(workerId);
      if (peer.isLost) return peer;
      this.#peers.set(workerId, peer);
      if (workerId === this.#env.workerId) this.#connectToSelf();
      else this.#env.connect(workerId);
    }
    return peer;
  }

  [Symbol.iterator](): IterableIterator<Peer> {
    return this.#peers.values();
  }

  /** A worker that ended now might take answers with it: a connection is broken, or the other side has not had all yet. */
  get haveUndelivered(): boolean {
    for (const { channel, isDrained } of this.#peers.values()) if (channel !== null && (isDrained || channel.hasUndelivered === true)) return true;
    return false;
  }

  deathOf(workerId: WorkerId): WorkerDeath | undefined {
    return this.#deaths.get(workerId);
  }

  #connectToSelf(): void {
    const claims = new Int32Array(TASK_SLOTS_MAX);
    this.connected(this.#env.workerId, new LoopbackChannel(this.#env.workerId), { outgoing: claims, incoming: claims });
  }

  /** A channel to another worker is open; both sides may have asked for it, and it may have ended before this one opened. */
  connected(workerId: WorkerId, channel: Channel, claims: { outgoing: Int32Array; incoming: Int32Array } | null): void {
    if (this.#deaths.has(workerId)) return channel.close();
    let peer = this.#peers.get(workerId);
    if (peer === undefined) this.#peers.set(workerId, (peer = new Peer(workerId)));
    if (peer.channel !== null || peer.isLost) return channel.close();
    const opened = peer;
    opened.outgoingClaims = claims?.outgoing ?? null;
    opened.incomingClaims = claims?.incoming ?? null;
    channel.onFrame((frame) => this.#env.onFrame(opened, frame));
    // Why it closed comes from the node manager (`workerDied`), which also knows of ends that close nothing.
    channel.onClose((reason) => {
      opened.isDrained = true;
      opened.whenDrained?.();
      if (reason === "lost" || reason === "invalid") this.#brokenUnlessDead(opened);
    });
    opened.opened(channel);
  }

  /** No channel could be opened. */
  notConnected(workerId: WorkerId): void {
    const peer = this.#peers.get(workerId);
    if (peer !== undefined) this.#brokenUnlessDead(peer);
  }

  #brokenUnlessDead(peer: Peer): void {
    this.#env.clock.after(BROKEN_MS_MAX, () => {
      // The other side may have connected meanwhile.
      if (this.#peers.get(peer.workerId) === peer && (peer.channel === null || peer.isDrained)) this.#env.broken(peer.workerId);
    });
  }

  /** The node manager's word. */
  died(workerId: WorkerId, death: WorkerDeath): void {
    const peer = this.#peers.get(workerId);
    if (peer === undefined || peer.channel === null || peer.isDrained) return this.#lost(workerId, peer, death);
    // What it sent before its end counts, and may still lie in its channel.
    peer.channel.peerEnded?.();
    const timer = this.#env.clock.after(LAST_WORDS_MS_MAX, () => peer.whenDrained?.());
    peer.whenDrained = () => {
      peer.whenDrained = null;
      timer.cancel();
      this.#lost(workerId, peer, death);
    };
  }

  #lost(workerId: WorkerId, peer: Peer | undefined, death: WorkerDeath): void {
    this.#deaths.set(workerId, death);
    forgetOldest(this.#deaths, DEATHS_REMEMBERED_MAX);
    // A lease or an actor there may be known already, and nothing sent yet: nothing is to be sent now.
    const lost = peer ?? new Peer(workerId);
    lost.isLost = true;
    this.#peers.delete(workerId);
    this.#env.lost(workerId, lost, death);
    lost.channel?.close();
  }

  close(): void {
    for (const peer of this.#peers.values()) peer.channel?.close();
  }
}
