import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { afterThis, Deque } from "../base/mod.ts";
import type { ChannelCloseReason } from "./channel.ts";
import { checkFrameBytes, FrameParser, GOODBYE, LENGTH_PREFIX_BYTES } from "./frame-parser.ts";
import type { ReadingSocket } from "./reading-socket.ts";

/** Frames of one turn are written together up to here; a larger one is a write of its own. */
const CHUNK_BYTES = 64 * 1024;
/** Beyond these, memory that nobody writes to is left to the garbage collector. */
const SPARE_CHUNKS_MAX = 8;
/** How long a closed socket may wait for the other side to have read everything. */
const LINGER_MS_MAX = 2000;

/** How long the end of a thread may wait for others to read what it has sent: for all of its sockets together. */
const LAST_WRITES_MS_MAX = 1000;
/** Between attempts to write to a socket that is full. */
const RETRY_MS = 1;

/** A thread may end in the middle of a turn, by `process.exit()`: what it has sent until then still goes out. */
const openSockets = new Set<(deadline: number) => void>();
process.on("exit", () => {
  const deadline = performance.now() + LAST_WRITES_MS_MAX;
  for (const writeLast of openSockets) writeLast(deadline);
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
    if (this.#chunkLength > 0 && !this.#isBusy() && !this.#hasEnded) this.#writeChunk();
  };
  /** What the stream was given last. It gets one thing at a time, so that it is known at any moment what the system has not taken. */
  #given: Buffer | null = null;
  #waiting = new Deque<Buffer>();
  /** This side has closed, and ends the stream when all is written. */
  #isClosing = false;
  readonly #written = (error?: Error | null): void => {
    if (error != null) return;
    const next = this.#waiting.shift();
    if (next !== undefined) this.#give(next);
    else if (this.#isClosing) this.#socket.end();
    else this.#flush();
  };
  readonly #writeLast = (deadline: number): void => this.#writeRest(deadline);

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
      openSockets.delete(this.#writeLast);
      this.#finish("lost", failure);
    });
    openSockets.add(this.#writeLast);
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
      this.#write(target);
    } else {
      this.#chunkLength = position;
      this.#scheduleFlush();
    }
    return true;
  }

  /** Writes at once what waits for the end of the turn; false if the system does not take it now. */
  flush(): boolean {
    this.#writeChunk();
    return !this.#hasEnded && !this.#isBusy();
  }

  /** Everything sent before still goes out, then the other side learns that this is an orderly end. */
  closeOrderly(): void {
    if (this.#hasEnded) return;
    const chunk = this.#chunkFor(LENGTH_PREFIX_BYTES);
    this.#chunkLength = chunk.writeUInt32LE(GOODBYE, this.#chunkLength);
    this.#writeChunk();
    this.#hasEnded = true;
    this.#parser.stop();
    this.#isClosing = true;
    if (!this.#isBusy()) this.#socket.end();
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
    if (written < byteLength) this.#write(chunk.subarray(written, byteLength));
    // What the system took at once is free for use again; else the socket still reads from it.
    if (!this.#isBusy() && spareChunks.length < SPARE_CHUNKS_MAX) spareChunks.push(chunk);
  }

  #isBusy(): boolean {
    return this.#waiting.length > 0 || this.#socket.writableLength > 0;
  }

  #write(bytes: Buffer): void {
    if (this.#isBusy()) this.#waiting.push(bytes);
    else this.#give(bytes);
  }

  #give(bytes: Buffer): void {
    this.#given = bytes;
    this.#socket.write(bytes, this.#written);
  }

  /** The event loop turns no more: waits for the system to take what was sent, which it does as fast as the other side reads. */
  #writeRest(deadline: number): void {
    const socket = this.#socket;
    const descriptor = descriptorOf(socket);
    if (descriptor < 0 || socket.connecting || (this.#hasEnded && !this.#isClosing)) return;
    const rest = this.#given !== null && socket.writableLength > 0 ? [this.#given.subarray(this.#given.length - unwrittenBytes(socket))] : [];
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) rest.push(next);
    if (this.#chunk !== null) rest.push(this.#chunk.subarray(0, this.#chunkLength));
    for (const bytes of rest) if (!writeUntil(deadline, descriptor, bytes)) return;
  }

  /**
   * What the system takes now goes past the stream, which takes several times as long as the write itself. It never waits, since Node's
   * sockets do not block; what is left, and why it failed, is for the stream.
   */
  #writeAtOnce(chunk: Buffer, byteLength: number): number {
    const socket = this.#socket;
    const descriptor = descriptorOf(socket);
    if (descriptor < 0 || socket.connecting || !socket.writable || this.#isBusy()) return 0;
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
    this.#waiting = new Deque();
    this.events?.end(reason, cause);
  }
}

/** Negative when it is closed, and on Windows; also for an encrypted one, whose descriptor takes and gives what only the stream can make and read. */
function descriptorOf(socket: Socket & { readonly encrypted?: boolean }): number {
  if (socket.encrypted === true) return -1;
  return (socket as Socket & { readonly _handle?: { readonly fd?: number } | null })._handle?.fd ?? -1;
}

/** Of what the stream was given, so much has the system not taken yet. */
function unwrittenBytes(socket: Socket): number {
  return (socket as Socket & { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle?.writeQueueSize ?? 0;
}

/** False if it was not all taken until then, or the connection is broken. */
function writeUntil(deadline: number, descriptor: number, bytes: Uint8Array): boolean {
  for (let written = 0; written < bytes.byteLength; ) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN" || performance.now() > deadline) return false;
      Atomics.wait(neverNotified, 0, 0, RETRY_MS);
    }
  }
  return true;
}

const neverNotified = new Int32Array(new SharedArrayBuffer(4));
