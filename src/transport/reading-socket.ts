import { connect, Socket, type ConnectOpts, type SocketConnectOpts } from "node:net";

/** The most that one read brings, as with Node's streams. */
const READ_BYTES = 64 * 1024;

interface OnRead {
  readonly buffer: Uint8Array;
  callback(byteLength: number, buffer: Uint8Array): boolean;
}

/**
 * One for all sockets of a thread: the system fills it only just before the bytes are told. On Windows it may do so at any time from the moment
 * that it is asked to read, so that each socket has its own there.
 */
let sharedMemory: ArrayBuffer | null = null;

function memoryToReadInto(): ArrayBuffer {
  if (process.platform === "win32") return new ArrayBuffer(READ_BYTES);
  return (sharedMemory ??= new ArrayBuffer(READ_BYTES));
}

/** What Node's sockets have, and its types do not name. */
interface SocketParts {
  _handle?: object | null;
}

/**
 * A socket whose bytes come in memory that is used again for each read. As a stream it would allocate 64 KiB for each, and take longer
 * from the event loop to the first promise that a message settles than the message itself takes.
 */
export class ReadingSocket {
  readonly socket: Socket;
  /** The bytes are valid during the call. To be set in the turn in which the socket connects or is accepted; may change at any time. */
  onBytes: ((bytes: Uint8Array) => void) | null = null;

  private constructor(open: (onread: OnRead) => Socket) {
    const memory = memoryToReadInto();
    this.socket = open({
      buffer: new Uint8Array(memory),
      callback: (byteLength) => {
        this.onBytes?.(new Uint8Array(memory, 0, byteLength));
        return true;
      },
    });
    // The end is only told to who has read everything.
    this.socket.resume();
  }

  static connect(where: SocketConnectOpts): ReadingSocket {
    return new ReadingSocket((onread) => connect({ ...where, onread } as SocketConnectOpts & ConnectOpts));
  }

  /**
   * Takes over a connection of a server's, in the event that brings it; `accepted` is of no use afterwards. Node has `onread` for sockets that
   * connect only: a server makes its own in the same way without it, from the handle. Where there is none to take, it stays a stream.
   */
  static accepted(accepted: Socket): ReadingSocket {
    return new ReadingSocket((onread) => {
      const parts = accepted as unknown as SocketParts;
      const handle = parts._handle;
      if (handle === undefined || handle === null) return asStream(accepted, onread);
      const taken = new Socket({ handle, onread } as object);
      if ((taken as unknown as SocketParts)._handle !== handle) return asStream(accepted, onread);
      parts._handle = null;
      // The server counts it until it hears of its end.
      accepted.destroy();
      return taken;
    });
  }
}

function asStream(socket: Socket, { callback, buffer }: OnRead): Socket {
  return socket.on("data", (chunk: Uint8Array) => {
    for (let at = 0; at < chunk.byteLength; at += buffer.byteLength) {
      const part = chunk.subarray(at, at + buffer.byteLength);
      buffer.set(part);
      callback(part.byteLength, buffer);
    }
  });
}
