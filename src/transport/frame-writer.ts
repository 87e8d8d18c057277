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

const INITIAL_BYTES = 1024;
/** `reset` gives larger memory back: one large frame must not stay for ever. */
const RETAINED_BYTES_MAX = 1024 * 1024;
/** A number of 53 bits in groups of 7. */
const VARUINT_BYTES_MAX = 8;
/** Up to here a loop beats the fixed cost of a native call. */
const LOOP_STRING_LENGTH_MAX = 16;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** Builds frames in memory that it uses again and again; FrameReader is its inverse. Numbers are little-endian. */
export class FrameWriter {
  #bytes: Buffer & StringCoder;
  #view: DataView;
  #length = 0;

  constructor() {
    this.#bytes = allocate(INITIAL_BYTES);
    this.#view = viewOf(this.#bytes);
  }

  get length(): number {
    return this.#length;
  }

  /** What was written, valid until the next write or reset. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
    if (this.#bytes.length > RETAINED_BYTES_MAX) {
      this.#bytes = allocate(INITIAL_BYTES);
      this.#view = viewOf(this.#bytes);
    }
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** A whole number from 0 to 2^53 - 1, in as few bytes as it needs. */
  varuint(value: number): void {
    this.#reserve(VARUINT_BYTES_MAX);
    const bytes = this.#bytes;
    let rest = value;
    while (rest > 0x7f_ff_ff_ff) {
      bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[this.#length++] = rest;
  }

  bytes(value: Uint8Array): void {
    const byteLength = value.byteLength;
    this.varuint(byteLength);
    this.#reserve(byteLength);
    this.#bytes.set(value, this.#length);
    this.#length += byteLength;
  }

  string(value: string): void {
    const length = value.length;
    if (length > LOOP_STRING_LENGTH_MAX) {
      this.#longString(value);
      return;
    }
    this.#reserve(1 + length);
    const bytes = this.#bytes;
    const start = this.#length + 1;
    for (let index = 0; index < length; index++) {
      const unit = value.charCodeAt(index);
      if (unit > 0xff) {
        this.#longString(value);
        return;
      }
      bytes[start + index] = unit;
    }
    bytes[start - 1] = length * STRING_ENCODINGS + STRING_LATIN1;
    this.#length = start + length;
  }

  /** False, and nothing written, when the value is not a primitive that travels this way (symbols, large bigints, objects). */
  writePrimitive(value: unknown): boolean {
    switch (typeof value) {
      case "number":
        this.#number(value);
        return true;
      case "string":
        this.u8(TAG_STRING);
        this.string(value);
        return true;
      case "undefined":
        this.u8(TAG_UNDEFINED);
        return true;
      case "boolean":
        this.u8(value ? TAG_TRUE : TAG_FALSE);
        return true;
      case "bigint":
        if (value < INT64_MIN || value > INT64_MAX) return false;
        this.#reserve(9);
        this.#bytes[this.#length] = TAG_BIGINT64;
        this.#view.setBigInt64(this.#length + 1, value, true);
        this.#length += 9;
        return true;
      default:
        if (value !== null) return false;
        this.u8(TAG_NULL);
        return true;
    }
  }

  /** Changes what was written at `offset`, for counts that are known only at the end. */
  patchU16(offset: number, value: number): void {
    this.#view.setUint16(offset, value, true);
  }

  patchU32(offset: number, value: number): void {
    this.#view.setUint32(offset, value, true);
  }

  patchF64(offset: number, value: number): void {
    this.#view.setFloat64(offset, value, true);
  }

  #number(value: number): void {
    this.#reserve(9);
    const whole = value | 0;
    if (whole !== value || (whole === 0 && 1 / value < 0)) {
      this.#bytes[this.#length] = TAG_FLOAT64;
      this.#view.setFloat64(this.#length + 1, value, true);
      this.#length += 9;
    } else if (whole >= 0 && whole < SMALL_INTEGER_COUNT) {
      this.#bytes[this.#length++] = TAG_SMALL_INTEGER + whole;
    } else {
      this.#bytes[this.#length] = TAG_INT32;
      this.#view.setInt32(this.#length + 1, whole, true);
      this.#length += 5;
    }
  }

  #longString(value: string): void {
    const utf8Bytes = Buffer.byteLength(value);
    if (utf8Bytes === value.length) {
      this.#stringHeader(utf8Bytes, STRING_LATIN1);
      this.#bytes.latin1Write(value, this.#length, utf8Bytes);
      this.#length += utf8Bytes;
    } else if ((value as string & { isWellFormed(): boolean }).isWellFormed()) {
      this.#stringHeader(utf8Bytes, STRING_UTF8);
      this.#bytes.utf8Write(value, this.#length, utf8Bytes);
      this.#length += utf8Bytes;
    } else {
      const utf16Bytes = value.length * 2;
      this.#stringHeader(utf16Bytes, STRING_UTF16);
      this.#bytes.ucs2Write(value, this.#length, utf16Bytes);
      this.#length += utf16Bytes;
    }
  }

  #stringHeader(byteLength: number, encoding: number): void {
    this.varuint(byteLength * STRING_ENCODINGS + encoding);
    this.#reserve(byteLength);
  }

  #reserve(byteLength: number): void {
    const needed = this.#length + byteLength;
    if (needed > this.#bytes.length) this.#grow(needed);
  }

  #grow(neededBytes: number): void {
    const larger = allocate(Math.max(neededBytes, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = viewOf(larger);
  }
}

function allocate(byteLength: number): Buffer & StringCoder {
  return Buffer.allocUnsafeSlow(byteLength) as Buffer & StringCoder;
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
