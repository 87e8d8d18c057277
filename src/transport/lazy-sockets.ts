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
