/**
 * What travels through the message port of a thread channel: wake-ups, and frames that the ring has no place for. The
 * memory of an item is transferred, never copied.
 */
export type PortMessage = typeof WAKE_UP | PortItem;
export const WAKE_UP = 0;

/** One frame of its own, or a run of frames with consecutive sequence numbers. */
export interface PortItem {
  readonly kind: "frame" | "run";
  readonly firstSequence: number;
  readonly byteLength: number;
  readonly memory: ArrayBuffer;
}

const WORD_BYTES = 4;
const RUN_BYTES_INITIAL = 16 * 1024;
/** A longer run is posted in several items. */
export const RUN_BYTES_MAX = 1024 * 1024;

/** Collects the frames of a turn that found the ring full. Record: a word with the length, the bytes, padding to a word. */
export class FrameRun {
  readonly firstSequence: number;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(RUN_BYTES_INITIAL);
  #lengths: Int32Array = new Int32Array(this.#bytes.buffer);
  #byteLength = 0;

  constructor(firstSequence: number) {
    this.firstSequence = firstSequence;
  }

  get byteLength(): number {
    return this.#byteLength;
  }

  append(parts: readonly Uint8Array[], frameBytes: number): void {
    const end = this.#byteLength + WORD_BYTES + ((frameBytes + WORD_BYTES - 1) & -WORD_BYTES);
    if (end > this.#bytes.byteLength) this.#grow(end);
    this.#lengths[this.#byteLength >>> 2] = frameBytes;
    let position = this.#byteLength + WORD_BYTES;
    for (const part of parts) {
      this.#bytes.set(part, position);
      position += part.byteLength;
    }
    this.#byteLength = end;
  }

  toItem(): PortItem {
    return { kind: "run", firstSequence: this.firstSequence, byteLength: this.#byteLength, memory: this.#bytes.buffer };
  }

  #grow(neededBytes: number): void {
    const larger = new Uint8Array(Math.max(neededBytes, this.#bytes.byteLength * 2));
    larger.set(this.#bytes.subarray(0, this.#byteLength));
    this.#bytes = larger;
    this.#lengths = new Int32Array(larger.buffer, 0, larger.byteLength >>> 2);
  }
}

/** Hands the frames of a run to `deliver` until that returns false. */
export function walkRun(item: PortItem, deliver: (frame: Uint8Array) => boolean): void {
  const lengths = new Int32Array(item.memory, 0, item.byteLength >>> 2);
  let offset = 0;
  while (offset < item.byteLength) {
    const frameBytes = lengths[offset >>> 2] as number;
    if (!deliver(new Uint8Array(item.memory, offset + WORD_BYTES, frameBytes))) return;
    offset += WORD_BYTES + ((frameBytes + WORD_BYTES - 1) & -WORD_BYTES);
  }
}
