/** First byte of a primitive in a frame. 0xc0 and above are free for the users of the frames. */
export const TAG_UNDEFINED = 0x00;
export const TAG_NULL = 0x01;
export const TAG_FALSE = 0x02;
export const TAG_TRUE = 0x03;
export const TAG_INT32 = 0x04;
export const TAG_FLOAT64 = 0x05;
export const TAG_STRING = 0x06;
/** A bigint of 64 bits with sign; larger ones are no primitives here. */
export const TAG_BIGINT64 = 0x07;
/** 0x80 to 0xbf: the whole numbers 0 to 63. */
export const TAG_SMALL_INTEGER = 0x80;
export const SMALL_INTEGER_COUNT = 0x40;

/**
 * A string is its number of bytes times 4 plus one of these, as a varuint, and the bytes. UTF-16 is for strings with lone
 * surrogates, which UTF-8 would not bring back.
 */
export const STRING_LATIN1 = 0;
export const STRING_UTF8 = 1;
export const STRING_UTF16 = 2;
export const STRING_ENCODINGS = 4;

/** The parts of Buffer's prototype that work on any Uint8Array, without the checks of `toString` and `write`. */
export interface StringCoder {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  ucs2Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number, byteLength: number): number;
  utf8Write(text: string, offset: number, byteLength: number): number;
  ucs2Write(text: string, offset: number, byteLength: number): number;
}
