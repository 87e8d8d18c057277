import { TransportError } from "./transport-error.ts";

/** Before each frame on a socket: its number of bytes, or the sign that the sender closes in good order. */
export const LENGTH_PREFIX_BYTES = 4;
export const GOODBYE = 0xffff_ffff;
/** The most that one frame on a socket may have. Beyond it the bytes are taken for garbage and the connection ends. */
export const SOCKET_FRAME_BYTES_MAX = 1024 * 1024 * 1024;

/** A frame that is split over chunks is collected in memory used again up to this size, above in memory of its own. */
const CARRIED_FRAME_BYTES_MAX = 32 * 1024;

export interface FrameParserEvents {
  frame(frame: Uint8Array, owned: boolean): void;
  goodbye(): void;
  /** The length cannot be one of ours. Nothing follows. */
  malformed(frameBytes: number): void;
}

/** Cuts a stream of chunks into frames. A frame that lies within one chunk is handed on without a copy. */
export class FrameParser {
  /** May change between frames. */
  frameBytesMax: number;
  readonly #events: FrameParserEvents;
  #isStopped = false;
  /** The beginning of a frame, prefix included. Made for the first one that is split: on most connections there is none. */
  #carry = new Uint8Array(0);
  #carryLength = 0;
  #large: Uint8Array | undefined;
  #largeLength = 0;

  constructor(events: FrameParserEvents, frameBytesMax: number) {
    this.#events = events;
    this.frameBytesMax = frameBytesMax;
  }

  /** Ignores everything from here on; also from within an event. */
  stop(): void {
    this.#isStopped = true;
    this.#large = undefined;
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.byteLength && !this.#isStopped) {
      if (this.#large !== undefined) offset = this.#continueLarge(this.#large, chunk, offset);
      else if (this.#carryLength > 0) offset = this.#continueCarried(chunk, offset);
      else offset = this.#beginFrame(chunk, offset);
    }
  }

  #beginFrame(chunk: Uint8Array, offset: number): number {
    const available = chunk.byteLength - offset;
    if (available < LENGTH_PREFIX_BYTES) return this.#carryRest(chunk, offset);
    const frameBytes = prefixAt(chunk, offset);
    if (!this.#accepts(frameBytes)) return chunk.byteLength;
    const start = offset + LENGTH_PREFIX_BYTES;
    const end = start + frameBytes;
    if (end <= chunk.byteLength) {
      this.#events.frame(new Uint8Array(chunk.buffer, chunk.byteOffset + start, frameBytes), false);
      return end;
    }
    if (frameBytes <= CARRIED_FRAME_BYTES_MAX) return this.#carryRest(chunk, offset);
    return this.#beginLarge(frameBytes, chunk, start);
  }

  #carryRest(chunk: Uint8Array, offset: number): number {
    if (this.#carry.byteLength === 0) this.#carry = new Uint8Array(LENGTH_PREFIX_BYTES + CARRIED_FRAME_BYTES_MAX);
    this.#carry.set(chunk.subarray(offset), 0);
    this.#carryLength = chunk.byteLength - offset;
    return chunk.byteLength;
  }

  #continueCarried(chunk: Uint8Array, offset: number): number {
    if (this.#carryLength < LENGTH_PREFIX_BYTES) {
      const end = this.#fillCarry(LENGTH_PREFIX_BYTES, chunk, offset);
      if (this.#carryLength < LENGTH_PREFIX_BYTES) return end;
      const frameBytes = prefixAt(this.#carry, 0);
      if (!this.#accepts(frameBytes)) return chunk.byteLength;
      if (frameBytes > CARRIED_FRAME_BYTES_MAX) {
        this.#carryLength = 0;
        return this.#beginLarge(frameBytes, chunk, end);
      }
      offset = end;
    }
    const recordBytes = LENGTH_PREFIX_BYTES + prefixAt(this.#carry, 0);
    const end = this.#fillCarry(recordBytes, chunk, offset);
    if (this.#carryLength === recordBytes) {
      this.#carryLength = 0;
      this.#events.frame(this.#carry.subarray(LENGTH_PREFIX_BYTES, recordBytes), false);
    }
    return end;
  }

  #fillCarry(length: number, chunk: Uint8Array, offset: number): number {
    const end = Math.min(chunk.byteLength, offset + length - this.#carryLength);
    this.#carry.set(chunk.subarray(offset, end), this.#carryLength);
    this.#carryLength += end - offset;
    return end;
  }

  #beginLarge(frameBytes: number, chunk: Uint8Array, offset: number): number {
    try {
      // Memory that is touched only as the bytes come, so that a lie about the length costs next to nothing.
      this.#large = new Uint8Array(frameBytes);
    } catch {
      this.#fail(frameBytes);
      return chunk.byteLength;
    }
    this.#largeLength = 0;
    return this.#continueLarge(this.#large, chunk, offset);
  }

  #continueLarge(large: Uint8Array, chunk: Uint8Array, offset: number): number {
    const end = Math.min(chunk.byteLength, offset + large.byteLength - this.#largeLength);
    large.set(chunk.subarray(offset, end), this.#largeLength);
    this.#largeLength += end - offset;
    if (this.#largeLength === large.byteLength) {
      this.#large = undefined;
      this.#events.frame(large, true);
    }
    return end;
  }

  #accepts(frameBytes: number): boolean {
    if (frameBytes <= this.frameBytesMax) return true;
    if (frameBytes === GOODBYE) {
      this.stop();
      this.#events.goodbye();
    } else {
      this.#fail(frameBytes);
    }
    return false;
  }

  #fail(frameBytes: number): void {
    this.stop();
    this.#events.malformed(frameBytes);
  }
}

function prefixAt(bytes: Uint8Array, offset: number): number {
  return ((bytes[offset] as number) | ((bytes[offset + 1] as number) << 8) | ((bytes[offset + 2] as number) << 16) | ((bytes[offset + 3] as number) << 24)) >>> 0;
}

/** @throws TransportError for a frame that no socket takes. */
export function checkFrameBytes(byteLength: number): void {
  if (byteLength <= SOCKET_FRAME_BYTES_MAX) return;
  throw new TransportError(
    "ERR_MANTARAY_FRAME_TOO_LARGE",
    `A frame of ${byteLength} bytes was to be sent through a socket, which takes up to ${SOCKET_FRAME_BYTES_MAX}. Split the value into several.`,
  );
}
