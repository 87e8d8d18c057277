import {
  SMALL_INTEGER_COUNT,
  STRING_ENCODINGS,
  STRING_LATIN1,
  STRING_UTF16,
  STRING_UTF8,
  TAG_BIGINT64,
  TAG_FALSE,
  TAG_FLOAT64,
  TAG_INT32,
  TAG_NULL,
  TAG_SMALL_INTEGER,
  TAG_STRING,
  TAG_TRUE,
  TAG_UNDEFINED,
} from "./primitive-tags.ts";
import type { StringCoder } from "./primitive-tags.ts";
import { TransportError } from "./transport-error.ts";

const { latin1Slice, utf8Slice, ucs2Slice } = Buffer.prototype as Buffer & StringCoder;
/** Up to here a loop beats the fixed cost of a native call. */
const LOOP_STRING_BYTES_MAX = 6;
const EMPTY = new Uint8Array(0);

/** One for all readers, so that starting on a frame allocates nothing. */
const numberView = new DataView(new ArrayBuffer(8));
const numberBytes = new Uint8Array(numberView.buffer);

/** Reads what a FrameWriter wrote. Every read checks the frame's end and throws a TransportError past it. */
export class FrameReader {
  #bytes: Uint8Array;
  #position = 0;
  #end: number;

  constructor(frame: Uint8Array = EMPTY) {
    this.#bytes = frame;
    this.#end = frame.byteLength;
  }

  /** Starts on another frame. */
  reset(frame: Uint8Array): void {
    this.#bytes = frame;
    this.#position = 0;
    this.#end = frame.byteLength;
  }

  get position(): number {
    return this.#position;
  }

  get remainingBytes(): number {
    return this.#end - this.#position;
  }

  peekU8(): number {
    this.#need(1);
    return this.#bytes[this.#position] as number;
  }

  u8(): number {
    this.#need(1);
    return this.#bytes[this.#position++] as number;
  }

  u16(): number {
    this.#need(2);
    const bytes = this.#bytes;
    const start = this.#position;
    this.#position = start + 2;
    return (bytes[start] as number) | ((bytes[start + 1] as number) << 8);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  i32(): number {
    this.#need(4);
    const bytes = this.#bytes;
    const start = this.#position;
    this.#position = start + 4;
    return (bytes[start] as number) | ((bytes[start + 1] as number) << 8) | ((bytes[start + 2] as number) << 16) | ((bytes[start + 3] as number) << 24);
  }

  f64(): number {
    this.#copyNumber();
    return numberView.getFloat64(0, true);
  }

  varuint(): number {
    let value = 0;
    let weight = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * weight;
      if (byte < 0x80) break;
      weight *= 0x80;
      if (weight > Number.MAX_SAFE_INTEGER) throw this.#malformed("a number of more than 53 bits");
    }
    if (value > Number.MAX_SAFE_INTEGER) throw this.#malformed("a number of more than 53 bits");
    return value;
  }

  /** A view into the frame: to be copied by whoever keeps it, unless the frame is owned. */
  bytes(): Uint8Array {
    const byteLength = this.varuint();
    this.#need(byteLength);
    const start = this.#position;
    this.#position = start + byteLength;
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, byteLength);
  }

  string(): string {
    const header = this.varuint();
    const encoding = header % STRING_ENCODINGS;
    const byteLength = (header - encoding) / STRING_ENCODINGS;
    this.#need(byteLength);
    const bytes = this.#bytes;
    const start = this.#position;
    const end = start + byteLength;
    this.#position = end;
    switch (encoding) {
      case STRING_LATIN1: {
        if (byteLength > LOOP_STRING_BYTES_MAX) return latin1Slice.call(bytes, start, end);
        let text = "";
        for (let index = start; index < end; index++) text += String.fromCharCode(bytes[index] as number);
        return text;
      }
      case STRING_UTF8:
        return utf8Slice.call(bytes, start, end);
      case STRING_UTF16:
        return ucs2Slice.call(bytes, start, end);
      default:
        throw this.#malformed(`an unknown string encoding ${encoding}`);
    }
  }

  readPrimitive(): undefined | null | boolean | number | string | bigint {
    const tag = this.u8();
    switch (tag) {
      case TAG_UNDEFINED:
        return undefined;
      case TAG_NULL:
        return null;
      case TAG_FALSE:
        return false;
      case TAG_TRUE:
        return true;
      case TAG_INT32:
        return this.i32();
      case TAG_FLOAT64:
        return this.f64();
      case TAG_STRING:
        return this.string();
      case TAG_BIGINT64:
        this.#copyNumber();
        return numberView.getBigInt64(0, true);
      default:
        if (tag >= TAG_SMALL_INTEGER && tag < TAG_SMALL_INTEGER + SMALL_INTEGER_COUNT) return tag - TAG_SMALL_INTEGER;
        throw this.#malformed(`0x${tag.toString(16)} where a primitive should begin`);
    }
  }

  #copyNumber(): void {
    this.#need(8);
    const bytes = this.#bytes;
    const start = this.#position;
    for (let index = 0; index < 8; index++) numberBytes[index] = bytes[start + index] as number;
    this.#position = start + 8;
  }

  #need(byteLength: number): void {
    if (byteLength > this.#end - this.#position) throw this.#malformed(`its end where ${byteLength} more bytes should be`);
  }

  #malformed(what: string): TransportError {
    return new TransportError(
      "ERR_MANTARAY_FRAME_MALFORMED",
      `A frame of ${this.#end} bytes has ${what}, at byte ${this.#position}. Its sender and this process may run different versions of mantaray.`,
    );
  }
}
