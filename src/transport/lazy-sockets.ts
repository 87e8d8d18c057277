import type { BulkListenOptions, BulkOptions, BulkSocket } from "./bulk-socket.ts";
import type { Channel } from "./channel.ts";
import type { ListenOptions, SocketAddress, SocketListener, SocketOptions } from "./socket-channel.ts";

// Sockets are loaded with the first one: node:net and node:crypto take 12 ms of a thread's start, and most threads need neither.

/** Opens a channel to a listener. Throws TransportError. */
export async function connectSocket(where: SocketAddress, options: SocketOptions): Promise<Channel> {
  return (await import("./socket-channel.ts")).connectSocket(where, options);
}

/** Accepts channels at an address. Throws TransportError. */
export async function listenSocket(where: SocketAddress, options: ListenOptions): Promise<SocketListener> {
  return (await import("./socket-channel.ts")).listenSocket(where, options);
}

/** Opens a socket for bulk to a listener for it: this side reads bulk in place. Throws TransportError. */
export async function connectBulk(where: SocketAddress, options: BulkOptions): Promise<BulkSocket> {
  return (await import("./bulk-socket.ts")).connectBulk(where, options);
}

/** Accepts sockets for bulk at an address. Throws TransportError. */
export async function listenBulk(where: SocketAddress, options: BulkListenOptions): Promise<SocketListener> {
  return (await import("./bulk-socket.ts")).listenBulk(where, options);
}
