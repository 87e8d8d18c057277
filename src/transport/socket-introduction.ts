import type { Socket } from "node:net";
import { PROTOCOL_VERSION } from "../protocol/mod.ts";
import type { LoopSpinner } from "./loop-spinner.ts";
import { type HandshakeFrames, type HandshakeRole, shakeHands } from "./socket-handshake.ts";
import { TransportError } from "./transport-error.ts";

export interface SocketOptions {
  /** Of this side, whatever it is: the other side learns it. */
  readonly workerId: string;
  /** The session's secret: who does not know it is refused. */
  readonly token: string;
  /** For connecting and the handshake together. */
  readonly timeoutMs?: number;
  readonly protocolVersion?: number;
  /** The other side's system has the connection; whether anybody there has time for it is not known yet. */
  readonly onConnected?: () => void;
  /** The thread's, where answers through this socket are waited for. */
  readonly spinner?: LoopSpinner;
}

/** From the first attempt to connect to the end of the handshake. */
const HANDSHAKE_TIMEOUT_MS_DEFAULT = 10_000;

/** From a socket that is connecting, or was accepted, to what `open` makes of it once both sides have proven themselves. */
export async function introduce<F extends HandshakeFrames, T>(
  socket: Socket,
  role: HandshakeRole,
  options: SocketOptions,
  where: string,
  framesOf: () => F,
  open: (frames: F, peerId: string) => T,
): Promise<T> {
  const { workerId, token, protocolVersion = PROTOCOL_VERSION, timeoutMs = HANDSHAKE_TIMEOUT_MS_DEFAULT } = options;
  const timeout = new TransportError("ERR_MANTARAY_CONNECT_TIMEOUT", `The other side of ${where} did not finish the handshake within ${timeoutMs} ms.`);
  const timer = setTimeout(() => socket.destroy(timeout), timeoutMs);
  if (role === "listening") timer.unref();
  try {
    if (role === "connecting") {
      await connected(socket, where);
      options.onConnected?.();
    }
    const frames = framesOf();
    return await shakeHands(frames, role, { workerId, token, protocolVersion }, where, (peerId) => open(frames, peerId));
  } catch (error) {
    throw (error as Error).cause === timeout ? timeout : error;
  } finally {
    clearTimeout(timer);
  }
}

function connected(socket: Socket, where: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error): void => {
      reject(new TransportError("ERR_MANTARAY_CONNECT_FAILED", `Cannot connect to ${where}: ${cause.message}. Its process may have ended.`, { cause }));
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      socket.off("error", onError);
      resolve();
    });
  });
}
