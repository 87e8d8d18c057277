/**
 * The graph of a code unit in one piece: how many buffers, how long each is, the graph's header, the buffers. Read without v8's deserializer,
 * which would take as long as the small class inside in a worker that has waited.
 */
const WORD_BYTES = 4;

export function packBlob(header: Uint8Array, buffers: readonly Uint8Array[]): Uint8Array {
  const headerStart = (1 + buffers.length) * WORD_BYTES;
  const blob = new Uint8Array(buffers.reduce((sum, buffer) => sum + buffer.byteLength, headerStart + header.byteLength));
  const lengths = new DataView(blob.buffer);
  lengths.setUint32(0, buffers.length);
  blob.set(header, headerStart);
  let end = headerStart + header.byteLength;
  buffers.forEach((buffer, index) => {
    lengths.setUint32((1 + index) * WORD_BYTES, buffer.byteLength);
    blob.set(buffer, end);
    end += buffer.byteLength;
  });
  return blob;
}

/** The header is a view of the blob, the buffers are copies: the blob stays as it is for other workers. */
export function unpackBlob(blob: Uint8Array): { readonly header: Uint8Array; readonly buffers: readonly Uint8Array[] } {
  const lengths = new DataView(blob.buffer, blob.byteOffset, blob.byteLength);
  const count = lengths.getUint32(0);
  const buffers: Uint8Array[] = [];
  let end = blob.byteLength;
  for (let index = count - 1; index >= 0; index--) {
    const start = end - lengths.getUint32((1 + index) * WORD_BYTES);
    buffers.unshift(new Uint8Array(blob.subarray(start, end)));
    end = start;
  }
  return { header: blob.subarray((1 + count) * WORD_BYTES, end), buffers };
}
