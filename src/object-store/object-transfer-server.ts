import { Deque, type NodeKey } from "../base/mod.ts";
import { packMessage, unpackMessage } from "../clients/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";
import { type BulkSocket, type BulkSocketEvents, listenBulk, type SocketListener } from "../transport/mod.ts";
import type { ToHolder, ToReceiver } from "./transfer-messages.ts";

/** Chunks of one socket that the system has been given and not taken yet; the rest waits here, where it can be cancelled. */
const WRITES_AT_ONCE_MAX = 2;

export interface TransferServerEvents {
  onMessage(peer: number, node: NodeKey, message: ToHolder): void;
  peerLost(peer: number): void;
}

interface Writing {
  readonly requestId: number;
  readonly bytes: Uint8Array;
  readonly done: () => void;
}

interface Peer {
  readonly socket: BulkSocket;
  readonly queue: Deque<Writing>;
  writes: number;
}

/** Where other nodes get objects from this one: takes their requests, and writes chunks straight from where they lie. */
export class ObjectTransferServer {
  /** Who carries out what is asked for. Until then nobody can know of an object here, and what comes is not for us. */
  events: TransferServerEvents | null = null;
  #listener: SocketListener | null = null;
  readonly #peers = new Map<number, Peer>();
  #peerCount = 0;
  #writes = 0;
  #quiet: (() => void) | null = null;

  private constructor() {}

  /** Listens on a port that is free. @throws TransportError. */
  static async open({ host, nodeKey, token }: { readonly host: string; readonly nodeKey: NodeKey; readonly token: string }): Promise<ObjectTransferServer> {
    const server = new ObjectTransferServer();
    server.#listener = await listenBulk({ host, port: 0 }, { workerId: nodeKey, token, events: (socket) => server.#serve(socket) });
    return server;
  }

  /** For other nodes. */
  get address(): NetworkAddress {
    return this.#listener?.address as NetworkAddress;
  }

  #serve(socket: BulkSocket): BulkSocketEvents {
    const number = ++this.#peerCount;
    const peer: Peer = { socket, queue: new Deque(), writes: 0 };
    this.#peers.set(number, peer);
    return {
      frame: (frame) => {
        this.events?.onMessage(number, socket.peerId, unpackMessage(frame) as ToHolder);
        return null;
      },
      bulkRead: () => undefined,
      progress: () => undefined,
      end: () => this.#lost(number, peer),
    };
  }

  #lost(number: number, peer: Peer): void {
    if (!this.#peers.delete(number)) return;
    for (const { done } of peer.queue.removeWhere(() => true)) done();
    this.events?.peerLost(number);
  }

  send(peer: number, message: ToReceiver): void {
    this.#peers.get(peer)?.socket.send(packMessage(message));
  }

  /** Over whichever connection of that node there is. */
  sendToNode(node: NodeKey, message: ToReceiver): void {
    for (const { socket } of this.#peers.values()) if (socket.peerId === node) return socket.send(packMessage(message));
  }

  /** `done` when the memory is not read any more, sent or not. */
  sendBytes(peer: number, requestId: number, bytes: Uint8Array, done: () => void): void {
    const to = this.#peers.get(peer);
    if (to === undefined) return queueMicrotask(done);
    to.queue.push({ requestId, bytes, done });
    this.#write(to);
  }

  #write(peer: Peer): void {
    while (peer.writes < WRITES_AT_ONCE_MAX) {
      const next = peer.queue.shift();
      if (next === undefined) return;
      peer.writes++;
      this.#writes++;
      peer.socket.sendBulk(packMessage({ type: "bytes", requestId: next.requestId } satisfies ToReceiver), next.bytes, () => {
        peer.writes--;
        next.done();
        if (--this.#writes === 0) this.#quiet?.();
        this.#write(peer);
      });
    }
  }

  /** If it is not on its way already. */
  cancel(peer: number, requestId: number): void {
    for (const { done } of this.#peers.get(peer)?.queue.removeWhere((each) => each.requestId === requestId) ?? []) done();
  }

  /** Resolves when no memory is read any more. */
  async close(): Promise<void> {
    this.#listener?.close();
    for (const [number, peer] of [...this.#peers]) {
      peer.socket.destroy();
      this.#lost(number, peer);
    }
    if (this.#writes > 0) await new Promise<void>((resolve) => { this.#quiet = resolve; });
  }
}
