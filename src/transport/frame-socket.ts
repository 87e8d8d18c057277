import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { afterThis } from "../base/mod.ts";
import type { ChannelCloseReason } from "./channel.ts";
import { checkFrameBytes, FrameParser, GOODBYE, LENGTH_PREFIX_BYTES } from "./frame-parser.ts";
import type { ReadingSocket } from "./reading-socket.ts";

/** Frames of one turn are written together up to here; a larger one is a write of its own. */
const CHUNK_BYTES = 64 * 1024;
/** Beyond these, memory that nobody writes to is left to the garbage collector. */
const SPARE_CHUNKS_MAX = 8;
/** How long a closed socket may wait for the other side to have read everything. */
const LINGER_MS_MAX = 2000;

/** A program may end in the middle of a turn, by `process.exit()`: what it has sent until then still goes out. */
const openSockets = new Set<() => void>();
process.on("exit", () => {
  for (const flush of openSockets) flush();
});

/** Of all sockets of a thread: one needs a chunk only from its first frame of a turn until the system has taken it. */
const spareChunks: Buffer[] = [];

export interface FrameSocketEvents {
  /** Something has been read; its frames follow. */
  bytes?(): void;
  frame(frame: Uint8Array, owned: boolean): void;
  /** Once, unless this side closed. `cause`: the socket's own error, if there was one. */
  end(reason: Exclude<ChannelCloseReason, "local">, cause: Error | undefined): void;
}

/** A connected socket as a sequence of frames. Its owner changes from the handshake to the channel: see `events`. */
export class FrameSocket {
  /** To be set before the event loop turns; may change at any time. */
  events: FrameSocketEvents | undefined;
  readonly #socket: Socket;
  readonly #parser: FrameParser;
  #hasEnded = false;
  /** What this turn has collected, null if nothing. While the socket is busy it goes on collecting. */
  #chunk: Buffer | null = null;
  #chunkLength = 0;
  #isFlushScheduled = false;
  readonly #flush = (): void => {
    this.#isFlushScheduled = false;
    if (this.#chunkLength > 0 && this.#socket.writableLength === 0 && !this.#hasEnded) this.#writeChunk();
  };

  constructor(reading: ReadingSocket, frameBytesMax: number) {
    const { socket } = reading;
    this.#socket = socket;
    this.#parser = new FrameParser(
      {
        frame: (frame, owned) => this.events?.frame(frame, owned),
        goodbye: () => {
          this.#finish("peer", undefined);
          socket.end();
          this.#linger();
        },
        malformed: () => {
          this.#finish("invalid", undefined);
          socket.destroy();
        },
      },
      frameBytesMax,
    );
    socket.setNoDelay(true);
    reading.onBytes = (bytes) => {
      this.events?.bytes?.();
      this.#parser.push(bytes);
    };
    let failure: Error | undefined;
    socket.on("error", (error) => {
      failure = error;
    });
    socket.on("end", () => this.#finish("lost", undefined));
    socket.on("close", () => {
      openSockets.delete(this.#flush);
      this.#finish("lost", failure);
    });
    openSockets.add(this.#flush);
    this.#readRestWhenWritesFail();
  }

  set frameBytesMax(byteLength: number) {
    this.#parser.frameBytesMax = byteLength;
  }

  send(frame: Uint8Array): boolean {
    const byteLength = frame.byteLength;
    if (this.#hasEnded) return false;
    if (LENGTH_PREFIX_BYTES + byteLength > CHUNK_BYTES) return this.sendParts([frame]);
    const chunk = this.#chunkFor(LENGTH_PREFIX_BYTES + byteLength);
    chunk.writeUInt32LE(byteLength, this.#chunkLength);
    chunk.set(frame, this.#chunkLength + LENGTH_PREFIX_BYTES);
    this.#chunkLength += LENGTH_PREFIX_BYTES + byteLength;
    this.#scheduleFlush();
    return true;
  }

  sendParts(parts: readonly Uint8Array[]): boolean {
    if (this.#hasEnded) return false;
    let byteLength = 0;
    for (const part of parts) byteLength += part.byteLength;
    checkFrameBytes(byteLength);
    const recordBytes = LENGTH_PREFIX_BYTES + byteLength;
    const isLarge = recordBytes > CHUNK_BYTES;
    if (isLarge) this.#writeChunk();
    // A copy even of large parts: the system may take them only later, and the sender may change them meanwhile.
    const target = isLarge ? Buffer.allocUnsafeSlow(recordBytes) : this.#chunkFor(recordBytes);
    let position = isLarge ? 0 : this.#chunkLength;
    position = target.writeUInt32LE(byteLength, position);
    for (const part of parts) {
      target.set(part, position);
      position += part.byteLength;
    }
    if (isLarge) {
      // What is collected while the system has not taken all of this goes when it has.
      this.#socket.write(target, this.#flush);
    } else {
      this.#chunkLength = position;
      this.#scheduleFlush();
    }
    return true;
  }

  /** Writes at once what waits for the end of the turn; false if the system does not take it now. */
  flush(): boolean {
    this.#writeChunk();
    return !this.#hasEnded && this.#socket.writableLength === 0;
  }

  /** Everything sent before still goes out, then the other side learns that this is an orderly end. */
  closeOrderly(): void {
    if (this.#hasEnded) return;
    const chunk = this.#chunkFor(LENGTH_PREFIX_BYTES);
    this.#chunkLength = chunk.writeUInt32LE(GOODBYE, this.#chunkLength);
    this.#writeChunk();
    this.#hasEnded = true;
    this.#parser.stop();
    this.#socket.end();
    this.#linger();
  }

  /** Without a word. */
  destroy(): void {
    this.#hasEnded = true;
    this.#parser.stop();
    this.#socket.destroy();
  }

  /** As if the connection had broken. */
  fail(): void {
    this.#finish("lost", undefined);
    this.#socket.destroy();
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  /**
   * A write to a side that has died fails, for which Node destroys the socket at once, together with what that side had
   * sent before and the system still holds. That is read first, which only works past the stream: it is over for Node.
   */
  #readRestWhenWritesFail(): void {
    const socket = this.#socket;
    const destroy = socket.destroy.bind(socket);
    socket.destroy = (error) => {
      const descriptor = descriptorOf(socket);
      if ((error as NodeJS.ErrnoException | undefined)?.syscall === "write" && descriptor >= 0 && !this.#hasEnded) {
        const rest = Buffer.allocUnsafeSlow(CHUNK_BYTES);
        try {
          for (let length = -1; length !== 0; ) {
            length = readSync(descriptor, rest);
            this.#parser.push(rest.subarray(0, length));
          }
        } catch {
          // Nothing more is there, or the connection was reset.
        }
      }
      return destroy(error);
    };
  }

  /** With room for so many more bytes, after those that it has. */
  #chunkFor(byteLength: number): Buffer {
    if (this.#chunkLength + byteLength > CHUNK_BYTES) this.#writeChunk();
    return (this.#chunk ??= spareChunks.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES));
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    afterThis(this.#flush);
  }

  #writeChunk(): void {
    const chunk = this.#chunk;
    if (chunk === null) return;
    const byteLength = this.#chunkLength;
    this.#chunk = null;
    this.#chunkLength = 0;
    const written = this.#writeAtOnce(chunk, byteLength);
    if (written < byteLength) this.#socket.write(chunk.subarray(written, byteLength), this.#flush);
    // What the system took at once is free for use again; else the socket still reads from it.
    if (this.#socket.writableLength === 0 && spareChunks.length < SPARE_CHUNKS_MAX) spareChunks.push(chunk);
  }

  /**
   * What the system takes now goes past the stream, which takes several times as long as the write itself. It never waits, since Node's
   * sockets do not block; what is left, and why it failed, is for the stream.
   */
  #writeAtOnce(chunk: Buffer, byteLength: number): number {
    const socket = this.#socket;
    const descriptor = descriptorOf(socket);
    if (descriptor < 0 || socket.connecting || !socket.writable || socket.writableLength > 0) return 0;
    try {
      return writeSync(descriptor, chunk, 0, byteLength);
    } catch {
      return 0;
    }
  }

  #linger(): void {
    this.#socket.unref();
    const timer = setTimeout(() => this.#socket.destroy(), LINGER_MS_MAX);
    timer.unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  #finish(reason: Exclude<ChannelCloseReason, "local">, cause: Error | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.events?.end(reason, cause);
  }
}

/** Negative when it is closed, and on Windows; also for an encrypted one, whose descriptor takes and gives what only the stream can make and read. */
function descriptorOf(socket: Socket & { readonly encrypted?: boolean }): number {
  if (socket.encrypted === true) return -1;
  return (socket as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
}
