import type { EncodedValueRecord } from "../protocol/mod.ts";

/** The value, sharing no buffer with what it was encoded from: its maker may write to that again. */
export function withOwnBuffers(value: EncodedValueRecord): EncodedValueRecord {
  return value.buffers.length === 0 ? value : { ...value, buffers: value.buffers.map((buffer) => new Uint8Array(buffer)) };
}
