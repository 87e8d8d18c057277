import type { NodeKey } from "../base/mod.ts";
import { packMessage, unpackMessage } from "../clients/mod.ts";
import type { NetworkAddress } from "../protocol/mod.ts";
import { type BulkSocket, connectBulk } from "../transport/mod.ts";
import type { ToHolder, ToReceiver } from "./transfer-messages.ts";

/** The first socket to a node is for what is small, the second for chunks of large objects, which the former do not wait for. */
export type Lane = 0 | 1;
const LANES: readonly Lane[] = [0, 1];

export interface TransferClientEnvironment {
  readonly nodeKey: NodeKey;
  readonly token: string;
  /** Where that node's `ObjectTransferServer` listens. */
  addressOf(node: NodeKey): Promise<NetworkAddress>;
  onMessage(node: NodeKey, message: Exclude<ToReceiver, { readonly type: "bytes" }>): void;
  /** Where the bytes of a chunk go; null: nowhere, the request was cancelled. */
  target(requestId: number, byteLength: number): Uint8Array | null;
  received(requestId: number): void;
  progressed(node: NodeKey): void;
  /** The connection has broken, or could not be made: nothing that was sent there will be answered. */
  unreachable(node: NodeKey): void;
}

interface Connection {
  readonly sockets: (BulkSocket | null)[];
  /** What was to be sent before the sockets were there. */
  readonly waiting: [Lane, ToHolder][];
  /** By lane: the chunk whose bytes are being read into memory. */
  readonly reading: (number | null)[];
}

/** The connections of one node to those that it gets objects from. Made when needed, and kept. */
export class ObjectTransferClient {
  readonly #env: TransferClientEnvironment;
  readonly #connections = new Map<NodeKey, Connection>();

  constructor(environment: TransferClientEnvironment) {
    this.#env = environment;
  }

  isConnected(node: NodeKey): boolean {
    return this.#connections.has(node);
  }

  send(node: NodeKey, lane: Lane, message: ToHolder): void {
    const connection = this.#connections.get(node) ?? this.#open(node);
    const socket = connection.sockets[lane];
    if (socket == null) connection.waiting.push([lane, message]);
    else socket.send(packMessage(message));
  }

  #open(node: NodeKey): Connection {
    const connection: Connection = { sockets: [null, null], waiting: [], reading: [null, null] };
    this.#connections.set(node, connection);
    void this.#connect(node, connection).catch(() => this.#lost(node, connection));
    return connection;
  }

  async #connect(node: NodeKey, connection: Connection): Promise<void> {
    const address = await this.#env.addressOf(node);
    await Promise.all(LANES.map(async (lane) => {
      const socket = await connectBulk(address, {
        workerId: this.#env.nodeKey, token: this.#env.token,
        events: () => ({
          frame: (frame, bulkBytes) => this.#frame(node, connection, lane, unpackMessage(frame) as ToReceiver, bulkBytes),
          bulkRead: () => {
            const requestId = connection.reading[lane] as number | null;
            connection.reading[lane] = null;
            if (requestId !== null) this.#env.received(requestId);
          },
          progress: () => this.#env.progressed(node),
          end: () => this.#lost(node, connection),
        }),
      });
      connection.sockets[lane] = socket;
      if (this.#connections.get(node) !== connection || socket.peerId !== node) {
        socket.destroy();
        throw new Error(`another node answered in place of ${node}`);
      }
    }));
    for (const [lane, message] of connection.waiting.splice(0)) connection.sockets[lane]?.send(packMessage(message));
  }

  #frame(node: NodeKey, connection: Connection, lane: Lane, message: ToReceiver, bulkBytes: number): Uint8Array | null {
    if (message.type !== "bytes") {
      this.#env.onMessage(node, message);
      return null;
    }
    const target = this.#env.target(message.requestId, bulkBytes);
    connection.reading[lane] = target === null ? null : message.requestId;
    return target;
  }

  /** Whether bytes of this chunk are being read into memory, which only the end of the connection could stop. */
  isReading(node: NodeKey, requestId: number): boolean {
    return this.#connections.get(node)?.reading.includes(requestId) === true;
  }

  disconnect(node: NodeKey): void {
    const connection = this.#connections.get(node);
    if (connection !== undefined) this.#lost(node, connection);
  }

  #lost(node: NodeKey, connection: Connection): void {
    for (const socket of connection.sockets) socket?.destroy();
    if (this.#connections.get(node) !== connection) return;
    this.#connections.delete(node);
    this.#env.unreachable(node);
  }

  /** Nothing is written to memory afterwards, and nothing told. */
  close(): void {
    const connections = [...this.#connections.values()];
    this.#connections.clear();
    for (const { sockets } of connections) for (const socket of sockets) socket?.destroy();
  }
}
