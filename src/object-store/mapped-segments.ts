import { closeSync } from "node:fs";
import { join } from "node:path";
import { PAGE_BYTES } from "./arena-state.ts";
import type { NativeMemory } from "./native-memory.ts";
import { openSegmentFile } from "./segment-files.ts";
import type { StoreControl } from "./store-control.ts";

export interface Segment {
  readonly address: bigint;
  readonly byteLength: number;
  /** All of it; made with the first write. */
  bytes: Uint8Array | null;
}

/** Null in a container that shares the session's folder, but not the memory. */
export function mapSegments(native: NativeMemory, control: StoreControl, isMapped: boolean): Segment[] | null {
  const { segmentPages, addresses, folder } = control.description();
  const segments: Segment[] = [];
  try {
    for (const [segment, pages] of segmentPages.entries()) {
      const byteLength = pages * PAGE_BYTES;
      const address = isMapped ? (addresses[segment] as bigint) : mapFile(native, join(folder, `segment-${segment}`), byteLength);
      segments.push({ address, byteLength, bytes: null });
    }
    return segments;
  } catch (error) {
    if (isMapped || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    for (const { address, byteLength } of segments) native.unmap(address, byteLength);
    return null;
  }
}

export function mapFile(native: NativeMemory, path: string, byteLength: number): bigint {
  const descriptor = openSegmentFile(path);
  try {
    return native.map(descriptor, byteLength);
  } finally {
    closeSync(descriptor);
  }
}
