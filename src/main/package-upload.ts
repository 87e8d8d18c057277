import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { ToNode } from "../protocol/mod.ts";
import { PACKAGE_PIECE_BYTES_MAX } from "../runtime-env/mod.ts";

/** Brings packages of a program to its node, which is on another machine; each once. Sent before whatever needs them. */
export function packageUpload(send: (message: ToNode) => void): (name: string, path: string) => void {
  const sent = new Set<string>();
  return (name, path) => {
    if (sent.has(name)) return;
    sent.add(name);
    const file = openSync(path, "r");
    try {
      const totalBytes = fstatSync(file).size;
      for (let offset = 0; offset < totalBytes; ) {
        const buffer = new Uint8Array(Math.min(PACKAGE_PIECE_BYTES_MAX, totalBytes - offset));
        const bytes = buffer.subarray(0, readSync(file, buffer, 0, buffer.byteLength, offset));
        if (bytes.byteLength === 0) throw new Error(`${path} became shorter while it was read`);
        send({ type: "packagePiece", name, offset, totalBytes, bytes });
        offset += bytes.byteLength;
      }
    } finally {
      closeSync(file);
    }
  };
}
