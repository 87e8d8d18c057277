import { connect, type Socket } from "node:net";
import { listenFor, nameOf, type SocketAddress, type SocketListener, type SocketOptions } from "./socket-channel.ts";
import type { FrameSocketEvents } from "./frame-socket.ts";
import type { ReadingSocket } from "./reading-socket.ts";
import { introduce } from "./socket-introduction.ts";
import { HANDSHAKE_FRAME_BYTES_MAX } from "./socket-handshake.ts";
import type { TransportError } from "./transport-error.ts";

/**
 * A record: u32 bytes of the frame, u32 bytes of the bulk, the frame, the bulk. Frames are small and say what the bulk is; bulk is
 * read straight to where it belongs, and written from where it lies.
 */
const PREFIX_BYTES = 8;
/** Of one frame; more is taken for garbage. */
export const BULK_FRAME_BYTES_MAX = 64 * 1024;
/** What is read while no bulk is expected: a few frames, and little of the bulk behind them, which has to be copied. */
const SCRATCH_BYTES = 16 * 1024;

export interface BulkSocketEvents {
  /**
   * The frame is valid during the call. `bulkBytes` follow: answers the memory that they go to, exactly as long, or null to drop
   * them. Until `bulkRead` or the end of the socket it may be written to.
   */
  frame(frame: Uint8Array, bulkBytes: number): Uint8Array | null;
  /** All bulk of the last frame has come, and was written or dropped. */
  bulkRead(): void;
  /** Some of it has. */
  progress(): void;
  /** Once, unless this side closed; nothing is read or written any more. */
  end(error: Error | undefined): void;
}

/** A connected socket for records of small frames and large pieces of memory. */
export class BulkSocket {
  readonly peerId: string;
  readonly #frames: BulkFrames;

  constructor(frames: BulkFrames, peerId: string, events: (socket: BulkSocket) => BulkSocketEvents) {
    this.peerId = peerId;
    this.#frames = frames;
    frames.bulkEvents = events(this);
  }

  send(frame: Uint8Array): void {
    this.#frames.send(frame);
  }

  /** Neither is copied: `bulk` must not change until `written` is called, which it is in any case. */
  sendBulk(frame: Uint8Array, bulk: Uint8Array, written: () => void): void {
    this.#frames.sendBulk(frame, bulk, written);
  }

  /** Without a word. Nothing is written to memory that was handed to it afterwards. */
  destroy(): void {
    this.#frames.destroy();
  }

  ref(): void {
    this.#frames.socket.ref();
  }

  unref(): void {
    this.#frames.socket.unref();
  }
}

/** Cuts what comes into frames and bulk; serves the handshake first. */
class BulkFrames {
  events: FrameSocketEvents | undefined;
  bulkEvents: BulkSocketEvents | undefined;
  readonly socket: Socket;
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  /** The beginning of a record, up to the end of its frame. */
  #carry = new Uint8Array(PREFIX_BYTES + HANDSHAKE_FRAME_BYTES_MAX);
  #carryLength = 0;
  #bulkLeft = 0;
  #target: Uint8Array | null = null;
  #inPlace: Uint8Array | null = null;
  #pending: Uint8Array[] = [];
  #hasEnded = false;
  #frameBytesMax = HANDSHAKE_FRAME_BYTES_MAX;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    let failure: Error | undefined;
    socket.on("error", (error) => { failure = error; });
    socket.on("end", () => this.#end(undefined));
    socket.on("close", () => this.#end(failure));
  }

  get frameBytesMax(): number {
    return this.#frameBytesMax;
  }
  /** The handshake raises it. */
  set frameBytesMax(byteLength: number) {
    this.#frameBytesMax = Math.min(byteLength, BULK_FRAME_BYTES_MAX);
  }

  /** Where the next bytes are to be read to. */
  nextBuffer(): Uint8Array {
    if (this.#bulkLeft === 0 || this.#target === null) return this.#scratch;
    return (this.#inPlace = this.#target.subarray(this.#target.byteLength - this.#bulkLeft));
  }

  /** So many bytes have been read into what `nextBuffer` answered last. */
  hasRead(byteLength: number, buffer: Uint8Array): void {
    if (buffer === this.#inPlace) this.#bulkCame(byteLength);
    else this.push(buffer.subarray(0, byteLength));
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.byteLength && !this.#hasEnded) {
      if (this.#bulkLeft > 0) {
        const length = Math.min(this.#bulkLeft, chunk.byteLength - offset);
        this.#target?.set(chunk.subarray(offset, offset + length), this.#target.byteLength - this.#bulkLeft);
        offset += length;
        this.#bulkCame(length);
      } else {
        offset += this.#frameCame(chunk.subarray(offset));
      }
    }
  }

  #bulkCame(byteLength: number): void {
    this.#bulkLeft -= byteLength;
    this.bulkEvents?.progress();
    if (this.#bulkLeft > 0) return;
    this.#target = null;
    this.bulkEvents?.bulkRead();
  }

  /** Answers how many bytes it has taken. */
  #frameCame(chunk: Uint8Array): number {
    const wanted = this.#carryLength < PREFIX_BYTES ? PREFIX_BYTES : PREFIX_BYTES + this.#lengthAt(0);
    const length = Math.min(wanted - this.#carryLength, chunk.byteLength);
    this.#carry.set(chunk.subarray(0, length), this.#carryLength);
    this.#carryLength += length;
    if (this.#carryLength < PREFIX_BYTES) return length;
    const frameBytes = this.#lengthAt(0);
    if (frameBytes > this.#frameBytesMax || frameBytes === 0) {
      this.#fail("invalid");
    } else if (this.#carryLength === PREFIX_BYTES + frameBytes) {
      this.#carryLength = 0;
      this.#record(this.#carry.subarray(PREFIX_BYTES, PREFIX_BYTES + frameBytes), this.#lengthAt(PREFIX_BYTES / 2));
    } else if (this.#carry.byteLength < PREFIX_BYTES + frameBytes) {
      const larger = new Uint8Array(PREFIX_BYTES + BULK_FRAME_BYTES_MAX);
      larger.set(this.#carry.subarray(0, this.#carryLength));
      this.#carry = larger;
    }
    return length;
  }

  #lengthAt(at: number): number {
    return new DataView(this.#carry.buffer).getUint32(at, true);
  }

  #record(frame: Uint8Array, bulkBytes: number): void {
    if (this.bulkEvents === undefined) {
      if (bulkBytes > 0) return this.#fail("invalid");
      return this.events?.frame(frame, false);
    }
    const target = this.bulkEvents.frame(frame, bulkBytes);
    if (bulkBytes === 0 || this.#hasEnded) return;
    this.#bulkLeft = bulkBytes;
    this.#target = target?.byteLength === bulkBytes ? target : null;
  }

  send(frame: Uint8Array): void {
    if (this.#hasEnded) return;
    if (this.#pending.length === 0) queueMicrotask(() => this.#flush());
    this.#pending.push(prefixed(frame, 0));
  }

  sendBulk(frame: Uint8Array, bulk: Uint8Array, written: () => void): void {
    if (this.#hasEnded) return void queueMicrotask(written);
    this.#flush();
    this.socket.cork();
    this.socket.write(prefixed(frame, bulk.byteLength));
    this.socket.write(bulk, () => written());
    this.socket.uncork();
  }

  #flush(): void {
    const frames = this.#pending;
    this.#pending = [];
    if (frames.length > 0 && !this.#hasEnded) this.socket.write(frames.length === 1 ? (frames[0] as Uint8Array) : Buffer.concat(frames));
  }

  closeOrderly(): void {
    this.#flush();
    this.#hasEnded = true;
    this.socket.end();
  }

  destroy(): void {
    this.#hasEnded = true;
    this.socket.destroy();
  }

  #fail(reason: "invalid"): void {
    const { events } = this;
    const isIntroduced = this.bulkEvents !== undefined;
    if (isIntroduced) this.#end(new Error("the other side sent something that is no record of mantaray"));
    this.destroy();
    if (!isIntroduced) events?.end(reason, undefined);
  }

  #end(failure: Error | undefined): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.socket.destroy();
    if (this.bulkEvents === undefined) this.events?.end("lost", failure);
    else this.bulkEvents.end(failure);
  }
}

function prefixed(frame: Uint8Array, bulkBytes: number): Uint8Array {
  const record = Buffer.allocUnsafe(PREFIX_BYTES + frame.byteLength);
  record.writeUInt32LE(frame.byteLength, 0);
  record.writeUInt32LE(bulkBytes, PREFIX_BYTES / 2);
  record.set(frame, PREFIX_BYTES);
  return record;
}

export interface BulkOptions extends SocketOptions {
  /** What to do with what comes, set before anything can. */
  readonly events: (socket: BulkSocket) => BulkSocketEvents;
}

export interface BulkListenOptions extends BulkOptions {
  /** Somebody connected who was not let in. */
  readonly onRefused?: (error: TransportError) => void;
}

/** The side that reads bulk in place. Rejects with TransportError. */
export async function connectBulk(where: SocketAddress, options: BulkOptions): Promise<BulkSocket> {
  let frames: BulkFrames | undefined;
  const early = new Uint8Array(SCRATCH_BYTES);
  const socket = connect({
    ...where,
    onread: {
      buffer: () => frames?.nextBuffer() ?? early,
      callback: (byteLength: number, buffer: Uint8Array) => {
        frames?.hasRead(byteLength, buffer);
        return true;
      },
    },
  });
  frames = new BulkFrames(socket);
  const made = frames;
  const bulk = await introduce(socket, "connecting", options, nameOf(where), () => made, (_, peerId) => new BulkSocket(made, peerId, options.events));
  bulk.unref();
  return bulk;
}

export function listenBulk(where: SocketAddress, options: BulkListenOptions): Promise<SocketListener> {
  const framesOf = (accepted: ReadingSocket): BulkFrames => {
    const frames = new BulkFrames(accepted.socket);
    accepted.onBytes = (bytes) => frames.push(bytes);
    return frames;
  };
  return listenFor(where, (accepted) =>
    introduce(accepted.socket, "listening", options, nameOf(where), () => framesOf(accepted), (frames, peerId) => new BulkSocket(frames, peerId, options.events)).then(
      () => undefined,
      (error: TransportError) => options.onRefused?.(error),
    ));
}
