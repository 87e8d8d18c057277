import { OUT_OF_BAND_BYTES_MIN } from "../limits.ts";

/** Where the bytes of an ArrayBuffer go: of a buffer that only views were met of, only what they show. */
export interface BufferSegment {
  readonly index: number;
  start: number;
  end: number;
}

/** So that views of every element size stay aligned when a segment begins elsewhere than its buffer. */
const ALIGNMENT_BYTES = 8;

/** The ArrayBuffers met in a value. Their bytes stay where they are until the header is written. */
export class BufferLedger {
  readonly #segments = new Map<ArrayBuffer, BufferSegment>();

  noteBuffer(buffer: ArrayBuffer): BufferSegment {
    return this.#note(buffer, 0, buffer.byteLength);
  }

  noteView(view: ArrayBufferView): BufferSegment {
    const start = view.byteOffset - (view.byteOffset % ALIGNMENT_BYTES);
    return this.#note(view.buffer as ArrayBuffer, start, view.byteOffset + view.byteLength);
  }

  segmentOf(buffer: ArrayBuffer): BufferSegment {
    return this.#segments.get(buffer) as BufferSegment;
  }

  /** In the order of the segments' indexes. */
  contents(): Uint8Array[] {
    return Array.from(this.#segments, ([buffer, { start, end }]) => new Uint8Array(buffer, start, end - start));
  }

  forEach(visit: (buffer: ArrayBuffer, index: number) => void): void {
    for (const [buffer, { index }] of this.#segments) visit(buffer, index);
  }

  #note(buffer: ArrayBuffer, start: number, end: number): BufferSegment {
    const known = this.#segments.get(buffer);
    if (known === undefined) {
      const segment = { index: this.#segments.size, start, end };
      this.#segments.set(buffer, segment);
      return segment;
    }
    if (start < known.start) known.start = start;
    if (end > known.end) known.end = end;
    return known;
  }
}

interface SegmentSink {
  writeUint32(value: number): void;
  writeRawBytes(bytes: Uint8Array): void;
}
interface SegmentSource {
  readUint32(): number;
  readRawBytes(length: number): Uint8Array;
}
const OUT_OF_BAND = 0xffff_ffff;

/** Small contents go into the header. Returns the large ones, which stay out of it. */
export function writeSegments(contents: readonly Uint8Array[], sink: SegmentSink): Uint8Array[] {
  sink.writeUint32(contents.length);
  const outOfBand: Uint8Array[] = [];
  for (const content of contents) {
    if (content.byteLength >= OUT_OF_BAND_BYTES_MIN) {
      sink.writeUint32(OUT_OF_BAND);
      outOfBand.push(content);
    } else {
      sink.writeUint32(content.byteLength);
      sink.writeRawBytes(content);
    }
  }
  return outOfBand;
}

/** ArrayBuffers of their own for every segment; `adopt`: those that were received as whole buffers are used as they are. */
export function readSegments(source: SegmentSource, outOfBand: readonly Uint8Array[], adopt: boolean): ArrayBuffer[] {
  const count = source.readUint32();
  const buffers: ArrayBuffer[] = [];
  let next = 0;
  for (let index = 0; index < count; index++) {
    const length = source.readUint32();
    if (length !== OUT_OF_BAND) {
      buffers.push(copyOf(source.readRawBytes(length)));
      continue;
    }
    buffers.push(bufferOf(outOfBand[next++] as Uint8Array, adopt));
  }
  return buffers;
}

/** With the content and nothing else; `adopt`: the very buffer, if it is received as a whole. */
export function bufferOf(content: Uint8Array, adopt: boolean): ArrayBuffer {
  const isWhole = content.buffer instanceof ArrayBuffer && content.byteLength === content.buffer.byteLength;
  return adopt && isWhole ? (content.buffer as ArrayBuffer) : copyOf(content);
}

function copyOf(bytes: Uint8Array): ArrayBuffer {
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
}
