import { chmodSync } from "node:fs";
import { createServer, type AddressInfo, type Socket } from "node:net";
import type { Channel, CloseHandler, FrameHandler } from "./channel.ts";
import { FrameDelivery } from "./frame-delivery.ts";
import { FrameSocket } from "./frame-socket.ts";
import type { LoopSpinner } from "./loop-spinner.ts";
import { ReadingSocket } from "./reading-socket.ts";
import { HANDSHAKE_FRAME_BYTES_MAX } from "./socket-handshake.ts";
import type { HandshakeRole } from "./socket-handshake.ts";
import { introduce, type SocketOptions } from "./socket-introduction.ts";
import { TransportError } from "./transport-error.ts";

/** A unix domain socket (on Windows a named pipe), or TCP. Port 0: any that is free. */
export type SocketAddress = { readonly path: string } | { readonly host: string; readonly port: number };

export type { SocketOptions };

export interface ListenOptions extends SocketOptions {
  /** Handlers set within this call miss nothing. */
  readonly onChannel: (channel: Channel) => void;
  /** Somebody connected who was not let in. */
  readonly onRefused?: (error: TransportError) => void;
}
export interface SocketListener {
  readonly address: SocketAddress;
  /** Accepts no more, removes the file of a path. Open channels stay. */
  close(): void;
}

/** The longest path that fits into the system's address: 108 bytes on Linux, 104 on macOS, with the zero at the end. */
const PATH_BYTES_MAX = process.platform === "darwin" ? 103 : 107;
const OWNER_ONLY = 0o600;

export function listenSocket(where: SocketAddress, options: ListenOptions): Promise<SocketListener> {
  return listenFor(where, (accepted) => openChannel(accepted, "listening", options, nameOf(where)).then(options.onChannel, (error: TransportError) => options.onRefused?.(error)));
}

/** `introduced` never rejects. */
export async function listenFor(where: SocketAddress, introduced: (accepted: ReadingSocket) => Promise<void>): Promise<SocketListener> {
  checkPath(where);
  const newcomers = new Set<Socket>();
  const server = createServer((newcomer) => {
    const accepted = ReadingSocket.accepted(newcomer);
    const { socket } = accepted;
    socket.unref();
    newcomers.add(socket);
    void introduced(accepted).finally(() => newcomers.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      reject(new TransportError("ERR_MANTARAY_LISTEN_FAILED", `Cannot listen on ${nameOf(where)}: ${cause.message}.`, { cause }));
    });
    server.listen("path" in where ? { path: where.path } : { host: where.host, port: where.port }, resolve);
  });
  server.unref();
  if ("path" in where && process.platform !== "win32") chmodSync(where.path, OWNER_ONLY);
  return {
    address: "path" in where ? where : { host: where.host, port: (server.address() as AddressInfo).port },
    close: () => {
      for (const socket of newcomers) socket.destroy();
      // Not `close`'s callback: it waits for the open connections, which are their channels' own matter.
      server.close();
    },
  };
}

export async function connectSocket(where: SocketAddress, options: SocketOptions): Promise<Channel> {
  checkPath(where);
  const connecting = ReadingSocket.connect("path" in where ? { path: where.path } : { host: where.host, port: where.port });
  const channel = await openChannel(connecting, "connecting", options, nameOf(where));
  channel.unref();
  return channel;
}

function openChannel(reading: ReadingSocket, role: HandshakeRole, options: SocketOptions, where: string): Promise<Channel> {
  const frames = (): FrameSocket => new FrameSocket(reading, HANDSHAKE_FRAME_BYTES_MAX);
  return introduce(reading.socket, role, options, where, frames, (socketFrames, peerId) => new SocketChannel(socketFrames, peerId, options.spinner));
}

function checkPath(where: SocketAddress): void {
  if (!("path" in where) || process.platform === "win32") return;
  const byteLength = Buffer.byteLength(where.path);
  if (byteLength <= PATH_BYTES_MAX) return;
  throw new TransportError(
    "ERR_MANTARAY_LISTEN_FAILED",
    `The path of the socket ${where.path} has ${byteLength} bytes; the system allows ${PATH_BYTES_MAX}. Use a shorter directory, for example through the environment variable TMPDIR.`,
  );
}

export function nameOf(where: SocketAddress): string {
  return "path" in where ? `the socket ${where.path}` : `the TCP port ${where.host}:${where.port}`;
}

class SocketChannel implements Channel {
  readonly peerId: string;
  readonly #frames: FrameSocket;
  readonly #delivery = new FrameDelivery();

  constructor(frames: FrameSocket, peerId: string, spinner: LoopSpinner | undefined) {
    this.peerId = peerId;
    this.#frames = frames;
    frames.events = {
      bytes: () => spinner?.arrived(),
      frame: (frame, owned) => this.#delivery.push(frame, owned),
      end: (reason) => this.#delivery.close(reason),
    };
  }

  get isClosed(): boolean {
    return this.#delivery.closeReason !== undefined;
  }

  send(frame: Uint8Array): boolean {
    return this.#frames.send(frame);
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    return this.#frames.sendParts(parts);
  }

  flush(): boolean {
    return this.#frames.flush();
  }

  onFrame(handler: FrameHandler): void {
    this.#delivery.onFrame(handler);
  }

  onClose(handler: CloseHandler): void {
    this.#delivery.onClose(handler);
  }

  close(): void {
    if (this.isClosed) return;
    this.#frames.closeOrderly();
    this.#delivery.close("local");
  }

  ref(): void {
    this.#frames.ref();
  }

  unref(): void {
    this.#frames.unref();
  }
}
