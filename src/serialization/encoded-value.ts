/** Objects that belong to the runtime (references, handles) and may occur anywhere in a value or closure. */
export interface RuntimeObjects {
  /** A structured-cloneable descriptor, or undefined for an ordinary object. Asked for class instances and functions only. */
  describe(object: object): unknown;
  /** The inverse, in the receiving worker. */
  revive(descriptor: unknown): object;
}

/** 0: v8 serialization with buffers out of band. 1: a graph, for whatever v8 alone would lose. */
export type EncodedFormat = 0 | 1;

export interface EncodedValue {
  readonly format: EncodedFormat;
  readonly header: Uint8Array;
  /** Bytes of ArrayBuffers kept out of the header: views of the value's own memory, not copies. */
  readonly buffers: readonly Uint8Array[];
  /** Runtime objects met, in order. */
  readonly descriptors: readonly unknown[];
  /** Ids of the code units that decoding needs. */
  readonly code: readonly string[];
}
